//! A speaker: PCM or Opus in, frames out on `spaces/<id>/seat/<n>`, in real time if wanted.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::codec::{Encoder, EncoderConfig};
use spaces_core::ids::SeatNo;
use spaces_core::playout::{FRAME, Frame};
use spaces_core::uplink::{Level, MAX_FRAME, Spurt, UplinkFrame, packet_samples};
use spaces_moqt::seam::SessionEvent;

use super::destination::{Destination, Resolved};
use super::driver::{PATIENCE, Peer, Role, spawn};
use super::ledger::frame_hash;
use super::pace::Pace;
use super::{ClientError, Monotonic, State};
use crate::connection::Connection;
use crate::endpoint::{Endpoint, Waker};

/// Frames that may wait in a speaker: a minute.
pub const QUEUE: usize = 3_000;
/// Entries of the log of what was sent; the oldest are dropped over it.
const LOG: usize = 65_536;
/// Frames encoded a turn, so that a long buffer does not keep QUIC from turning.
const BURST: usize = 8;
/// Silent ticks that the frame counter is moved on by, after a pause: an hour.
const LONGEST_PAUSE: u64 = 180_000;
/// How long the last frames and the close have to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a speaker is set up.
#[derive(Clone, Debug)]
pub struct SpeakerConfig {
    /// Where.
    pub destination: Destination,
    /// Which seat. The token's account must hold it.
    pub seat: SeatNo,
    /// How PCM is encoded.
    pub encoder: EncoderConfig,
}

/// A frame that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The speaker's frame counter.
    pub sequence: u64,
    /// [`frame_hash`] of it.
    pub hash: u64,
    /// When it was handed in, or was due if paced: microseconds of CLOCK_MONOTONIC.
    pub sent_at_us: u64,
}

/// What a speaker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpeakerStats {
    /// Frames sent.
    pub sent: u64,
    /// Frames of silence, not sent.
    pub silent: u64,
    /// Frames dropped: the connection took nothing, or the seat is not wanted now (muted by nobody: unseated).
    pub dropped: u64,
    /// Round-trip time, microseconds.
    pub rtt_us: u64,
    /// QUIC packets declared lost.
    pub lost_packets: u64,
    /// The server told us to go.
    pub going_away: bool,
}

enum Sound {
    Pcm(Box<Frame>),
    Opus { packet: Bytes, level: Level, spurt: Spurt },
    Silence,
}

struct Item {
    sound: Sound,
    paced: bool,
    at: Instant,
}

struct Inner {
    state: State,
    queue: VecDeque<Item>,
    /// Samples that do not make a frame yet.
    rest: Vec<i16>,
    log: VecDeque<Sent>,
    stats: SpeakerStats,
    closing: bool,
}

struct Shared {
    inner: Mutex<Inner>,
    bell: Waker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle. Dropping it closes the connection.
pub struct Speaker {
    shared: Arc<Shared>,
    waker: Waker,
}

impl Speaker {
    /// Begins to connect. [`Speaker::state`] tells when frames are wanted.
    ///
    /// # Errors
    /// What can be known at once: URL, name, trust, sockets, libopus.
    pub fn connect(config: SpeakerConfig) -> Result<Self, ClientError> {
        let resolved = Arc::new(Resolved::new(&config.destination)?);
        let encoder = Encoder::new(config.encoder).map_err(|error| ClientError::Codec(error.to_string()))?;
        let bell = Waker::new().map_err(|error| ClientError::Io(error.to_string()))?;
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                state: State::Connecting,
                queue: VecDeque::new(),
                rest: Vec::new(),
                log: VecDeque::new(),
                stats: SpeakerStats::default(),
                closing: false,
            }),
            bell,
        });
        let mut handle = None;
        spawn("spaces-speaker", Arc::clone(&resolved), |endpoint, waker| {
            handle = Some(waker);
            let key = resolved.dial(endpoint, Peer::default())?;
            Ok(Talk {
                shared: Arc::clone(&shared),
                namespace: seat_namespace(&resolved.namespace, config.seat),
                seat: config.seat,
                encoder,
                offset: 0,
                spoken: false,
                pace: Pace::default(),
                paused: true,
                clock: Monotonic::now(),
                key: Some(key),
                deadline: Some(Instant::now() + PATIENCE),
                next: None,
            })
        })?;
        let waker = handle.ok_or(ClientError::NotOpen)?;
        Ok(Self { shared, waker })
    }

    /// An eventfd that becomes readable when something changed.
    #[must_use]
    pub fn bell_fd(&self) -> RawFd {
        self.shared.bell.raw_fd()
    }

    /// Makes it unreadable again. Call this before looking.
    pub fn clear_bell(&self) {
        let _ = self.shared.bell.take();
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock().state.clone()
    }

    /// Hands in 48 kHz mono of any length; what makes no whole frame waits for more. `paced`: one frame every 20 ms, else at
    /// once.
    ///
    /// # Errors
    /// Why the speaker is over. Over [`QUEUE`] frames, [`ClientError::Io`].
    pub fn push_pcm(&self, samples: impl IntoIterator<Item = i16>, paced: bool) -> Result<(), ClientError> {
        self.push(|inner, at| {
            inner.rest.extend(samples);
            let whole = inner.rest.len() / FRAME;
            if inner.queue.len() + whole > QUEUE {
                inner.rest.clear();
                return Err(ClientError::Io(format!("over {QUEUE} frames wait")));
            }
            let (frames, _) = inner.rest.as_chunks::<FRAME>();
            inner.queue.extend(frames.iter().map(|frame| Item { sound: Sound::Pcm(Box::new(*frame)), paced, at }));
            inner.rest.drain(..whole * FRAME);
            Ok(())
        })
    }

    /// Hands in one Opus packet of 20 ms, sent at once, or in its turn if `paced`.
    ///
    /// # Errors
    /// As [`Speaker::push_pcm`]; [`ClientError::Codec`] if it is no such packet.
    pub fn push_opus(&self, packet: Bytes, level: Level, spurt: Spurt, paced: bool) -> Result<(), ClientError> {
        if packet.len() > MAX_FRAME || packet_samples(&packet) != Some(FRAME as u32) {
            return Err(ClientError::Codec(format!("not an Opus packet of 20 ms and at most {MAX_FRAME} bytes")));
        }
        self.push_one(Sound::Opus { packet, level, spurt }, paced)
    }

    /// 20 ms of silence that is not sent: ends the talkspurt.
    ///
    /// # Errors
    /// As [`Speaker::push_pcm`].
    pub fn push_silence(&self, paced: bool) -> Result<(), ClientError> {
        self.push_one(Sound::Silence, paced)
    }

    /// Ends what was said: fills the last frame up with silence, and ends the talkspurt in its turn.
    ///
    /// # Errors
    /// As [`Speaker::push_pcm`].
    pub fn finish(&self) -> Result<(), ClientError> {
        let missing = match self.shared.lock().rest.len() {
            0 => 0,
            some => FRAME - some,
        };
        self.push_pcm(std::iter::repeat_n(0, missing), true)?;
        self.push_silence(true)
    }

    fn push_one(&self, sound: Sound, paced: bool) -> Result<(), ClientError> {
        self.push(|inner, at| {
            if inner.queue.len() >= QUEUE {
                return Err(ClientError::Io(format!("over {QUEUE} frames wait")));
            }
            inner.queue.push_back(Item { sound, paced, at });
            Ok(())
        })
    }

    fn push(&self, put: impl FnOnce(&mut Inner, Instant) -> Result<(), ClientError>) -> Result<(), ClientError> {
        let at = Instant::now();
        let mut inner = self.shared.lock();
        inner.state.check()?;
        if inner.closing {
            return Err(ClientError::NotOpen);
        }
        put(&mut inner, at)?;
        drop(inner);
        self.waker.wake();
        Ok(())
    }

    /// Drops what has not left yet. The talkspurt ends as in any pause.
    pub fn discard(&self) {
        let mut inner = self.shared.lock();
        inner.queue.clear();
        inner.rest.clear();
    }

    /// Frames that have not left yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// What was sent since the last call, oldest first.
    #[must_use]
    pub fn sent_log(&self) -> Vec<Sent> {
        self.shared.lock().log.drain(..).collect()
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> SpeakerStats {
        self.shared.lock().stats
    }

    /// Ends the connection, without waiting. [`State::Over`] follows within a second.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.waker.wake();
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the speaker's thread does.
struct Talk {
    shared: Arc<Shared>,
    namespace: Vec<Bytes>,
    seat: SeatNo,
    encoder: Encoder,
    /// Frames that did not pass the encoder: Opus handed in.
    offset: u64,
    /// Opus handed in has begun a talkspurt.
    spoken: bool,
    pace: Pace,
    paused: bool,
    clock: Monotonic,
    key: Option<u32>,
    /// When connecting, or closing, has taken too long.
    deadline: Option<Instant>,
    next: Option<Instant>,
}

impl Talk {
    fn over(&mut self, why: ClientError) {
        let mut inner = self.shared.lock();
        if !matches!(inner.state, State::Over(_)) {
            inner.state = State::Over(if inner.closing { ClientError::NotOpen } else { why });
        }
        inner.queue.clear();
        drop(inner);
        self.shared.bell.wake();
    }

    /// The next frame as it goes out, or `None` if it is silence. Counts it either way.
    fn frame(&mut self, sound: Sound) -> Result<Option<UplinkFrame>, ClientError> {
        match sound {
            Sound::Pcm(pcm) => {
                let frame = self.encoder.encode(&pcm).map_err(|error| ClientError::Codec(error.to_string()))?;
                Ok(frame.map(|frame| self.numbered(frame)))
            }
            Sound::Opus { packet, level, spurt } => {
                let sequence = self.encoder.next_sequence().wrapping_add(self.offset);
                self.offset = self.offset.wrapping_add(1);
                let start = spurt.start || !self.spoken;
                self.spoken = !spurt.end;
                Ok(Some(UplinkFrame { sequence, level, spurt: Spurt { start, end: spurt.end }, opus: packet }))
            }
            Sound::Silence => {
                self.spoken = false;
                let frame = self.encoder.skip();
                Ok(frame.map(|frame| self.numbered(frame)))
            }
        }
    }

    fn numbered(&self, mut frame: UplinkFrame) -> UplinkFrame {
        frame.sequence = frame.sequence.wrapping_add(self.offset);
        frame
    }

    /// Takes what is due from the queue and sends it.
    fn speak(&mut self, connection: &mut Connection, peer: &Peer) {
        let now = Instant::now();
        self.next = None;
        for _ in 0..BURST {
            let mut inner = self.shared.lock();
            let Some((paced, at)) = inner.queue.front().map(|item| (item.paced, item.at)) else {
                drop(inner);
                return self.rest(connection, peer, now);
            };
            let due = self.pace.due(paced, now);
            if due > now {
                self.next = Some(due);
                return;
            }
            let Some(item) = inner.queue.pop_front() else { return };
            drop(inner);
            let missed = if self.paused { self.pace.missed(due).min(LONGEST_PAUSE) } else { 0 };
            for _ in 0..missed {
                let _ = self.encoder.skip(); // the talkspurt was ended when the pause began
            }
            self.paused = false;
            self.pace.sent(due);
            let sent_at = if paced { due.max(at) } else { at };
            match self.frame(item.sound) {
                Ok(Some(frame)) => self.send(connection, peer, &frame, sent_at),
                Ok(None) => self.shared.lock().stats.silent += 1,
                Err(error) => return self.over(error),
            }
        }
        self.next = Some(now);
    }

    /// Nothing is queued: after a while the talkspurt is over.
    fn rest(&mut self, connection: &mut Connection, peer: &Peer, now: Instant) {
        if self.paused {
            return;
        }
        match self.pace.pause_at() {
            Some(at) if at > now => self.next = Some(at),
            _ => {
                self.paused = true;
                self.spoken = false;
                if let Some(frame) = self.encoder.skip() {
                    // Three ticks late: it may be dropped, so it is not logged as a frame that listeners are owed.
                    let frame = self.numbered(frame);
                    let _ = peer.send_frame(connection, frame.sequence, &frame.encode());
                }
                self.pace.ended();
            }
        }
    }

    fn send(&self, connection: &mut Connection, peer: &Peer, frame: &UplinkFrame, at: Instant) {
        let sent = peer.send_frame(connection, frame.sequence, &frame.encode());
        let mut inner = self.shared.lock();
        if !sent {
            inner.stats.dropped += 1;
            return;
        }
        inner.stats.sent += 1;
        if inner.log.len() >= LOG {
            inner.log.pop_front();
        }
        let hash = frame_hash(self.seat, &frame.opus);
        inner.log.push_back(Sent { sequence: frame.sequence, hash, sent_at_us: self.clock.micros(at) });
    }
}

impl Role for Talk {
    fn opened(&mut self, connection: &mut Connection, peer: &mut Peer) {
        peer.announce(connection, self.namespace.clone());
    }

    fn event(&mut self, connection: &mut Connection, peer: &mut Peer, event: SessionEvent, _now: Instant) {
        match event {
            SessionEvent::SubscribeRequested { id, name } => {
                if name.namespace != self.namespace || &name.track[..] != b"audio" {
                    return peer.reject(connection, id);
                }
                peer.accept(connection, id);
                self.deadline = None;
                self.shared.lock().state = State::Live;
                self.shared.bell.wake();
            }
            SessionEvent::SubscribeCancelled(id) if peer.uplink == Some(id) => peer.uplink = None,
            SessionEvent::GoAway { .. } => {
                self.shared.lock().stats.going_away = true;
                self.shared.bell.wake();
            }
            _ => {}
        }
    }

    fn closed(&mut self, _key: u32, _peer: &Peer, why: ClientError) {
        self.key = None;
        self.deadline = Some(Instant::now() + FAREWELL);
        self.over(why);
    }

    fn turn(&mut self, endpoint: &mut Endpoint<Peer>) -> bool {
        let now = Instant::now();
        let (closing, live, before) = {
            let inner = self.shared.lock();
            (inner.closing, inner.state == State::Live, inner.queue.len())
        };
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        if late && !closing {
            self.over(ClientError::Timeout);
        }
        let key = self.key.filter(|key| endpoint.connections.get(*key).is_some());
        let Some((connection, peer)) = key.and_then(|key| endpoint.connections.get_mut(key)) else {
            // A closing connection has told its end; what it still has to send leaves with this turn and the next.
            return !endpoint.connections.is_empty() && !late;
        };
        if (closing && !live) || late || matches!(self.shared.lock().state, State::Over(_)) {
            peer.close(connection);
            self.key = None;
            self.deadline = Some(now + FAREWELL);
            return true;
        }
        if live {
            self.speak(connection, peer);
            let path = connection.path_stats();
            let mut inner = self.shared.lock();
            inner.stats.rtt_us = u64::try_from(path.rtt.as_micros()).unwrap_or(u64::MAX);
            inner.stats.lost_packets = path.lost_packets;
            let (after, over) = (inner.queue.len(), inner.closing);
            drop(inner);
            if after != before {
                self.shared.bell.wake();
            }
            if over {
                peer.close(connection);
                self.key = None;
                self.deadline = Some(now + FAREWELL);
            }
        }
        true
    }

    fn next_timeout(&self) -> Option<Instant> {
        match (self.next.filter(|_| self.key.is_some()), self.deadline) {
            (Some(next), Some(deadline)) => Some(next.min(deadline)),
            (next, deadline) => next.or(deadline),
        }
    }

    fn ended(&mut self, why: ClientError) {
        self.over(why);
    }
}

fn seat_namespace(space: &[Bytes], seat: SeatNo) -> Vec<Bytes> {
    let mut namespace = space.to_vec();
    namespace.extend([Bytes::from_static(b"seat"), Bytes::from(seat.get().to_string())]);
    namespace
}
