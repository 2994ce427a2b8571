//! The allocator of this test's process: counts what chosen threads ask for, with the way that led there.
#![allow(unsafe_code)] // an allocator is one

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that may be watched at once.
const WATCHES: usize = 8;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

/// Watched threads; 0: none.
static WATCHED: [AtomicI32; WATCHES] = [const { AtomicI32::new(0) }; WATCHES];
static SEEN: [Mutex<Vec<Backtrace>>; WATCHES] = [const { Mutex::new(Vec::new()) }; WATCHES];

thread_local! {
    static OWN: Cell<i32> = const { Cell::new(0) };
    /// What is noted here is not noted again.
    static NOTING: Cell<bool> = const { Cell::new(false) };
}

fn note() {
    if NOTING.get() {
        return;
    }
    if OWN.get() == 0 {
        OWN.set(rustix::thread::gettid().as_raw_nonzero().get());
    }
    let own = OWN.get();
    let Some(watch) = WATCHED.iter().position(|watched| watched.load(Ordering::Acquire) == own) else { return };
    NOTING.set(true);
    SEEN[watch].lock().unwrap_or_else(PoisonError::into_inner).push(Backtrace::force_capture());
    NOTING.set(false);
}

// SAFETY: all is left to the system's allocator; noting neither unwinds nor touches the memory asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promises.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Threads of this process with this name.
pub fn threads(name: &str) -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let called = |path: &PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
    tasks.filter(called).map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

/// A thread whose allocations are being counted, until [`Watch::end`].
pub struct Watch(usize);

impl Watch {
    pub fn begin(thread: i32) -> Self {
        let free = WATCHED
            .iter()
            .position(|watched| watched.compare_exchange(0, thread, Ordering::AcqRel, Ordering::Acquire).is_ok());
        Self(free.expect("too many watches"))
    }

    pub fn end(self) -> Allocations {
        WATCHED[self.0].store(0, Ordering::Release);
        let seen = std::mem::take(&mut *SEEN[self.0].lock().unwrap_or_else(PoisonError::into_inner));
        let mut counted = Allocations::default();
        for way in seen {
            let (party, place) = asked_by(&way.to_string());
            *counted.0.entry(party).or_default().entry(place).or_default() += 1;
        }
        counted
    }
}

/// Who asked for memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    Ours,
    /// A crate of somebody else's, with its version.
    Dependency(String),
    /// Nobody on the way is known: that is an error of this test.
    Unknown,
}

/// How often who asked, and where.
#[derive(Clone, Debug, Default)]
pub struct Allocations(BTreeMap<Party, BTreeMap<String, u64>>);

impl Allocations {
    pub fn of(&self, wanted: impl Fn(&Party) -> bool) -> u64 {
        self.0.iter().filter(|(party, _)| wanted(party)).flat_map(|(_, places)| places.values()).sum()
    }

    pub fn all(&self) -> u64 {
        self.of(|_| true)
    }

    /// The places, those asked most often first.
    pub fn places(&self) -> String {
        let mut lines: Vec<_> = self
            .0
            .iter()
            .flat_map(|(party, places)| places.iter().map(move |(at, count)| (count, party, at)))
            .collect();
        lines.sort_by(|a, b| b.cmp(a));
        lines.iter().map(|(count, party, at)| format!("{count:6} {party:?} {at}\n")).collect()
    }
}

/// What only does what it is told: whoever called it has asked. `bytes` is among them, as a container like those of `std`.
const CONTAINERS: [&str; 6] = ["bytes", "hashbrown", "slab", "smallvec", "tinyvec", "lru-slab"];

/// Who asked, and the function and line where.
fn asked_by(way: &str) -> (Party, String) {
    let mut function = "";
    for line in way.lines().map(str::trim_start) {
        let Some(path) = line.strip_prefix("at ") else {
            function = line.split_once(": ").map_or(line, |(_, name)| name);
            continue;
        };
        match owner(path) {
            Some(Party::Dependency(name)) if CONTAINERS.contains(&crate_name(&name)) => {}
            Some(party) => return (party, format!("{function} ({})", path.rsplit("/src/").next().unwrap_or(path))),
            None => {}
        }
    }
    (Party::Unknown, way.to_owned())
}

/// Whose source file; `None`: the language's own, and this test's.
fn owner(path: &str) -> Option<Party> {
    if path.contains("/rustc/") || path.contains("/library/") || path.contains("tests/allocations/") {
        return None;
    }
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split('/').nth(1).map(|name| Party::Dependency(name.to_owned()));
    }
    (path.starts_with("./") || path.contains("/engine-rs/")).then_some(Party::Ours)
}

/// Without the version.
fn crate_name(directory: &str) -> &str {
    directory.rsplit_once('-').map_or(directory, |(name, _)| name)
}

#[test]
fn who_asked_is_the_first_on_the_way_that_is_no_container() {
    let way = "
   0: allocations::counting::note
             at ./tests/allocations/counting.rs:40:5
   1: alloc::alloc::alloc
             at /rustc/abc/library/alloc/src/alloc.rs:95:9
   2: bytes::bytes_mut::BytesMut::with_capacity
             at /home/me/.cargo/registry/src/index.crates.io-1/bytes-1.12.0/src/bytes_mut.rs:148:9
   3: spaces_net::endpoint::Endpoint<S>::receive
             at ./src/endpoint.rs:370:40
   4: quinn_proto::connection::Connection::poll
             at /home/me/.cargo/registry/src/index.crates.io-1/quinn-proto-0.11.19/src/connection/mod.rs:1:1";
    assert_eq!(asked_by(way), (Party::Ours, "spaces_net::endpoint::Endpoint<S>::receive (endpoint.rs:370:40)".into()));
    let theirs =
        way.replace("./src/endpoint.rs", "/home/me/.cargo/registry/src/index.crates.io-1/quinn-proto-0.11.19/src/a.rs");
    assert_eq!(asked_by(&theirs).0, Party::Dependency("quinn-proto-0.11.19".into()));
    let core = way.replace("./src/endpoint.rs", "/somewhere/engine-rs/core/src/ring.rs");
    assert_eq!(asked_by(&core).0, Party::Ours);
    assert_eq!(asked_by("nothing known").0, Party::Unknown);
}

#[test]
fn what_a_watched_thread_asks_for_is_counted_and_nothing_else() {
    let watch = Watch::begin(rustix::thread::gettid().as_raw_nonzero().get());
    let mut kept = vec![Box::new(1)];
    kept.reserve(100);
    std::thread::spawn(|| drop(Box::new([0u8; 100]))).join().unwrap();
    let counted = watch.end();
    drop(kept);
    // The box, the vector, its growth; starting a thread asks for memory here as well.
    assert!((3..40).contains(&counted.all()), "{}", counted.places());
    assert_eq!(Watch::begin(-1).end().all(), 0);
}
