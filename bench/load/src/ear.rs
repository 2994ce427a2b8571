//! A listener who has settled, for little: once it is let in, its connection has nothing to do any more but to open packets and
//! to acknowledge them, so that is all that is left of it. A load that lets quinn-proto do this is full long before the server is.
//!
//! While quinn-proto sets the connection up, [`Overheard`] stands between it and its 1-RTT keys and notes them, and the numbers of
//! all packets. [`Ear`] then goes on in quinn-proto's place: the same keys and numbers, and [`Acks`] as it would send them. Servers see no
//! difference. What an ear does not understand is told, never passed over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::crypto::{ClientConfig as Crypto, CryptoError, HeaderKey, KeyPair, Keys, PacketKey};
use spaces_liar::exchange::{Exchange, Exchanged};
use spaces_net::frames::{Frame, Frames, expand};

use crate::acks::Acks;

/// Bytes of quinn-proto's own connection ids.
const OWN_CID: usize = 8;
const TAG: usize = 16;
/// RFC 9000 §17.3.1.
const LONG_HEADER: u8 = 0x80;
const FIXED_BIT: u8 = 0x40;
const RESERVED: u8 = 0x18;
const KEY_PHASE: u8 = 0x04;
/// CONNECTION_CLOSE of QUIC, of the application.
const CLOSES: [u8; 2] = [0x1c, 0x1d];

/// What is noted of a connection.
#[derive(Default)]
struct Notes {
    header: Option<KeyPair<Arc<dyn HeaderKey>>>,
    /// Of each key phase (RFC 9001 §6), as far as quinn-proto has asked for them: one further than it needs.
    phases: Vec<KeyPair<Arc<dyn PacketKey>>>,
    /// The last one that was used.
    phase: usize,
    /// The next packet's number.
    next: u64,
    peer: Vec<u8>,
    own: Option<u64>,
    acks: Acks,
}

/// See the module.
#[derive(Clone, Default)]
pub struct Overheard(Arc<Mutex<Notes>>);

impl Overheard {
    /// A connection's TLS, which is noted.
    #[must_use]
    pub fn crypto(&self, inner: Arc<dyn Crypto>) -> Arc<dyn Crypto> {
        Arc::new(Exchanged::new(inner, Arc::new(self.clone())))
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on in quinn-proto's place, which must not send or receive anything from here on. `None`: too little has been heard.
    #[must_use]
    pub fn take(&self, now: Instant) -> Option<(u64, Ear)> {
        let mut notes = std::mem::take(&mut *self.lock());
        let header = notes.header?;
        // What quinn-proto may still have owed is acknowledged with the first packet, or soon without one.
        notes.acks.owe(now);
        let Notes { phases, phase, next, acks, .. } = notes;
        let ear = Ear { header, phases, phase, next, peer: notes.peer.into(), acks };
        Some((notes.own?, ear))
    }
}

impl Exchange for Overheard {
    fn first(&self, keys: Keys) -> Keys {
        let header = KeyPair { local: Arc::from(keys.header.local), remote: Arc::from(keys.header.remote) };
        let given = KeyPair { local: shared(&header.local), remote: shared(&header.remote) };
        self.lock().header = Some(header);
        Keys { header: given, packet: self.next(keys.packet) }
    }

    fn next(&self, keys: KeyPair<Box<dyn PacketKey>>) -> KeyPair<Box<dyn PacketKey>> {
        let keys = KeyPair { local: Arc::from(keys.local), remote: Arc::from(keys.remote) };
        let mut notes = self.lock();
        let noted = |key: &Arc<dyn PacketKey>| -> Box<dyn PacketKey> {
            Box::new(NotedKey { notes: self.clone(), phase: notes.phases.len(), key: Arc::clone(key) })
        };
        let given = KeyPair { local: noted(&keys.local), remote: noted(&keys.remote) };
        notes.phases.push(keys);
        given
    }
}

fn shared(key: &Arc<dyn HeaderKey>) -> Box<dyn HeaderKey> {
    Box::new(SharedKey(Arc::clone(key)))
}

struct SharedKey(Arc<dyn HeaderKey>);

impl HeaderKey for SharedKey {
    fn decrypt(&self, pn_offset: usize, packet: &mut [u8]) {
        self.0.decrypt(pn_offset, packet);
    }
    fn encrypt(&self, pn_offset: usize, packet: &mut [u8]) {
        self.0.encrypt(pn_offset, packet);
    }
    fn sample_size(&self) -> usize {
        self.0.sample_size()
    }
}

struct NotedKey {
    notes: Overheard,
    phase: usize,
    key: Arc<dyn PacketKey>,
}

impl PacketKey for NotedKey {
    fn encrypt(&self, packet: u64, buf: &mut [u8], header_len: usize) {
        let number = buf.first().map_or(0, |flags| usize::from(flags & 3) + 1);
        let mut notes = self.notes.lock();
        notes.next = packet + 1;
        notes.phase = notes.phase.max(self.phase);
        if let Some(peer) = header_len.checked_sub(number).and_then(|end| buf.get(1..end))
            && notes.peer != peer
        {
            notes.peer = peer.to_vec();
        }
        drop(notes);
        self.key.encrypt(packet, buf, header_len);
    }

    fn decrypt(&self, packet: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        self.key.decrypt(packet, header, payload)?;
        let mut notes = self.notes.lock();
        notes.own = own_id(header);
        notes.phase = notes.phase.max(self.phase);
        if !notes.acks.knows(packet) {
            notes.acks.note(packet);
        }
        Ok(())
    }

    fn tag_len(&self) -> usize {
        self.key.tag_len()
    }
    fn confidentiality_limit(&self) -> u64 {
        self.key.confidentiality_limit()
    }
    fn integrity_limit(&self) -> u64 {
        self.key.integrity_limit()
    }
}

/// To which of quinn-proto's connection ids a packet with a short header goes.
#[must_use]
pub fn own_id(packet: &[u8]) -> Option<u64> {
    let short = packet.first()? & LONG_HEADER == 0;
    let id = packet.get(1..1 + OWN_CID)?.try_into().ok()?;
    short.then(|| u64::from_be_bytes(id))
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Its datagrams were handed out.
    Well,
    /// A copy, damaged, or no packet of this connection: ignored, as RFC 9000 §12.2 wants.
    Ignored,
    /// The server has closed the connection.
    Closed,
    /// Something that an ear does not do: keys newer than the next ones, a frame that there is not.
    Beyond,
}

/// See the module.
pub struct Ear {
    header: KeyPair<Arc<dyn HeaderKey>>,
    phases: Vec<KeyPair<Arc<dyn PacketKey>>>,
    phase: usize,
    next: u64,
    peer: Box<[u8]>,
    acks: Acks,
}

impl Ear {
    /// Opens a packet with a short header, in place, and hands out its datagrams.
    pub fn open(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        scratch: &mut BytesMut,
        mut heard: impl FnMut(&[u8]),
    ) -> Opened {
        if packet.len() < 1 + OWN_CID + 4 + TAG {
            return Opened::Ignored;
        }
        self.header.remote.decrypt(1 + OWN_CID, packet);
        let flags = packet.first().copied().unwrap_or(0);
        let Some((header, payload)) = packet.split_at_checked(1 + OWN_CID + usize::from(flags & 3) + 1) else {
            return Opened::Ignored;
        };
        let number = expand(header.get(1 + OWN_CID..).unwrap_or_default(), self.acks.expected());
        if flags & RESERVED != 0 || self.acks.knows(number) {
            return Opened::Ignored;
        }
        // A server that goes on to new keys is followed (RFC 9001 §6.2); what it sent before and comes later is given up.
        let phase = self.phase + usize::from((flags & KEY_PHASE != 0) != (self.phase % 2 == 1));
        let Some(keys) = self.phases.get(phase) else { return Opened::Beyond };
        scratch.clear();
        scratch.extend_from_slice(payload);
        if keys.remote.decrypt(number, header, scratch).is_err() {
            return Opened::Ignored;
        }
        self.phase = phase;
        let mut eliciting = false;
        for frame in Frames::new(scratch) {
            match frame {
                Ok((Frame::Datagram(datagram), _)) => {
                    eliciting = true;
                    heard(datagram);
                }
                Ok((Frame::Padding | Frame::Ack(_), _)) => {}
                Ok((Frame::Other, bytes)) if bytes.first().is_some_and(|kind| CLOSES.contains(kind)) => {
                    return Opened::Closed;
                }
                Ok((Frame::Other, _)) => eliciting = true,
                Err(_) => return Opened::Beyond,
            }
        }
        self.acks.received(now, number, eliciting);
        Opened::Well
    }

    /// Reads something of it; what, says nothing.
    pub(crate) fn read(&self) -> u64 {
        self.next + self.acks.expected() + self.phases.len() as u64
    }

    /// Reads something of the keys that [`Ear::open`] needs.
    pub(crate) fn read_opening_keys(&self) -> u64 {
        let keys = self.phases.get(self.phase).map_or(0, |keys| keys.remote.tag_len());
        (self.header.remote.sample_size() + keys) as u64
    }

    /// Reads something of the keys that [`Ear::acknowledge`] needs.
    pub(crate) fn read_sealing_keys(&self) -> u64 {
        let keys = self.phases.get(self.phase).map_or(0, |keys| keys.local.tag_len());
        (self.header.local.sample_size() + keys) as u64
    }

    /// When [`Ear::acknowledge`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.acks.due()
    }

    /// Appends a packet that acknowledges what was received.
    pub fn acknowledge(&mut self, now: Instant, out: &mut Vec<u8>) {
        /// Enough for a server that has acknowledged nothing for 2^31 packets: it acknowledges none of these (RFC 9000 §17.1).
        const NUMBER: usize = 4;
        let Some(keys) = self.phases.get(self.phase) else { return };
        let phase = if self.phase % 2 == 1 { KEY_PHASE } else { 0 };
        let start = out.len();
        out.push(FIXED_BIT | phase | (NUMBER as u8 - 1));
        out.extend_from_slice(&self.peer);
        out.extend_from_slice(&(self.next as u32).to_be_bytes());
        let header = out.len() - start;
        self.acks.write(now, out);
        out.resize(out.len() + TAG, 0);
        if let Some(packet) = out.get_mut(start..) {
            keys.local.encrypt(self.next, packet, header);
            self.header.local.encrypt(header - NUMBER, packet);
        }
        self.next += 1;
    }
}
