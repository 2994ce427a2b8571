//! Native clients: a [`speaker::Speaker`], a [`listener::Listener`], and a [`load::ListenerLoad`] of thousands of listeners.
//!
//! Each has one thread that owns its socket and connections. Handles share a little state with it under a mutex, never wait,
//! and ring a [`Waker`](crate::endpoint::Waker) (an eventfd) when that state changes, so that any event loop can wait for them.

mod arrivals;
mod call;
mod destination;
mod driver;
mod ears;
pub mod ledger;
pub mod listener;
pub mod load;
mod mixed;
mod pace;
mod reacting;
pub mod speaker;
mod talk;
pub mod tap;
mod told;

use std::time::{Duration, Instant};

pub use destination::{Destination, Via, roots};

use crate::connection::Closed;
use crate::endpoint::EndpointError;
use spaces_core::refusal::Refusal;

/// Why a client does not work, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The URL names no Space.
    #[error("not a Space's URL: {0}")]
    Url(String),
    /// The certificate roots or hashes are none.
    #[error("cannot check the server's certificate: {0}")]
    Trust(String),
    /// Name resolution, sockets, threads.
    #[error("{0}")]
    Io(String),
    /// The server does not want this client. The code is the policy's, or `http.<status>`.
    #[error("refused: {0}")]
    Refused(String),
    /// The server ended the session.
    #[error("closed by the server with {code:#x}: {reason}")]
    Closed {
        /// Application error code.
        code: u64,
        /// The server's words.
        reason: String,
    },
    /// Nothing was heard of the server any more.
    #[error("connection lost")]
    Lost,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// One of the ends broke QUIC, TLS, HTTP/3 or MoQ.
    #[error("protocol: {0}")]
    Protocol(String),
    /// libopus.
    #[error("{0}")]
    Codec(String),
    /// The client's thread panicked.
    #[error("the client's thread panicked: {0}")]
    Panic(String),
    /// Used after it was closed here.
    #[error("closed")]
    NotOpen,
}

impl From<EndpointError> for ClientError {
    fn from(error: EndpointError) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<Closed> for ClientError {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Local => Self::NotOpen,
            Closed::Peer { code, reason } => refusal(code).map_or(Self::Closed { code, reason }, Self::Refused),
            Closed::Refused(status) => Self::Refused(match status {
                Some(403) => Refusal::AuthOrigin.code().to_owned(),
                Some(404) => Refusal::SpaceNotFound.code().to_owned(),
                Some(status) => format!("http.{status}"),
                None => "http".to_owned(),
            }),
            Closed::Lost => Self::Lost,
            Closed::Failed(reason) => Self::Protocol(reason),
        }
    }
}

/// The policy's code that a connection was closed with.
fn refusal(wire: u64) -> Option<String> {
    Refusal::ALL.iter().find(|refusal| u64::from(refusal.wire()) == wire).map(|refusal| refusal.code().to_owned())
}

/// A subscription was refused: with the policy's code, or with somebody else's.
fn refused(code: u64, reason: String) -> ClientError {
    let known = Refusal::parse(&reason).is_some();
    if known { ClientError::Refused(reason) } else { ClientError::Closed { code, reason } }
}

/// Where a client stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Handshake, admission, subscription.
    Connecting,
    /// Frames flow.
    Live,
    /// Over. [`ClientError::NotOpen`]: closed by its owner.
    Over(ClientError),
}

impl State {
    /// Nothing, or why it is over.
    ///
    /// # Errors
    /// The reason.
    pub fn check(&self) -> Result<(), ClientError> {
        match self {
            Self::Over(error) => Err(error.clone()),
            Self::Connecting | Self::Live => Ok(()),
        }
    }
}

/// Instants as microseconds of CLOCK_MONOTONIC, which all processes of a machine share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonic {
    at: Instant,
    micros: u64,
}

impl Monotonic {
    pub(crate) fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let whole = u64::try_from(time.tv_sec).unwrap_or_default().saturating_mul(1_000_000);
        Self { at: Instant::now(), micros: whole + u64::try_from(time.tv_nsec / 1_000).unwrap_or_default() }
    }

    pub(crate) fn micros(&self, at: Instant) -> u64 {
        let part = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.micros.saturating_add(part(at.saturating_duration_since(self.at)))
            - part(self.at.saturating_duration_since(at)).min(self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_back_by_its_code() {
        for refusal in Refusal::ALL {
            let closed = Closed::Peer { code: u64::from(refusal.wire()), reason: String::new() };
            assert_eq!(ClientError::from(closed), ClientError::Refused(refusal.code().into()));
        }
        let other = Closed::Peer { code: 3, reason: "x".into() };
        assert_eq!(ClientError::from(other), ClientError::Closed { code: 3, reason: "x".into() });
        assert_eq!(ClientError::from(Closed::Refused(Some(404))), ClientError::Refused("space.not_found".into()));
    }

    #[test]
    fn instants_before_and_after_the_origin_count() {
        let clock = Monotonic::now();
        let step = Duration::from_millis(5);
        assert_eq!(clock.micros(clock.at + step), clock.micros + 5_000);
        assert_eq!(clock.micros(clock.at - step), clock.micros - 5_000);
    }
}
