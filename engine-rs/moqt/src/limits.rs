//! What a peer may make a session hold.

use crate::seam::End;

/// Bounds of one session. The server's are tight: it has many sessions and expects little from each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of one object's payload that arrives on a stream.
    pub(crate) object: usize,
    /// Bytes of all unfinished messages and objects together.
    pub(crate) buffered: usize,
    /// Streams of the peer that are open at once.
    pub(crate) streams: usize,
    /// Tracks of ours that the peer is subscribed to at once, and requests of our own.
    pub(crate) subscriptions: usize,
    /// Namespaces of the peer that are remembered; further ones are not reported.
    pub(crate) namespaces: usize,
    /// Events that wait for the owner.
    pub(crate) events: usize,
    /// Bytes of payload in those events.
    pub(crate) event_bytes: usize,
    /// Datagrams that wait for the message that says what they are.
    pub(crate) early_datagrams: usize,
}

impl Limits {
    pub(crate) const fn of(end: End) -> &'static Self {
        match end {
            End::Server => &Self {
                object: 16 << 10,
                buffered: 256 << 10,
                streams: 128,
                subscriptions: 32,
                namespaces: 32,
                events: 4_096,
                event_bytes: 1 << 20,
                early_datagrams: 8,
            },
            End::Client => &Self {
                object: 1 << 20,
                buffered: 4 << 20,
                streams: 256,
                subscriptions: 64,
                namespaces: 1_024,
                events: 16_384,
                event_bytes: 16 << 20,
                early_datagrams: 16,
            },
        }
    }
}

/// Bytes of one group that wait for the peer to allow its stream; a group that grows beyond is given up.
pub(crate) const WAITING_GROUP: usize = 256 << 10;

/// Bytes of a namespace, or of a full track name (draft-18 §2.4.1; taken for moq-lite's paths too).
pub(crate) const NAME: usize = 4_096;

/// Fields of a namespace (draft-18 §2.4.1).
pub(crate) const FIELDS: usize = 32;

/// Bytes of a reason phrase (draft-18 §1.4.4).
pub(crate) const REASON: usize = 1_024;

/// Bytes of a control message's body. In draft-18 its length has 16 bits.
pub(crate) const MESSAGE: usize = 0xffff;
