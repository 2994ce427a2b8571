//! What sessions of both protocols hold.

use bytes::{Bytes, BytesMut};

use crate::error::Violation;
use crate::events::Events;
use crate::limits::Limits;
use crate::names::{Heard, Hearing, Namespace};
use crate::publication::Publications;
use crate::seam::{End, Protocol, SessionEvent, StreamId, SubscriptionId, Transport};

#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) protocol: Protocol,
    pub(crate) end: End,
    pub(crate) limits: &'static Limits,
    pub(crate) events: Events,
    /// Namespaces that we publish in.
    pub(crate) announced: Vec<Namespace>,
    /// Namespaces that the peer publishes in.
    pub(crate) heard: Heard,
    pub(crate) publications: Publications,
    pub(crate) closed: bool,
    buffered: usize,
    next_id: u64,
}

impl Common {
    pub(crate) fn new(protocol: Protocol, end: End) -> Self {
        let limits = Limits::of(end);
        Self {
            protocol,
            end,
            limits,
            events: Events::new(limits),
            announced: Vec::new(),
            heard: Heard::default(),
            publications: Publications::default(),
            closed: false,
            buffered: 0,
            next_id: 0,
        }
    }

    pub(crate) const fn next_subscription(&mut self) -> SubscriptionId {
        let id = SubscriptionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Whether we opened `stream`: the lowest bit of a QUIC stream id names its initiator (RFC 9000 §2.1).
    pub(crate) const fn is_ours(&self, stream: StreamId) -> bool {
        let initiator = match self.end {
            End::Client => 0,
            End::Server => 1,
        };
        stream.0 & 1 == initiator
    }

    /// Books what a stream's buffer holds now.
    pub(crate) fn account(&mut self, buffer: &mut Buffer) -> Result<(), Violation> {
        self.buffered = self.buffered - buffer.counted + buffer.bytes.len();
        buffer.counted = buffer.bytes.len();
        if self.buffered > self.limits.buffered { Err(Violation::Excess) } else { Ok(()) }
    }

    pub(crate) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// The stream is gone.
    pub(crate) fn release(&mut self, buffer: &Buffer) {
        self.buffered -= buffer.counted;
    }

    /// The peer announced `namespace` on `stream`. False if there are too many to remember it.
    pub(crate) fn hear(&mut self, stream: StreamId, namespace: Namespace) -> bool {
        match self.heard.add(stream, &namespace, self.limits.namespaces) {
            Hearing::New => {
                self.events.push(SessionEvent::Announced(namespace));
                true
            }
            Hearing::Known => true,
            Hearing::Full => false,
        }
    }

    /// The peer took an announcement back.
    pub(crate) fn unhear(&mut self, stream: StreamId, namespace: Namespace) {
        if self.heard.remove(stream, &namespace) {
            self.events.push(SessionEvent::Unannounced(namespace));
        }
    }

    /// A stream with announcements is gone.
    pub(crate) fn unhear_all(&mut self, stream: StreamId) {
        for namespace in self.heard.remove_stream(stream) {
            self.events.push(SessionEvent::Unannounced(namespace));
        }
    }

    /// Ends the session for the peer's fault.
    pub(crate) fn fail(&mut self, t: &mut dyn Transport, violation: Violation) {
        if self.closed {
            return;
        }
        self.closed = true;
        let (code, reason) = (violation.code(self.protocol), violation.to_string());
        t.close(code, &reason);
        self.events.push(SessionEvent::Failed { code, reason });
    }

    /// Ends an entry point: a violation, or events that nobody polls, end the session.
    pub(crate) fn settle(&mut self, t: &mut dyn Transport, result: Result<(), Violation>) {
        match result {
            Err(violation) => self.fail(t, violation),
            Ok(()) if self.events.overflowed() => self.fail(t, Violation::Excess),
            Ok(()) => {}
        }
    }
}

/// Whether a QUIC stream id is of a bidirectional stream (RFC 9000 §2.1).
pub(crate) const fn is_bidirectional(stream: StreamId) -> bool {
    stream.0 & 2 == 0
}

/// Bytes of a stream that are not read yet, and how many of them [`Common`] has booked.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) bytes: BytesMut,
    counted: usize,
}

impl Buffer {
    /// Gives its room back if nothing is in it.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }
}

/// Datagrams that came before the message that says what they are.
#[derive(Debug, Default)]
pub(crate) struct Early {
    datagrams: std::collections::VecDeque<Bytes>,
}

impl Early {
    /// Keeps the newest `limit`.
    pub(crate) fn push(&mut self, datagram: Bytes, limit: usize) {
        if self.datagrams.len() >= limit {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back(datagram);
    }

    pub(crate) fn take(&mut self) -> impl Iterator<Item = Bytes> + use<> {
        std::mem::take(&mut self.datagrams).into_iter()
    }
}
