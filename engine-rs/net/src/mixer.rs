//! Live mixes: threads of their own that decode what each Space's listeners hear, add it up and encode it once.
//!
//! ```text
//! the stage's shard ── MixItem ──> bounded queue ──> mixer thread (one Line a Space) ── Mixed ──> the stage's shard
//! ```
//! A shard never waits for a mixer: ticks that do not fit the queue are refused, and the mix has a hole there. What silences
//! or ends always fits, because it is rare and must not be lost. What comes back is judged by the shard again, see
//! [`spaces_core::mix_feed`]. A Space belongs to one thread, by its id. Nobody talks: nothing runs.

mod line;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use spaces_core::ids::SpaceId;
use spaces_core::mix_feed::{MixItem, Mixed};
use spaces_core::time::Time;

pub use line::Line;

use crate::clock::Clock;
use crate::stats::thread_cpu;

/// Priority of a mixer's thread below the shards' (nice).
const NICE: i32 = 5;

/// How Spaces are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MixConfig {
    /// Ticks of 20 ms a packet: 1, 2 or 3.
    pub ticks: u8,
    /// Bit/s.
    pub bitrate: u32,
    /// The encoder's complexity, 0 to 10.
    pub complexity: u8,
    /// Threads.
    pub threads: u16,
    /// Ticks that may wait for each thread.
    pub queue_items: usize,
}

impl Default for MixConfig {
    fn default() -> Self {
        Self { ticks: 3, bitrate: 48_000, complexity: 9, threads: 1, queue_items: 2_048 }
    }
}

/// What a mixer's thread has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MixerStats {
    /// Packets made.
    pub packets: u64,
    /// Ticks mixed.
    pub ticks: u64,
    /// Ticks that did not fit the queue.
    pub dropped: u64,
    /// Spaces in which somebody has talked of late.
    pub spaces: u64,
    /// CPU time of the thread.
    pub cpu: Duration,
}

enum Message {
    /// With the shard of the Space's stage.
    Item(u16, MixItem),
    Stop,
}

/// What a thread shares with those who feed it.
#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    dropped: AtomicU64,
    stats: Mutex<MixerStats>,
}

/// The way to a mixer's thread.
#[derive(Clone)]
struct Way {
    items: Sender<Message>,
    shared: Arc<Shared>,
}

/// Where shards push what is to be mixed.
#[derive(Clone)]
pub(crate) struct MixerHandle {
    shard: u16,
    ways: Arc<[Way]>,
    most: usize,
}

impl MixerHandle {
    /// Never waits.
    pub(crate) fn push(&self, item: MixItem) {
        let threads = self.ways.len().max(1) as u64;
        let Some(way) = self.ways.get((item.space().0 % threads) as usize) else { return };
        let tick = matches!(item, MixItem::Tick { .. });
        if tick && way.shared.waiting.load(Ordering::Relaxed) >= self.most {
            way.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        way.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = way.items.send(Message::Item(self.shard, item)); // fails only when the thread is over
    }
}

/// All mixer threads. Dropping them ends them.
pub(crate) struct Mixers {
    ways: Arc<[Way]>,
    most: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Mixers {
    /// Starts the threads. `deliver` is called on them with every packet and the shard that it is for; it must be quick.
    pub(crate) fn start(
        config: MixConfig,
        clock: Clock,
        deliver: impl Fn(u16, Mixed) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (mut ways, mut inboxes) = (Vec::new(), Vec::new());
        for _ in 0..config.threads.max(1) {
            let (items, inbox) = channel();
            let shared = Arc::<Shared>::default();
            inboxes.push((inbox, Arc::clone(&shared)));
            ways.push(Way { items, shared });
        }
        let mut mixers = Self { ways: ways.into(), most: config.queue_items, threads: Vec::new() };
        for (number, (inbox, shared)) in inboxes.into_iter().enumerate() {
            let deliver = deliver.clone();
            let thread = thread::Builder::new()
                .name(format!("spaces-mixer-{number}"))
                .spawn(move || Worker::new(config, clock, deliver).run(&inbox, &shared))?;
            mixers.threads.push(thread);
        }
        Ok(mixers)
    }

    /// For a shard to push to.
    pub(crate) fn handle(&self, shard: u16) -> MixerHandle {
        MixerHandle { shard, ways: Arc::clone(&self.ways), most: self.most }
    }

    /// What each thread has done so far.
    pub(crate) fn stats(&self) -> Vec<MixerStats> {
        let of = |way: &Way| {
            let stats = *way.shared.stats.lock().unwrap_or_else(PoisonError::into_inner);
            MixerStats { dropped: way.shared.dropped.load(Ordering::Relaxed), ..stats }
        };
        self.ways.iter().map(of).collect()
    }
}

impl Drop for Mixers {
    fn drop(&mut self) {
        for way in self.ways.iter() {
            let _ = way.items.send(Message::Stop); // one that is over needs no order
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic was told by the panic hook
        }
    }
}

/// A Space that is mixed.
struct Mixing {
    line: Line,
    wake: Option<Time>,
    /// Where its stage is.
    shard: u16,
}

struct Worker<F> {
    config: MixConfig,
    clock: Clock,
    deliver: F,
    lines: HashMap<SpaceId, Mixing>,
    timers: BTreeSet<(Time, SpaceId)>,
    stats: MixerStats,
}

impl<F: Fn(u16, Mixed)> Worker<F> {
    fn new(config: MixConfig, clock: Clock, deliver: F) -> Self {
        let (lines, timers) = (HashMap::new(), BTreeSet::new());
        Self { config, clock, deliver, lines, timers, stats: MixerStats::default() }
    }

    fn run(&mut self, inbox: &Receiver<Message>, shared: &Shared) {
        // Where it is not allowed it runs as all others do.
        let _ = rustix::process::setpriority_process(None, NICE);
        loop {
            let first = match self.timers.first() {
                Some((at, _)) => inbox.recv_timeout(at.since(self.clock.now())),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut next = match first {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // All that waits comes before the time does: it may have passed while this thread did not run.
            for _ in 0..shared.waiting.load(Ordering::Relaxed).max(1) {
                match next.take().or_else(|| inbox.try_recv().ok()) {
                    Some(Message::Item(shard, item)) => {
                        shared.waiting.fetch_sub(1, Ordering::Relaxed);
                        self.item(shard, item);
                    }
                    Some(Message::Stop) => return,
                    None => break,
                }
            }
            let now = self.clock.now();
            while let Some((at, space)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
                self.timers.remove(&(at, space));
                self.step(space, |line| line.turn(now));
            }
            self.stats.spaces = self.lines.len() as u64;
            self.stats.cpu = thread_cpu();
            *shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.stats;
        }
    }

    fn item(&mut self, shard: u16, item: MixItem) {
        let now = self.clock.now();
        match item {
            MixItem::Tick { space, epoch, group, frames } => {
                if !self.lines.contains_key(&space) {
                    // Without memory for an encoder there is no mix.
                    let Ok(line) = Line::new(space, &self.config) else { return };
                    self.lines.insert(space, Mixing { line, wake: None, shard });
                }
                self.stats.ticks += 1;
                self.step(space, |line| line.tick(now, epoch, group, &frames));
            }
            MixItem::Silence { space, epoch, seats } => self.step(space, |line| line.silence(epoch, seats)),
            MixItem::End { space } => self.forget(space),
        }
    }

    fn forget(&mut self, space: SpaceId) {
        if let Some(Mixing { wake: Some(at), .. }) = self.lines.remove(&space) {
            self.timers.remove(&(at, space));
        }
    }

    /// Does something to a Space's line, hands on what it made, and sets its timer.
    fn step(&mut self, space: SpaceId, step: impl FnOnce(&mut Line)) {
        let Some(Mixing { line, wake, shard }) = self.lines.get_mut(&space) else { return };
        step(line);
        while let Some(mixed) = line.poll() {
            self.stats.packets += 1;
            (self.deliver)(*shard, mixed);
        }
        let next = line.next_timeout();
        if let Some(at) = core::mem::replace(wake, next) {
            self.timers.remove(&(at, space));
        }
        match next {
            Some(at) => drop(self.timers.insert((at, space))),
            None => self.forget(space),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spaces_core::record::RecordedFrame;

    #[test]
    fn a_full_queue_costs_ticks_but_never_what_silences() {
        let (items, inbox) = channel();
        let way = Way { items, shared: Arc::default() };
        let handle = MixerHandle { shard: 0, ways: vec![way.clone()].into(), most: 3 };
        let frames: Arc<[RecordedFrame]> = Arc::new([]);
        for group in 0..10 {
            handle.push(MixItem::Tick { space: SpaceId(7), epoch: 0, group, frames: Arc::clone(&frames) });
            handle.push(MixItem::Silence { space: SpaceId(7), epoch: group, seats: 1 });
        }
        let ticks = |message: &Message| matches!(message, Message::Item(_, MixItem::Tick { .. }));
        let (kept, rest): (Vec<_>, Vec<_>) = inbox.try_iter().partition(ticks);
        assert_eq!((kept.len(), rest.len()), (2, 10));
        assert_eq!(way.shared.dropped.load(Ordering::Relaxed), 8);
    }
}
