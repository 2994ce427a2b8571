//! The same sessions over TCP, for those whom QUIC does not reach: QMux (draft-ietf-quic-qmux-02) in the binary messages of a
//! WebSocket (draft-lcurley-qmux-websocket-00). What QMux's streams and datagrams carry is what QUIC's carry.
//!
//! A shard serves its WebSockets in its own turns, after its UDP packets have left and for a bounded time. So a session is a
//! session whatever it runs over: no queue lies between it and the engine, and what is silenced is taken back on the spot.

mod connection;
mod dialled;
mod frames;
mod halves;
mod parameters;
mod qmux;
mod service;
mod tcp;
mod upgrade;
mod wire;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use dialled::{DialError, Dialled, Event};
pub use service::WebSocketStats;
pub(crate) use service::WebSockets;
/// For what [`Dialled::send_raw`] sends.
pub use tungstenite::Message;
#[cfg(feature = "fuzzing")]
pub(crate) use {
    qmux::{Qmux, Told},
    upgrade::Upgrade,
};

use crate::quic::{SetupError, provider};

/// How a server takes WebSockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocketConfig {
    /// Where to listen; `None`: at the number of the UDP port, or at any if that one was any too and is taken.
    pub bind: Option<SocketAddr>,
    /// Take `ws://` from everywhere, because a proxy speaks TLS in front; else from this machine only. `wss://` is taken always.
    pub plain: bool,
}

impl WebSocketConfig {
    /// The first shard's listener. `media`: where QUIC is served; `any`: its port was not asked for.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn listen(&self, media: SocketAddr, any: bool) -> io::Result<TcpListener> {
        let first = match tcp::listener(self.bind.unwrap_or(media), false) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && any && self.bind.is_none() => {
                tcp::listener(SocketAddr::new(media.ip(), 0), false)?
            }
            listener => listener?,
        };
        tcp::let_others_in(&first)?;
        Ok(first)
    }
}

/// A further shard's listener, where the first one's is.
///
/// # Errors
/// What the kernel says.
pub(crate) fn listen_too(bound: SocketAddr) -> io::Result<TcpListener> {
    tcp::listener(bound, true)
}

/// What connections are held to.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Without a message for this long, a connection is lost.
    pub(crate) idle: Duration,
    pub(crate) plain: bool,
    /// Connections at most.
    pub(crate) connections: usize,
    /// Connections that one address may begin a second; 0: any number.
    pub(crate) per_address: u32,
}

/// TLS as browsers speak it for `wss://`.
///
/// # Errors
/// [`SetupError`], if certificate and key do not fit.
pub(crate) fn server_tls(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, SetupError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // One ticket without server state: a reconnect storm costs no signatures.
    config.send_tls13_tickets = 1;
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
