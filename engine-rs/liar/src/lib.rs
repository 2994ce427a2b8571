//! QUIC clients that say what is not so: what their connection means to send is replaced under the seal, so that no library has
//! to be taught to break its own rules. For tests and benches.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{BufMut, BytesMut};
use quinn_proto::crypto::{
    ClientConfig as Crypto, CryptoError, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError};

/// What is said instead of the truth, once [`Lying::begin`] was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing but PING: acknowledges nothing.
    Silent,
    /// Acknowledges all packets up to this number, whatever was sent: below 2^30.
    Optimist(u32),
    /// The truth.
    None,
}

impl Lie {
    fn frames(self) -> Option<[u8; ROOM]> {
        let mut frames = [0; ROOM];
        let mut out = &mut frames[..];
        match self {
            Self::None => return None,
            Self::Silent => out.put_u8(0x01),
            Self::Optimist(largest) => {
                let largest = largest.min(LARGEST);
                out.put_u8(0x02);
                out.put_u64(u64::from(largest) | 3 << 62);
                out.put_u16(0); // no delay, one range,
                out.put_u32(largest | 2 << 30); // which reaches down to the first packet
            }
        }
        Some(frames)
    }
}

/// Largest that a varint of four bytes holds (RFC 9000 §16).
const LARGEST: u32 = (1 << 30) - 1;
/// Room for the longest lie, taken from the tag.
const ROOM: usize = 16;

/// A client's TLS: of each 1-RTT packet that it seals, the frames are replaced by the lie, as large as they were. Tells the
/// truth until [`Lying::begin`]. For one connection, or for several that begin together.
pub struct Lying {
    inner: Arc<dyn Crypto>,
    lie: Lie,
    begun: Arc<AtomicBool>,
}

impl Lying {
    /// Around the TLS of an honest client.
    #[must_use]
    pub fn new(inner: Arc<dyn Crypto>, lie: Lie) -> Self {
        Self { inner, lie, begun: Arc::default() }
    }

    /// Set to true, it begins.
    #[must_use]
    pub fn begin(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.begun)
    }
}

impl Crypto for Lying {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let inner = Arc::clone(&self.inner).start_session(version, server_name, params)?;
        Ok(Box::new(LyingSession { inner, lie: self.lie, begun: Arc::clone(&self.begun), levels: 0 }))
    }
}

struct LyingSession {
    inner: Box<dyn Session>,
    lie: Lie,
    begun: Arc<AtomicBool>,
    levels: u8,
}

impl LyingSession {
    fn key(&self, inner: Box<dyn PacketKey>) -> Box<dyn PacketKey> {
        Box::new(LyingKey { inner, lie: self.lie, begun: Arc::clone(&self.begun) })
    }
}

impl Session for LyingSession {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.inner.initial_keys(dst_cid, side)
    }
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner.handshake_data()
    }
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }
    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }
    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }
    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }
    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.inner.read_handshake(buf)
    }
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }
    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let mut keys = self.inner.write_handshake(buf)?;
        self.levels += 1;
        if self.levels == 2 {
            keys.packet.local = self.key(keys.packet.local);
        }
        Some(keys)
    }
    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.inner.next_1rtt_keys()?;
        Some(KeyPair { local: self.key(keys.local), remote: keys.remote })
    }
    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(orig_dst_cid, header, payload)
    }
    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}

struct LyingKey {
    inner: Box<dyn PacketKey>,
    lie: Lie,
    begun: Arc<AtomicBool>,
}

impl PacketKey for LyingKey {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let frames = self.lie.frames().filter(|_| self.begun.load(Ordering::Relaxed));
        let end = buf.len().saturating_sub(self.inner.tag_len());
        if let Some(payload) = buf.get_mut(header_len..end) {
            // The room, all PADDING (RFC 9000 §19.1), comes in front of the frames.
            payload.rotate_right(ROOM.min(payload.len()));
            if let Some(frames) = frames {
                payload.fill(0);
                payload.iter_mut().zip(frames).for_each(|(byte, said)| *byte = said);
            }
        }
        self.inner.encrypt(packet, buf, header_len);
    }
    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        self.inner.decrypt(packet, header, payload)
    }
    fn tag_len(&self) -> usize {
        self.inner.tag_len() + ROOM
    }
    fn confidentiality_limit(&self) -> u64 {
        self.inner.confidentiality_limit()
    }
    fn integrity_limit(&self) -> u64 {
        self.inner.integrity_limit()
    }
}
