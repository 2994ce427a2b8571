//! QUIC clients that say what is not so: what their connection means to send is replaced under the seal, so that no library has
//! to be taught to break its own rules. For tests and benches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{BufMut, BytesMut};
use quinn_proto::crypto::{ClientConfig as Crypto, CryptoError, KeyPair, Keys, PacketKey};

pub mod exchange;

use exchange::{Exchange, Exchanged};

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

/// Replaces the frames of each 1-RTT packet that a client seals by the lie, as large as they were. Tells the truth until
/// [`Lying::begin`]. For one connection, or for several that begin together.
pub struct Lying {
    lie: Lie,
    begun: Arc<AtomicBool>,
}

impl Lying {
    /// Nothing is said yet.
    #[must_use]
    pub fn new(lie: Lie) -> Self {
        Self { lie, begun: Arc::default() }
    }

    /// Set to true, it begins.
    #[must_use]
    pub fn begin(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.begun)
    }

    /// Around the TLS of an honest client.
    #[must_use]
    pub fn crypto(self, inner: Arc<dyn Crypto>) -> Arc<dyn Crypto> {
        Arc::new(Exchanged::new(inner, Arc::new(self)))
    }

    fn key(&self, inner: Box<dyn PacketKey>) -> Box<dyn PacketKey> {
        Box::new(LyingKey { inner, lie: self.lie, begun: Arc::clone(&self.begun) })
    }
}

impl Exchange for Lying {
    fn first(&self, mut keys: Keys) -> Keys {
        keys.packet.local = self.key(keys.packet.local);
        keys
    }

    fn next(&self, keys: KeyPair<Box<dyn PacketKey>>) -> KeyPair<Box<dyn PacketKey>> {
        KeyPair { local: self.key(keys.local), remote: keys.remote }
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
