//! What the engines tell the control plane, on its way from the shards' threads to one reader with an eventfd.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};

use spaces_core::event::{Counts, Event, EventKind};
use spaces_core::ids::SpaceId;

use crate::endpoint::Waker;

/// Events that may wait for the reader. Past it the oldest are dropped and the reader is told to look for itself.
const BOUND: usize = 4_096;

/// What [`EventQueue::drain`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Some were dropped since the last call.
    pub overflowed: bool,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Event>,
    overflowed: bool,
    /// By Space: each shard's last counts, and the most at once of all together.
    counts: HashMap<SpaceId, (Vec<Counts>, u32)>,
}

/// Many writers, one reader.
#[derive(Clone)]
pub struct EventQueue {
    inner: Arc<Mutex<Inner>>,
    ready: Waker,
    shards: usize,
}

impl EventQueue {
    /// For so many shards.
    ///
    /// # Errors
    /// Out of file descriptors.
    pub fn new(shards: u16) -> io::Result<Self> {
        Ok(Self { inner: Arc::default(), ready: Waker::new()?, shards: usize::from(shards).max(1) })
    }

    /// Readable while events wait.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.ready.raw_fd()
    }

    /// From the engine of `shard`. Each shard counts its own part of an audience; what the reader gets is the sum.
    pub fn push(&self, shard: u16, mut event: Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let EventKind::Counts(counts) = event.kind {
            event.kind = EventKind::Counts(inner.merge(event.space, usize::from(shard), self.shards, counts));
        }
        if inner.events.len() >= BOUND {
            inner.events.pop_front();
            inner.overflowed = true;
        }
        inner.events.push_back(event);
        drop(inner);
        self.ready.wake();
    }

    /// A Space is over: its counts are forgotten.
    pub fn forget(&self, space: SpaceId) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).counts.remove(&space);
    }

    /// Everything that waits.
    #[must_use]
    pub fn drain(&self) -> Drained {
        let _ = self.ready.take();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Drained { events: inner.events.drain(..).collect(), overflowed: std::mem::take(&mut inner.overflowed) }
    }
}

impl Inner {
    fn merge(&mut self, space: SpaceId, shard: usize, shards: usize, counts: Counts) -> Counts {
        let (parts, peak) = self.counts.entry(space).or_insert_with(|| (vec![Counts::default(); shards], 0));
        if let Some(part) = parts.get_mut(shard) {
            *part = counts;
        }
        let sum = sum(parts.iter().copied());
        // One shard alone knows the peak exactly; with several, the most that was seen together stands in for it.
        *peak = if parts.len() == 1 { sum.peak } else { (*peak).max(sum.named + sum.anonymous + sum.guests) };
        Counts { peak: *peak, ..sum }
    }
}

/// All shards' parts together; the peak is the sum of theirs, an upper bound.
pub(crate) fn sum(parts: impl IntoIterator<Item = Counts>) -> Counts {
    parts.into_iter().fold(Counts::default(), |sum, part| Counts {
        named: sum.named + part.named,
        anonymous: sum.anonymous + part.anonymous,
        guests: sum.guests + part.guests,
        peak: sum.peak + part.peak,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use spaces_core::time::Time;

    fn counts(named: u32) -> Event {
        let kind = EventKind::Counts(Counts { named, anonymous: 1, guests: 0, peak: named + 1 });
        Event { at: Time(0), space: SpaceId(1), kind }
    }

    #[test]
    fn counts_of_all_shards_are_told_as_one() {
        let queue = EventQueue::new(2).unwrap();
        queue.push(0, counts(5));
        queue.push(1, counts(7));
        queue.push(0, counts(1));
        let told: Vec<_> = queue.drain().events.into_iter().map(|event| event.kind).collect();
        let of = |named, anonymous, peak| EventKind::Counts(Counts { named, anonymous, guests: 0, peak });
        assert_eq!(told, [of(5, 1, 6), of(12, 2, 14), of(8, 2, 14)]);
    }

    #[test]
    fn a_reader_that_sleeps_loses_the_oldest_and_is_told() {
        let queue = EventQueue::new(1).unwrap();
        for named in 0..BOUND as u32 + 3 {
            queue.push(0, counts(named));
        }
        let drained = queue.drain();
        assert!(drained.overflowed);
        assert_eq!(drained.events.len(), BOUND);
        assert!(matches!(drained.events[0].kind, EventKind::Counts(Counts { named: 3, .. })));
        assert_eq!(queue.drain(), Drained::default());
    }
}
