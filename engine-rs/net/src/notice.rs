//! What a connection asks, carries and says.

use std::net::SocketAddr;

use bytes::Bytes;
use spaces_moqt::seam::{Protocol, StreamId};
use url::Url;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Handshake and, for WebTransport, CONNECT.
    Opening,
    /// The session's streams and datagrams flow.
    Open,
    /// We have closed; the last bytes are on their way.
    Closing,
    /// Nothing flows any more.
    Gone,
}

/// What a peer asks for when it dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who.
    pub remote: SocketAddr,
    /// Over WebTransport rather than raw QUIC.
    pub web: bool,
    /// Offered subprotocols; for raw QUIC, the ALPN.
    pub protocols: Vec<String>,
    /// Path of the CONNECT; empty for raw QUIC.
    pub path: String,
    /// What follows `?` in it.
    pub query: Option<String>,
    /// The page's origin, if a browser dials.
    pub origin: Option<String>,
}

/// What a connection carries in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Bytes of a stream, in order.
    Stream {
        /// Which.
        id: StreamId,
        /// Both directions.
        bidi: bool,
        /// May be empty with `fin`.
        data: Bytes,
        /// Nothing follows.
        fin: bool,
    },
    /// The peer abandoned its send half.
    Reset {
        /// Which.
        id: StreamId,
        /// Its code.
        code: u64,
    },
    /// The peer wants no more on our send half, or it was over its bound ([`crate::connection::RESET_SLOW_PEER`]).
    Stopped {
        /// Which.
        id: StreamId,
        /// Its code.
        code: u64,
    },
    /// Streams may be opened again.
    Credit,
    /// One datagram.
    Datagram(Bytes),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// We closed it.
    Local,
    /// The peer closed it.
    Peer {
        /// Application error code.
        code: u64,
        /// Its words.
        reason: String,
    },
    /// The peer refused the CONNECT with this HTTP status, if it gave one.
    Refused(Option<u16>),
    /// Nothing was heard of it any more.
    Lost,
    /// One of the ends broke QUIC, TLS or HTTP/3.
    Failed(String),
}

/// What happened, for the endpoint to pass on.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Answering end: accept or refuse.
    Request(Request),
    /// The session is open.
    Open(Protocol),
    /// See [`Incoming`].
    Incoming(Incoming),
    /// The session is over. Comes once.
    Closed(Closed),
}

/// What a dialling end wants.
#[derive(Clone, Debug)]
pub enum Target {
    /// Raw QUIC, with the protocol's name as ALPN.
    Raw(Protocol),
    /// WebTransport.
    Web {
        /// `https` URL with path and query.
        url: Url,
        /// `Origin` header.
        origin: Option<String>,
        /// Offered subprotocols, best first.
        protocols: Vec<Protocol>,
        /// Spoken if the server names none.
        fallback: Protocol,
    },
}
