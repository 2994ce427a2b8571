//! TLS of the answering end, held no longer than it is needed: of a finished handshake only what the next keys come from is kept.
//!
//! quinn-proto's own session keeps all of it for as long as the connection lives, four kilobytes of which nothing is asked any more.
//! After the handshake a client has nothing to say to us in TLS: it is asked for no certificate (RFC 9001 §4.4), and keys are updated
//! by QUIC (§6). Whatever it says all the same ends the connection.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::{self, ServerConfig};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::AlertDescription;
use rustls::quic::{KeyChange, Keys, PacketKeySet, Secrets, ServerConnection, Version};
use spaces_core::varint;

use crate::quic::ServerTls;

/// Its number among the transport parameters (RFC 9000 §18.2).
const MAX_IDLE_TIMEOUT: u64 = 0x01;

/// See the module.
pub(super) struct TlsSession {
    server: Arc<ServerTls>,
    version: u32,
    /// Until the handshake is done and all that belongs to it is written.
    handshake: Option<Box<ServerConnection>>,
    /// Where the keys after those handed out come from.
    next: Option<Secrets>,
    /// What ALPN has chosen, once it has.
    protocol: Option<Vec<u8>>,
}

impl TlsSession {
    pub(super) fn new(server: Arc<ServerTls>, version: u32, params: &TransportParameters) -> Self {
        let mut ours = Vec::new();
        params.write(&mut ours);
        // It fails if the configuration is none for QUIC; then so does every handshake.
        let handshake = ServerConnection::new(Arc::clone(&server.tls), wire_image(version), ours).ok();
        Self { server, version, handshake: handshake.map(Box::new), next: None, protocol: None }
    }

    /// What ALPN has chosen, once it has.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.protocol.as_deref()
    }

    pub(super) fn initial_keys(&self, dst_cid: &ConnectionId) -> crypto::Keys {
        #[expect(clippy::expect_used, reason = "quinn-proto begins no session in a version that was refused before")]
        self.server.quic.initial_keys(self.version, dst_cid).expect("a version that has begun")
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.handshake.as_ref().is_some_and(|handshake| handshake.is_handshaking())
    }

    /// True: [`TlsSession::protocol`] is known from now on.
    pub(super) fn read(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        let Some(handshake) = &mut self.handshake else {
            return Err(failure(Some(AlertDescription::UnexpectedMessage), "nothing follows the handshake"));
        };
        if let Err(error) = handshake.read_hs(buf) {
            return Err(failure(handshake.alert(), &error.to_string()));
        }
        let known = self.protocol.is_some();
        if !known {
            self.protocol = handshake.alpn_protocol().map(Vec::from);
        }
        Ok(!known && self.protocol.is_some())
    }

    pub(super) fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let theirs = self.handshake.as_ref().and_then(|handshake| handshake.quic_transport_parameters());
        Ok(theirs.map(|mut theirs| TransportParameters::read(Side::Server, &mut theirs)).transpose()?)
    }

    /// The peer's idle timeout, from its transport parameters: zero if it has none, or if they are not there any more.
    pub(super) fn peers_idle(&self) -> Duration {
        let theirs = self.handshake.as_ref().and_then(|handshake| handshake.quic_transport_parameters());
        Duration::from_millis(theirs.and_then(max_idle_timeout).unwrap_or(0))
    }

    pub(super) fn write(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let handshake = self.handshake.as_mut()?;
        let before = buf.len();
        let keys = match handshake.write_hs(buf) {
            Some(KeyChange::Handshake { keys }) => keys,
            Some(KeyChange::OneRtt { keys, next }) => {
                self.next = Some(next);
                keys
            }
            None => {
                if buf.len() == before && self.next.is_some() && !handshake.is_handshaking() {
                    self.handshake = None;
                }
                return None;
            }
        };
        Some(keys)
    }

    pub(super) fn next_keys(&mut self) -> Option<PacketKeySet> {
        Some(self.next.as_mut()?.next_packet_keys())
    }
}

/// How rustls calls the versions that quinn-proto speaks: the drafts up to 32 have labels of their own.
const fn wire_image(version: u32) -> Version {
    match version {
        0xff00_001d..=0xff00_0020 => Version::V1Draft,
        _ => Version::V1,
    }
}

/// RFC 9001 §4.8.
fn failure(alert: Option<AlertDescription>, reason: &str) -> TransportError {
    let code = alert.map_or(TransportErrorCode::PROTOCOL_VIOLATION, |alert| TransportErrorCode::crypto(alert.into()));
    TransportError { code, frame: None, reason: format!("TLS: {reason}") }
}

/// `max_idle_timeout` in milliseconds, among transport parameters as they are sent: number, length, value (RFC 9000 §18). `None`: it
/// is not there, or they are malformed, which quinn-proto says to the peer.
fn max_idle_timeout(mut parameters: &[u8]) -> Option<u64> {
    loop {
        let (number, length) = (varint::read(&mut parameters)?, varint::read(&mut parameters)?);
        let (mut value, rest) = parameters.split_at_checked(usize::try_from(length).ok()?)?;
        if number == MAX_IDLE_TIMEOUT {
            return varint::read(&mut value);
        }
        parameters = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_timeout_is_found_among_parameters_whatever_else_they_are() {
        let grease = [0x1b, 2, 7, 7];
        let of = |idle: &[u8]| [&grease[..], &[0x01, idle.len() as u8], idle, &[0x04, 1, 9]].concat();
        assert_eq!(max_idle_timeout(&of(&[0x80, 0, 0x75, 0x30])), Some(30_000));
        assert_eq!(max_idle_timeout(&of(&[0x3f])), Some(63));
        assert_eq!(max_idle_timeout(&of(&[])), None, "no value");
        assert_eq!(max_idle_timeout(&grease), None, "not there");
        let whole = of(&[0x80, 0, 0x75, 0x30]);
        for length in 0..10 {
            assert_eq!(max_idle_timeout(&whole[..length]), None, "cut to {length}");
        }
        assert_eq!(max_idle_timeout(&[0xff; 40]), None, "longer than there is");
    }
}
