//! What the engines tell the control plane, on its way from the shards' threads to one reader with an eventfd.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};

use spaces_core::event::Event;

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
}

/// Many writers, one reader.
#[derive(Clone)]
pub struct EventQueue {
    inner: Arc<Mutex<Inner>>,
    ready: Waker,
}

impl EventQueue {
    /// # Errors
    /// Out of file descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { inner: Arc::default(), ready: Waker::new()? })
    }

    /// Readable while events wait.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.ready.raw_fd()
    }

    /// From an engine.
    pub fn push(&self, event: Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.events.len() >= BOUND {
            inner.events.pop_front();
            inner.overflowed = true;
        }
        inner.events.push_back(event);
        drop(inner);
        self.ready.wake();
    }

    /// Everything that waits.
    #[must_use]
    pub fn drain(&self) -> Drained {
        let _ = self.ready.take();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Drained { events: inner.events.drain(..).collect(), overflowed: std::mem::take(&mut inner.overflowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spaces_core::event::{Counts, EventKind};
    use spaces_core::ids::SpaceId;
    use spaces_core::time::Time;

    fn counts(named: u32) -> Event {
        let kind = EventKind::Counts(Counts { named, anonymous: 1, guests: 0, peak: named + 1 });
        Event { at: Time(0), space: SpaceId(1), kind }
    }

    #[test]
    fn a_reader_that_sleeps_loses_the_oldest_and_is_told() {
        let queue = EventQueue::new().unwrap();
        for named in 0..BOUND as u32 + 3 {
            queue.push(counts(named));
        }
        let drained = queue.drain();
        assert!(drained.overflowed);
        assert_eq!(drained.events.len(), BOUND);
        assert!(matches!(drained.events[0].kind, EventKind::Counts(Counts { named: 3, .. })));
        assert_eq!(queue.drain(), Drained::default());
    }
}
