//! What the server's heap holds for a listener, once it is in and hears.
#![allow(unsafe_code)] // an allocator cannot be written without; it hands everything on to the system's
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test: its helpers may fail as they may

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Via, World, packet};
use spaces_moqt::seam::Protocol;

/// Counts what all threads hold but the one that plays the clients.
struct Counting;

static HELD: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count(bytes: i64) {
    if !IS_CLIENT.try_with(Cell::get).unwrap_or(true) {
        HELD.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is the system allocator's own, with the arguments that the caller vouches for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Listeners who come, when as many are there already: what does not grow with each of them is paid for by then.
const LISTENERS: usize = 128;

/// Bytes of heap for one more listener.
fn each(via: Via) -> i64 {
    let mut world = World::new(1);
    let speaker = world.speaker(Via::Raw(Protocol::Moqt18), 0);
    let mut said = 0;
    let mut held = [0, 0];
    for held in &mut held {
        for _ in 0..LISTENERS {
            world.listener(via, &["stage"]);
        }
        // Everything of the handshakes is acknowledged, and so is sound.
        world.talk(75, |world, _| {
            world.say(speaker, said, &packet(0, said));
            said += 1;
        });
        *held = HELD.load(Ordering::Relaxed);
    }
    (held[1] - held[0]) / LISTENERS as i64
}

/// What a listener may cost, in bytes: what it does cost (docs/benchmarks.md, "Where a listener's memory is") and a twentieth, by which
/// tables that double are nearer to being full or to being empty.
#[test]
fn a_listener_costs_the_heap_a_bounded_number_of_bytes() {
    IS_CLIENT.set(true);
    for (via, bound) in [
        (Via::Raw(Protocol::Moqt18), 19_400),
        (Via::Raw(Protocol::Lite05), 20_400),
        (Via::Web(Protocol::Moqt18), 22_700),
        (Via::Web(Protocol::Lite05), 24_000),
    ] {
        let bytes = each(via);
        println!("{via:?}: {bytes} bytes a listener");
        assert!(bytes > 10_000, "{via:?}: the counter counts: {bytes}");
        assert!(bytes <= bound, "{via:?}: {bytes}");
    }
}
