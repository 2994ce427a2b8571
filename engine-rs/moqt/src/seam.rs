//! The seam between a session and its transport on one side, its owner on the other.

use bytes::Bytes;

/// A stream as the transport names it: its QUIC stream id (for WebTransport too; prefixes are the transport's business).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What a session needs of its transport. Calls never block and never fail the session: what cannot be sent now is buffered
/// by the transport up to its bound; a stream over the bound is reset by the transport and reported by `on_stopped`.
pub trait Transport {
    /// Opens a bidirectional stream; `None` while the peer's limit is reached (`Session::on_stream_credit` follows).
    fn open_bi(&mut self) -> Option<StreamId>;
    /// Opens a unidirectional stream; `None` while the peer's limit is reached (`Session::on_stream_credit` follows).
    fn open_uni(&mut self) -> Option<StreamId>;
    /// Appends `data` to the stream's send half; `fin` ends it.
    fn write(&mut self, stream: StreamId, data: &[u8], fin: bool);
    /// Abandons the send half (RESET_STREAM). No `on_stopped` follows for it; on a half that is over it does nothing.
    fn reset(&mut self, stream: StreamId, code: u64);
    /// Asks the peer to abandon its send half (STOP_SENDING). Nothing more of that half is delivered.
    fn stop(&mut self, stream: StreamId, code: u64);
    /// Ends the session.
    fn close(&mut self, code: u64, reason: &str);
}

/// Which protocol a session speaks, as negotiated by ALPN or WebTransport subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `moqt-18`: draft-ietf-moq-transport-18.
    Moqt18,
    /// `moq-lite-05`: draft-lcurley-moq-lite-05.
    Lite05,
}

impl Protocol {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moqt18 => "moqt-18",
            Self::Lite05 => "moq-lite-05",
        }
    }

    /// The one to use of those `offered` by the peer. moq-lite-05 first: it is the only one with which `@moq/net`
    /// receives datagrams.
    #[must_use]
    pub fn choose<'a>(offered: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut found = None;
        for name in offered {
            match name {
                b"moq-lite-05" => return Some(Self::Lite05),
                b"moqt-18" => found = Some(Self::Moqt18),
                _ => {}
            }
        }
        found
    }
}

/// Which end of the connection a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It dialled.
    Client,
    /// It was dialled.
    Server,
}

/// What a session says in its SETUP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// MoQT implementation name.
    pub implementation: Option<String>,
    /// PATH, in moq-lite SETUP's Path parameter: raw QUIC clients only (WebTransport has it in its CONNECT).
    pub path: Option<String>,
    /// AUTHORITY: raw QUIC clients only.
    pub authority: Option<String>,
    /// AUTHORIZATION TOKEN: our join token. moq-lite has no such field; there it travels in the path's `?jwt=`.
    pub token: Option<Bytes>,
}

/// A track's full name: namespace fields and track name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FullTrackName {
    /// Namespace fields; in moq-lite the broadcast path, split at `/`.
    pub namespace: Vec<Bytes>,
    /// Track name.
    pub track: Bytes,
}

/// A subscription within a session, in either direction. Never reused within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// Object fields around a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectHeader {
    /// Group id.
    pub group: u64,
    /// Object id in the group.
    pub object: u64,
    /// Nothing follows in this group.
    pub end_of_group: bool,
    /// Media time in 48 kHz samples.
    pub timestamp: u64,
}

/// Why a request is refused. Each maps to the drafts' own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestError {
    /// Something failed on our side.
    Internal,
    /// The token does not allow it.
    Unauthorized,
    /// Took too long.
    Timeout,
    /// This end does not do such a thing.
    NotSupported,
    /// No such track.
    DoesNotExist,
    /// Too many requests.
    TooMany,
}

/// What happened in a session, for its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The peer's SETUP is in (moq-lite: both may begin at once, fields empty if the peer sent none).
    Ready(Setup),
    /// The peer publishes in this namespace.
    Announced(Vec<Bytes>),
    /// The peer no longer publishes in this namespace.
    Unannounced(Vec<Bytes>),
    /// The peer wants a track of ours: answer with `accept_subscribe` or `reject_subscribe`.
    SubscribeRequested {
        /// Names it from here on.
        id: SubscriptionId,
        /// What it wants.
        name: FullTrackName,
    },
    /// The peer no longer wants it (STOP_SENDING, FIN, RESET or UNSUBSCRIBE): send nothing more.
    SubscribeCancelled(SubscriptionId),
    /// Our `subscribe` was accepted.
    Subscribed(SubscriptionId),
    /// Our `subscribe` was refused.
    SubscribeRefused {
        /// Which.
        id: SubscriptionId,
        /// The peer's code, as on the wire.
        code: u64,
        /// The peer's words.
        reason: String,
    },
    /// A track that we subscribed to has ended.
    SubscriptionEnded(SubscriptionId),
    /// An object of a track that we subscribed to.
    Object {
        /// Which subscription.
        id: SubscriptionId,
        /// Its place. Without a timestamp on the wire, `group * 960`.
        header: ObjectHeader,
        /// Came as a datagram.
        datagram: bool,
        /// Its bytes.
        payload: Bytes,
    },
    /// The peer will go away; connect to `uri` (empty: the same).
    GoAway {
        /// Where to.
        uri: String,
    },
    /// The peer broke the protocol; `Transport::close` was called.
    Failed {
        /// The code of the close.
        code: u64,
        /// What was wrong.
        reason: String,
    },
}
