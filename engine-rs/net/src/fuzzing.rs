//! Ways in for the fuzz targets, to a parser that is nobody else's business.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use spaces_moqt::seam::{End, Protocol, StreamId, Transport};

use crate::notice::Incoming;
use crate::websocket::{Qmux, Told, Upgrade};
use crate::webtransport::{Act, Http3};

/// One connection's HTTP/3, with an owner that opens the session whenever it may.
#[derive(Debug)]
pub struct WebTransport {
    http: Http3,
    acts: VecDeque<Act>,
}

/// What a step led to, as far as a target can judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes of a stream of the session.
    Stream {
        /// Which.
        id: u64,
        /// The bytes.
        data: Bytes,
    },
    /// The session is open.
    Opened,
    /// The session or the connection is over.
    Over,
    /// Anything else.
    Other,
}

impl WebTransport {
    /// A server's, or a client's.
    #[must_use]
    pub fn new(server: bool) -> Self {
        Self { http: Http3::new(if server { End::Server } else { End::Client }), acts: VecDeque::new() }
    }

    /// The peer's bytes on a stream.
    pub fn stream(&mut self, id: u64, data: &[u8], fin: bool) -> Vec<Step> {
        self.http.on_stream(id, Bytes::copy_from_slice(data), fin, &mut self.acts);
        self.steps()
    }

    /// The peer resets a stream.
    pub fn reset(&mut self, id: u64) -> Vec<Step> {
        self.http.on_reset(id, &mut self.acts);
        self.steps()
    }

    /// Whether there is a CONNECT stream.
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        self.http.connect_stream().is_some()
    }

    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(act) = self.acts.pop_front() {
            steps.push(match act {
                Act::Requested(_) => {
                    self.http.accept(Some("moqt-18"), &mut self.acts);
                    Step::Opened
                }
                Act::Connect => {
                    self.http.connecting(0);
                    Step::Other
                }
                Act::Opened(_) => Step::Opened,
                Act::Stream { id, data, .. } => Step::Stream { id, data },
                Act::Closed { .. } | Act::Fail { .. } => Step::Over,
                Act::BadRequest(_) | Act::Refused(_) | Act::Reject { .. } => Step::Other,
            });
        }
        steps
    }
}

/// One connection's lane under keys that hide nothing: packets of ours and of quinn-proto's leave, the peer's come in.
pub use crate::lean::fuzzing::Lane;

/// One QMux connection, as one end of it.
#[derive(Debug)]
pub struct QmuxEnd(Qmux);

/// What a message led to, as far as a target can judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes of a stream of the peer's, or its end.
    Stream {
        /// Which.
        id: u64,
        /// The bytes.
        data: Bytes,
        /// Nothing follows.
        fin: bool,
    },
    /// A datagram.
    Datagram(Bytes),
    /// It is over.
    Over,
    /// Anything else.
    Other,
}

impl QmuxEnd {
    /// A server's, or a client's.
    #[must_use]
    pub fn new(server: bool) -> Self {
        Self(Qmux::new(if server { End::Server } else { End::Client }, Duration::from_secs(20)))
    }

    /// The peer's message.
    pub fn record(&mut self, message: &[u8]) -> Vec<Message> {
        self.0.on_record(Bytes::copy_from_slice(message));
        let mut all = Vec::new();
        while let Some(told) = self.0.poll() {
            all.push(match told {
                Told::Incoming(Incoming::Stream { id, data, fin, .. }) => Message::Stream { id: id.0, data, fin },
                Told::Incoming(Incoming::Datagram(data)) => Message::Datagram(data),
                Told::Closed(_) => Message::Over,
                Told::Open | Told::Incoming(_) => Message::Other,
            });
        }
        all
    }

    /// Opens a stream, writes to it, and ends or resets it.
    pub fn stream(&mut self, bidi: bool, data: &[u8], reset: bool) -> Option<u64> {
        let id = if bidi { self.0.open_bi() } else { self.0.open_uni() }?;
        self.0.write(id, data, !reset);
        if reset {
            self.0.reset(id, 1);
        }
        Some(id.0)
    }

    /// Gives up a stream of the peer's.
    pub fn stop(&mut self, id: u64) {
        self.0.stop(StreamId(id), 1);
        self.0.reset(StreamId(id), 1);
    }

    /// Sends a datagram; false: not now.
    pub fn datagram(&mut self, data: &[u8]) -> bool {
        self.0.send_datagram(Bytes::copy_from_slice(data))
    }

    /// The next message for the peer.
    pub fn next(&mut self) -> Option<Bytes> {
        self.0.record()
    }
}

/// Reads an HTTP request and answers it, as far as it is one.
pub fn upgrade(bytes: &[u8]) {
    if let Ok(Some(upgrade)) = Upgrade::parse(bytes) {
        let request = upgrade.request(([192, 0, 2, 1], 1).into());
        for protocol in [Protocol::Lite05, Protocol::Moqt18] {
            let offered = request.protocols.iter().any(|name| name == protocol.name());
            assert_eq!(upgrade.accept(protocol).is_some(), offered);
        }
    }
}
