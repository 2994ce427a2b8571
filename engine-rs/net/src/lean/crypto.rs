//! Stands between quinn-proto and the keys of its 1-RTT packets: numbers go out as [`super::numbers`] gives them, acknowledgements come
//! in as quinn-proto counts.
//!
//! A packet's number on the wire is longer than quinn-proto thinks, always four bytes. The room is in the tag, which is said to be
//! three bytes longer than it is; what is over becomes PADDING in front of the frames.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::{
    self, CryptoError, ExportKeyingMaterialError, KeyPair, Keys, ServerConfig, Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError};
use rand::RngExt;
use rustls::quic::PacketKeySet;

use super::keys::{HeaderKey, PacketKey};
use super::rewrite::rewrite;
use super::tls::TlsSession;
use super::{Lane, Phase};
use crate::quic::ServerTls;

/// By how much a packet number may grow.
const ROOM: usize = 3;
/// Length of every packet number that quinn-proto sends.
const NUMBER: usize = 4;

/// What [`Session::handshake_data`] gives: how the handshake went, and the connection's lane.
pub(crate) struct Greeting {
    /// What ALPN has chosen.
    pub(crate) protocol: Vec<u8>,
    pub(crate) lane: Lane,
}

/// TLS of the answering end, with a lane for each connection.
pub(crate) struct LeanServer {
    pub(crate) tls: Arc<ServerTls>,
    /// How long peers may be asked to hold back acknowledgements.
    pub(crate) max_ack_delay: Duration,
    /// Our idle timeout; zero: none.
    pub(crate) idle: Duration,
}

impl ServerConfig for LeanServer {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.tls.quic.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.tls.quic.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        let lane = Lane::new(Instant::now(), rand::rng().random(), self.max_ack_delay);
        let inner = TlsSession::new(Arc::clone(&self.tls), version, params);
        Box::new(LeanSession { inner, lane, idle: self.idle, levels: 0, phases: 0 })
    }
}

struct LeanSession {
    inner: TlsSession,
    lane: Lane,
    /// Ours.
    idle: Duration,
    /// Sets of keys handed out: handshake, then 1-RTT.
    levels: u8,
    phases: u64,
}

impl LeanSession {
    fn phase(&mut self, keys: PacketKeySet) -> Phase {
        let number = self.phases;
        self.phases += 1;
        Phase { number, local: keys.local.into(), remote: keys.remote.into() }
    }

    fn between(&self, phase: &Phase) -> KeyPair<Box<dyn crypto::PacketKey>> {
        KeyPair {
            local: Box::new(Between { lane: self.lane.clone(), phase: phase.clone(), local: true }),
            remote: Box::new(Between { lane: self.lane.clone(), phase: phase.clone(), local: false }),
        }
    }
}

impl Session for LeanSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, _side: Side) -> Keys {
        self.inner.initial_keys(dst_cid)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let protocol = self.inner.protocol()?.to_vec();
        Some(Box::new(Greeting { protocol, lane: self.lane.clone() }))
    }

    /// Nobody is asked for a certificate.
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    /// No early data until requests are replay-safe.
    fn early_crypto(&self) -> Option<(Box<dyn crypto::HeaderKey>, Box<dyn crypto::PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.inner.read(buf)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let rustls::quic::Keys { local, remote } = self.inner.write(buf)?;
        self.levels = self.levels.saturating_add(1);
        if self.levels != 2 {
            return Some(Keys {
                header: KeyPair { local: Box::new(local.header), remote: Box::new(remote.header) },
                packet: KeyPair { local: Box::new(local.packet), remote: Box::new(remote.packet) },
            });
        }
        self.lane.set_idle([self.idle, self.inner.peers_idle()]);
        let header = KeyPair { local: HeaderKey::from(local.header), remote: HeaderKey::from(remote.header) };
        let phase = self.phase(PacketKeySet { local: local.packet, remote: remote.packet });
        let packet = self.between(&phase);
        let shared = KeyPair {
            local: Box::new(header.local.clone()) as Box<dyn crypto::HeaderKey>,
            remote: Box::new(header.remote.clone()) as Box<dyn crypto::HeaderKey>,
        };
        let mut state = self.lane.lock();
        state.header = Some(header);
        state.seal = Some(phase.clone());
        state.open = Some(phase);
        drop(state);
        Some(Keys { header: shared, packet })
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn crypto::PacketKey>>> {
        let keys = self.inner.next_keys()?;
        let phase = self.phase(keys);
        Some(self.between(&phase))
    }

    /// Only a client is sent one.
    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        false
    }

    /// Nobody exports keys here, and what they would come from is gone.
    fn export_keying_material(&self, _: &mut [u8], _: &[u8], _: &[u8]) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

/// One direction's key of one phase, as quinn-proto sees it.
struct Between {
    lane: Lane,
    phase: Phase,
    local: bool,
}

impl Between {
    fn key(&self) -> &PacketKey {
        if self.local { &self.phase.local } else { &self.phase.remote }
    }
}

impl crypto::PacketKey for Between {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let wire = {
            let mut state = self.lane.lock();
            if state.seal.as_ref().is_none_or(|seal| seal.number < self.phase.number) {
                state.seal = Some(self.phase.clone());
                state.sealed = 0;
            }
            state.sealed += 1;
            let length = buf.first().map_or(0, |flags| usize::from(flags & 3) + 1);
            if let Some(cid) = header_len.checked_sub(length).and_then(|end| buf.get(1..end))
                && let Some(place) = state.cid.get_mut(..cid.len())
            {
                place.copy_from_slice(cid);
                state.cid_length = cid.len() as u8;
            }
            state.numbers.take_for(packet)
        };
        let header = lengthen(buf, header_len, wire);
        self.key().encrypt(wire, buf, header);
    }

    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        if !self.lane.lock().received.is_new(packet) {
            return Err(CryptoError);
        }
        self.key().decrypt(packet, header, payload)?;
        let mut state = self.lane.lock();
        state.fed = true;
        state.received.insert(packet);
        // The peer has gone on to new keys; so must we before we acknowledge anything (RFC 9001 §6.2), as quinn-proto does now.
        if state.open.as_ref().is_none_or(|open| open.number < self.phase.number) {
            state.open = Some(self.phase.clone());
        }
        if state.seal.as_ref().is_none_or(|seal| seal.number < self.phase.number) {
            state.seal = Some(self.phase.clone());
            state.sealed = 0;
        }
        rewrite(&mut state, payload);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        self.key().tag_len() + if self.local { ROOM } else { 0 }
    }

    fn confidentiality_limit(&self) -> u64 {
        let limit = self.key().confidentiality_limit();
        if self.local { limit_of_quinn(limit) } else { limit }
    }

    fn integrity_limit(&self) -> u64 {
        self.key().integrity_limit()
    }
}

/// Of what a key may seal, quinn-proto's part; see [`super::KEY_LIFE`].
pub(super) const fn limit_of_quinn(limit: u64) -> u64 {
    limit / 4
}

/// Writes `wire` into a packet's header, in four bytes. Everything behind it moves by [`ROOM`], which lies unused at the packet's
/// end; what the number does not need becomes PADDING. Returns the header's new length.
fn lengthen(buf: &mut [u8], header_len: usize, wire: u64) -> usize {
    let Some(end) = buf.len().checked_sub(ROOM).filter(|end| *end >= header_len) else { return header_len };
    let Some(flags) = buf.first_mut() else { return header_len };
    let length = usize::from(*flags & 3) + 1;
    *flags |= 3;
    buf.copy_within(header_len..end, header_len + ROOM);
    let start = header_len - length;
    if let Some(moved) = buf.get_mut(start..header_len + ROOM) {
        moved.fill(0);
        if let Some(number) = moved.get_mut(..NUMBER) {
            number.copy_from_slice(&(wire as u32).to_be_bytes());
        }
    }
    start + NUMBER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_number_takes_its_room_from_the_tag() {
        for length in 1..=4usize {
            let header: Vec<u8> = [&[0x40 | (length as u8 - 1)][..], &[9; 8], &[7; 4][..length]].concat();
            let mut packet = [&header[..], b"frames", &[0; 16 + ROOM]].concat();
            let total = packet.len();
            let new = lengthen(&mut packet, header.len(), 0x1_0203_0405);
            assert_eq!((packet.len(), new), (total, 13));
            assert_eq!(packet[0], 0x43);
            assert_eq!(packet[1..9], [9; 8]);
            assert_eq!(packet[9..13], [2, 3, 4, 5]);
            let padding = length - 1;
            assert!(packet[13..13 + padding].iter().all(|byte| *byte == 0));
            assert_eq!(&packet[13 + padding..19 + padding], b"frames");
            assert_eq!(packet.len() - (19 + padding), 16);
        }
        assert_eq!(lengthen(&mut [0x40], 1, 5), 1, "no room: nothing is touched");
    }
}
