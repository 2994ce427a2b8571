//! Crash-safe recordings: a thread of its own that writes each Space's segment log, an Ogg Opus track of the live mix and
//! one a person.
//!
//! ```text
//! <directory>/<space id>/part-0001.000000.seg                   everything, see spaces_core::segment
//!                        part-0001.000001.seg …                 goes on 4 s later
//!                        part-0001.mix.opus                     what listeners heard, see spaces_core::ogg
//!                        part-0001.seat-03.account-42.opus      one person on one seat
//!                        part-0002.000000.seg …                 after a restart
//! ```
//! **Files of the log** can each be read by themselves. Whatever their number, the one written to is the last; those before
//! it are complete, soon durable, and never touched again: whoever wants them elsewhere may move them, except the newest of a
//! Space, from which a restart learns where to go on.
//!
//! **One timeline.** A part begins whenever a recording is started: first, and again after a restart of the process. What
//! was written before is never touched again. Group numbers go on over parts, so a part's place is its first group, and
//! what lies between two parts is marked as a gap at the front of the later one. All tracks of a part begin at its first
//! group; a track is one account on one seat, also if that person leaves the seat and comes back.
//!
//! **What a crash costs.** Items are written 50 ms after they were pushed, track pages hold at most 200 ms of speech or
//! 360 ms of silence, and nothing else is buffered here. While nobody speaks the recorder's clock carries the tracks on,
//! 0.4 s behind. So `kill -9` costs less than a second; what [`FsyncPolicy`] does not cover, a power loss costs.
//!
//! **A bad disk** never touches the caller. If it is slow, the queue fills and [`RecorderHandle::push`] refuses, which
//! marks exactly the refused groups. If it fails, the recording stalls: what was not yet written is kept and tried again
//! with growing pauses, ticks that come meanwhile are dropped and marked. Each gap is told as
//! [`EventKind::RecordingGap`](spaces_core::event::EventKind::RecordingGap).

mod export;
mod files;
mod log;
mod out;
mod part;
mod queue;
mod space;
mod state;
mod storage;
mod track;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use spaces_core::event::Event;
use spaces_core::ids::SpaceId;
use spaces_core::time::Time;

pub use export::{ExportError, Log as ExportLog, export};
pub use files::{FileKind, LogFile, RecordingFile, files, log_files};
pub use queue::RecorderHandle;
pub use storage::{Appendable, Disk, Storage};
pub use worker::{Stats, TURN, Worker};

use queue::Message;

/// Tells the time on the engine's clock.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// When written data is made durable against a power loss. Against a crash of the process it is without that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// When the operating system likes.
    Never,
    /// All files with new data, this often; less often when they are so many that the disk would do nothing else.
    Every(Duration),
    /// Each file once, when it is complete: files of the log every few seconds, tracks at the end.
    AtEnd,
}

/// How a recorder is set up.
#[derive(Clone)]
pub struct RecorderConfig {
    /// Where the Spaces' directories are.
    pub directory: PathBuf,
    /// Ticks that may wait for the disk, of all Spaces together; at most some 7 KiB each.
    pub queue_items: usize,
    /// When data is made durable.
    pub fsync: FsyncPolicy,
    /// After so much time the log goes on in another file. Whole ticks; at least one.
    pub segment: Duration,
    /// Ogg Opus tracks are written beside the log. They can be made from it later, too.
    pub tracks: bool,
    /// What it writes on.
    pub storage: Arc<dyn Storage>,
    /// The engine's clock: events carry its times.
    pub clock: Clock,
}

impl RecorderConfig {
    /// Waits for 4,096 ticks at most, makes data durable every second, begins a file of the log every 4 s, writes tracks, all on
    /// the disk, and has a clock of its own.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let origin = Instant::now();
        let clock = move || Time(u64::try_from(origin.elapsed().as_micros()).unwrap_or(u64::MAX));
        Self {
            directory: directory.into(),
            queue_items: 4096,
            fsync: FsyncPolicy::Every(Duration::from_secs(1)),
            segment: Duration::from_secs(4),
            tracks: true,
            storage: Arc::new(Disk),
            clock: Arc::new(clock),
        }
    }
}

/// The recorder's thread. Dropping it finishes the files, as [`Recorder::stop`] does.
pub struct Recorder {
    handle: RecorderHandle,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
    stats: Arc<Mutex<Stats>>,
}

impl Recorder {
    /// Starts the thread. `report` is called on it with every gap; it should be quick.
    ///
    /// # Errors
    /// If the directory cannot be made, or no thread started.
    pub fn start(config: RecorderConfig, report: impl FnMut(Event) + Send + 'static) -> io::Result<Self> {
        config.storage.create_directory(&config.directory)?;
        let (handle, queue) = queue::queue(config.queue_items);
        let directory = config.directory.clone();
        let stats = Arc::new(Mutex::new(Stats::default()));
        let shared = Arc::clone(&stats);
        let worker = Worker::new(&config);
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || run(worker, &queue, &config.clock, &shared, report))?;
        Ok(Self { handle, thread: Some(thread), directory, stats })
    }

    /// For a shard to push to.
    #[must_use]
    pub fn handle(&self) -> RecorderHandle {
        self.handle.clone()
    }

    /// The files of a Space's recording, in order of part; those still being written, too.
    ///
    /// # Errors
    /// Of the file system. A Space without recording has no files, which is none.
    pub fn files(&self, space: SpaceId) -> io::Result<Vec<RecordingFile>> {
        files(&self.directory, space)
    }

    /// What the recorder has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let written = *self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        Stats { refused: self.handle.refused(), ..written }
    }

    /// Writes what is queued and finishes every file. A Space that was not ended goes on in a new part when it is started
    /// again. Waits for the disk.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.handle.stop();
            // A panic of the thread was told by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.join();
    }
}

fn run(mut worker: Worker, queue: &queue::Queue, clock: &Clock, stats: &Mutex<Stats>, mut report: impl FnMut(Event)) {
    let mut turn = clock() + TURN;
    let mut running = true;
    while running {
        match queue.items.recv_timeout(turn.since(clock())) {
            Ok(Message::Item(item)) => worker.item(clock(), &item),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => running = false,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = clock();
        if now >= turn || !running || worker.is_full() {
            // After a slow write, silence must not be put where a tick is still queued: first all that was pushed by now.
            for message in queue.items.try_iter().take(queue.items.len()) {
                match message {
                    Message::Item(item) => worker.item(now, &item),
                    Message::Stop => running = false,
                }
            }
            queue.collect_refused(|refused| worker.refused(now, refused));
            worker.turn(now);
            turn = now + TURN;
        }
        if !running {
            worker.stop(now);
        }
        while let Some(event) = worker.poll_event() {
            report(event);
        }
        *stats.lock().unwrap_or_else(PoisonError::into_inner) = worker.stats();
    }
}
