//! The two halves of a QMux stream: what waits to be sent, and how much may still come.

use bytes::{Buf, BytesMut};

/// A stream's direction, from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Receive,
    Send,
}

/// Our half of a stream: bytes that wait, and how many the peer allows.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) id: u64,
    /// Bytes sent.
    pub(crate) sent: u64,
    /// The peer takes no more than this.
    pub(crate) most: u64,
    pub(crate) waiting: BytesMut,
    /// Nothing follows what waits.
    pub(crate) fin: bool,
}

impl Sending {
    pub(crate) fn new(id: u64, most: u64) -> Self {
        Self { id, sent: 0, most, waiting: BytesMut::new(), fin: false }
    }

    /// How many bytes may go now, of `credit` that the connection has left.
    pub(crate) fn sendable(&self, credit: u64) -> usize {
        let allowed = self.most.saturating_sub(self.sent).min(credit);
        self.waiting.len().min(usize::try_from(allowed).unwrap_or(usize::MAX))
    }

    /// Takes `length` bytes out of what waits, with their offset; true: they are the last.
    pub(crate) fn take(&mut self, length: usize) -> (u64, BytesMut, bool) {
        let offset = self.sent;
        let data = self.waiting.split_to(length.min(self.waiting.len()));
        self.sent += data.len() as u64;
        (offset, data, self.fin && !self.waiting.has_remaining())
    }
}

/// The peer's half of a stream: bytes came, and how many we allow.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) id: u64,
    pub(crate) received: u64,
    pub(crate) granted: u64,
    /// We want no more of it.
    pub(crate) stopped: bool,
}
