//! The lean path: datagrams of established connections go from the shared tick straight into the send batch, and packets that only
//! acknowledge are read here; quinn-proto does everything else.
//!
//! Both write under one connection's keys, so both draw packet numbers from [`Numbers`]. quinn-proto counts for itself and knows
//! nothing of it: [`crypto`] stands between it and its keys, puts the number of the wire into each of its packets when it is
//! sealed, and turns acknowledgements back into quinn-proto's count when a packet is opened. Of ours, [`Flight`] says what became.
//!
//! When in doubt a packet is quinn-proto's: new keys, closes, changes of path, loss of its own packets, violations. A connection
//! whose peer has moved leaves the path for good, because only quinn-proto knows what an unvalidated address may be sent.

mod crypto;
mod flight;
mod keys;
mod numbers;
mod received;
mod rewrite;
mod tls;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::{HeaderKey as _, KeyPair, PacketKey as _};

use crate::congestion::Window;
use crate::frames::{Frame, Frames, expand};
use crate::prefetch::prefetch;
pub(crate) use crypto::{Greeting, LeanServer};
use flight::Flight;
use keys::{HeaderKey, PacketKey};
use numbers::Numbers;
use received::Received;

/// quinn-proto hears of its peer so many times within the idle timeout that both ends agree on: its idle timer and keep-alives,
/// which it sends after a third of ours, live of it. Each time costs several times what an acknowledgement costs here.
const REPORTS: u32 = 4;
/// The idle timeout of a pair of which neither has one, as far as the above goes.
const ENDLESS: Duration = Duration::from_secs(30);
/// Least UDP payload that every path carries (RFC 9000 §14).
const PATH: usize = 1_200;
const TAG: usize = 16;
/// Longest connection id.
const MAX_CID: usize = 20;
/// Bytes of our own connection ids, which packets to us begin with.
pub(crate) const OWN_CID: usize = 8;
/// Short header: flags, connection id, packet number.
const MAX_HEADER: usize = 1 + MAX_CID + 4;
/// What of a packet to us must be there to read its number: header at its longest, and the sample of header protection.
const HEAD: usize = 1 + OWN_CID + 4 + TAG;
/// DATAGRAM that goes to the end of the packet (RFC 9221 §4).
const DATAGRAM: u8 = 0x30;
const FIXED_BIT: u8 = 0x40;
const KEY_PHASE: u8 = 0x04;
const RESERVED: u8 = 0x18;
/// Packets of both senders under one key until a new one is asked for. RFC 9001 §6.6 allows 2^23 with AES-GCM: datagrams stop at
/// three quarters of it, and quinn-proto is told that only the last quarter is its own.
const KEY_LIFE: u64 = 1 << 22;

/// The most that the lean path carries in one datagram.
pub(crate) const MAX_DATAGRAM: usize = PATH - MAX_HEADER - 1 - TAG;

/// The keys of one phase.
#[derive(Clone)]
struct Phase {
    number: u64,
    local: PacketKey,
    remote: PacketKey,
}

/// What became of a datagram to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// It is in the buffer.
    Yes,
    /// The path takes nothing now.
    Blocked,
    /// This is not for the lean path.
    Unfit,
}

/// One connection's, shared with the keys that quinn-proto holds.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Mutex<State>>);

struct State {
    numbers: Numbers,
    flight: Flight,
    /// What is sealed with.
    seal: Option<Phase>,
    /// What packets are expected to be sealed with.
    open: Option<Phase>,
    header: Option<KeyPair<HeaderKey>>,
    /// Sealed under the present key.
    sealed: u64,
    /// The peer's connection id as quinn-proto used it last.
    cid: [u8; MAX_CID],
    cid_length: u8,
    received: Received,
    now: Instant,
    /// When quinn-proto last opened a packet.
    reported: Instant,
    /// After how long it is due to open the next one.
    report: Duration,
    fed: bool,
}

impl Lane {
    fn new(now: Instant, dice: u64, max_ack_delay: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            numbers: Numbers::new(dice),
            flight: Flight::new(Window::new(now, PATH as u16, max_ack_delay)),
            seal: None,
            open: None,
            header: None,
            sealed: 0,
            cid: [0; MAX_CID],
            cid_length: 0,
            received: Received::default(),
            now,
            reported: now,
            report: ENDLESS / REPORTS,
            fed: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings its memory nearer.
    pub(crate) fn fetch(&self) {
        prefetch(&*self.0);
    }

    /// Where in memory it lies.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Brings the keys nearer that open (or seal) packets: they lie elsewhere, and only the lane says where.
    pub(crate) fn fetch_keys(&self, open: bool) {
        let state = self.lock();
        let phase = if open { &state.open } else { &state.seal };
        if let (Some(phase), Some(header)) = (phase, &state.header) {
            let (packet, header) = if open { (&phase.remote, &header.remote) } else { (&phase.local, &header.local) };
            packet.fetch();
            header.fetch();
        }
    }

    /// Appends a packet with one datagram.
    pub(crate) fn seal(&self, now: Instant, datagram: &[u8], out: &mut Vec<u8>) -> Sealed {
        self.lock().seal(now, datagram, out)
    }

    /// Reads a packet with a short header. True: it was understood wholly; otherwise it is quinn-proto's.
    pub(crate) fn open(&self, now: Instant, packet: &[u8], scratch: &mut BytesMut) -> bool {
        self.lock().open(now, packet, scratch).is_some()
    }

    /// The round-trip time, until datagrams have measured it.
    pub(crate) fn set_rtt(&self, rtt: Duration) {
        self.lock().flight.set_rtt(rtt);
    }

    /// The idle timeouts of both ends (RFC 9000 §10.1): the shorter one holds. Zero is none.
    fn set_idle(&self, ends: [Duration; 2]) {
        let idle = ends.into_iter().filter(|idle| !idle.is_zero()).min();
        self.lock().report = idle.unwrap_or(ENDLESS) / REPORTS;
    }

    /// Datagrams sent and lost, ever.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.lock().flight.totals()
    }

    /// Smoothed round-trip time.
    pub(crate) fn rtt(&self) -> Duration {
        self.lock().flight.rtt()
    }

    /// The key has sealed so much that a new one is due.
    pub(crate) fn wants_new_key(&self) -> bool {
        self.lock().sealed >= KEY_LIFE
    }
}

impl State {
    fn seal(&mut self, now: Instant, datagram: &[u8], out: &mut Vec<u8>) -> Sealed {
        self.now = now;
        let (Some(phase), Some(header)) = (&self.seal, &self.header) else { return Sealed::Unfit };
        let Some(cid) = self.cid.get(..usize::from(self.cid_length)) else { return Sealed::Unfit };
        if datagram.is_empty() || datagram.len() > MAX_DATAGRAM || self.sealed >= KEY_LIFE + KEY_LIFE / 2 {
            return Sealed::Unfit;
        }
        let start = out.len();
        if !self.flight.admits(now, (MAX_HEADER + 1 + TAG + datagram.len()) as u64) {
            return Sealed::Blocked;
        }
        let number = self.numbers.take();
        self.sealed += 1;
        let length = self.numbers.length(number);
        let phase_bit = if phase.number & 1 == 1 { KEY_PHASE } else { 0 };
        out.push(FIXED_BIT | phase_bit | (length as u8 - 1));
        out.extend_from_slice(cid);
        out.extend_from_slice(number.to_be_bytes().get(8 - length..).unwrap_or_default());
        out.push(DATAGRAM);
        out.extend_from_slice(datagram);
        out.resize(out.len() + TAG, 0);
        let Some(packet) = out.get_mut(start..) else { return Sealed::Unfit };
        phase.local.encrypt(number, packet, 1 + cid.len() + length);
        header.local.encrypt(1 + cid.len(), packet);
        self.flight.on_sent(now, number, packet.len() as u64);
        Sealed::Yes
    }

    fn open(&mut self, now: Instant, packet: &[u8], scratch: &mut BytesMut) -> Option<()> {
        self.now = now;
        if std::mem::take(&mut self.fed) {
            self.reported = now;
        }
        if now.saturating_duration_since(self.reported) >= self.report {
            return None;
        }
        let (phase, keys) = (self.open.as_ref()?, self.header.as_ref()?);
        let mut head: [u8; HEAD] = packet.get(..HEAD)?.try_into().ok()?;
        keys.remote.decrypt(1 + OWN_CID, &mut head);
        let flags = *head.first()?;
        let length = usize::from(flags & 3) + 1;
        if flags & RESERVED != 0 || (flags & KEY_PHASE != 0) != (phase.number & 1 == 1) {
            return None;
        }
        let header = head.get(..1 + OWN_CID + length)?;
        let number = expand(header.get(1 + OWN_CID..)?, self.received.highest() + 1);
        if !self.received.is_new(number) {
            return None;
        }
        scratch.clear();
        scratch.extend_from_slice(packet.get(header.len()..)?);
        phase.remote.decrypt(number, header, scratch).ok()?;
        let mut acknowledges = false;
        for frame in Frames::new(scratch) {
            match frame.ok()?.0 {
                Frame::Padding => {}
                Frame::Ack(ack) if !self.numbers.concern(ack.ranges()).ok()? => acknowledges = true,
                Frame::Ack(_) | Frame::Datagram(_) | Frame::Other => return None,
            }
        }
        if !acknowledges {
            return None;
        }
        self.received.insert(number);
        for frame in Frames::new(scratch).flatten() {
            if let Frame::Ack(ack) = frame.0 {
                self.flight.on_ack(now, ack.ranges(), held(ack.delay));
            }
        }
        Some(())
    }
}

/// How long the peer says to have waited; with the exponent that nearly everybody uses (RFC 9000 §18.2), as it is a hint only.
fn held(delay: u64) -> Duration {
    Duration::from_micros(delay.min(1 << 20) << 3)
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(any(test, feature = "fuzzing"))]
mod plain;
#[cfg(test)]
mod tests;
