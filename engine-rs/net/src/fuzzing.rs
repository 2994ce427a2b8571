//! Ways in for the fuzz targets, to a parser that is nobody else's business.

use std::collections::VecDeque;

use bytes::Bytes;
use spaces_moqt::seam::End;

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
