//! Events that wait for the session's owner.

use std::collections::VecDeque;

use crate::limits::Limits;
use crate::seam::{SessionEvent, Setup};

/// A bounded queue. Until the peer's SETUP is in, what the peer asks for is held back: the owner needs the path and the
/// token of SETUP to judge it, and QUIC may deliver the request's stream first.
#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<SessionEvent>,
    held: VecDeque<SessionEvent>,
    payload: usize,
    ready: bool,
    overflowed: bool,
    /// There was an object, and so there will be more.
    objects: bool,
    limits: &'static Limits,
}

impl Events {
    pub(crate) fn new(limits: &'static Limits) -> Self {
        Self {
            queue: VecDeque::new(),
            held: VecDeque::new(),
            payload: 0,
            ready: false,
            overflowed: false,
            objects: false,
            limits,
        }
    }

    /// The peer's SETUP is in.
    pub(crate) fn ready(&mut self, setup: Setup) {
        self.ready = true;
        self.queue.push_back(SessionEvent::Ready(setup));
        self.queue.extend(std::mem::take(&mut self.held));
    }

    /// Queues `event`. An owner that does not poll loses objects first, then the session ([`Self::overflowed`]).
    pub(crate) fn push(&mut self, event: SessionEvent) {
        let full = self.queue.len() + self.held.len() >= self.limits.events;
        match &event {
            SessionEvent::Object { payload, .. } => {
                if full || self.payload + payload.len() > self.limits.event_bytes {
                    return;
                }
                self.payload += payload.len();
                self.objects = true;
            }
            SessionEvent::Failed { .. } => {
                self.queue.push_back(event);
                return;
            }
            _ if full => {
                self.overflowed = true;
                return;
            }
            _ => {}
        }
        if self.ready { self.queue.push_back(event) } else { self.held.push_back(event) }
    }

    pub(crate) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The oldest. A queue that was emptied gives its room back, unless objects come through it.
    pub(crate) fn poll(&mut self) -> Option<SessionEvent> {
        let Some(event) = self.queue.pop_front() else {
            if !self.objects && self.queue.capacity() > 0 {
                self.queue = VecDeque::new();
            }
            return None;
        };
        if let SessionEvent::Object { payload, .. } = &event {
            self.payload -= payload.len();
        }
        Some(event)
    }
}
