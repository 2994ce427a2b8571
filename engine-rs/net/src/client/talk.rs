//! The speaker's thread: takes sound when it is due, encodes it, and sends it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use spaces_core::codec::Encoder;
use spaces_core::ids::SeatNo;
use spaces_core::uplink::{Spurt, UplinkFrame};
use spaces_moqt::seam::SessionEvent;

use super::call::Call;
use super::driver::{Peer, Role};
use super::ledger::frame_hash;
use super::pace::Pace;
use super::reacting::Reacting;
use super::speaker::{Inner, Sent, Sound};
use super::{ClientError, State};
use crate::connection::Connection;
use crate::endpoint::Endpoint;

/// Frames encoded a turn, so that a long buffer does not keep QUIC from turning.
const BURST: usize = 8;
/// Silent ticks that the frame counter is moved on by, after a pause: an hour.
const LONGEST_PAUSE: u64 = 180_000;
/// How long a frame may take from here until the server has put it into a tick, on a path that loses nothing.
const RELAY: Duration = Duration::from_millis(60);
/// Entries of the log of what was sent; the oldest are dropped over it.
const LOG: usize = 65_536;

/// What the speaker's thread does.
pub(super) struct Talk {
    call: Call<Inner>,
    namespace: Vec<Bytes>,
    reacting: Reacting,
    seat: SeatNo,
    encoder: Encoder,
    /// Frames that did not pass the encoder: Opus handed in.
    offset: u64,
    /// Opus handed in has begun a talkspurt.
    spoken: bool,
    pace: Pace,
    paused: bool,
    last_sent: Option<Instant>,
    next: Option<Instant>,
}

impl Talk {
    pub(super) fn new(call: Call<Inner>, space: &[Bytes], seat: SeatNo, encoder: Encoder) -> Self {
        Self {
            call,
            namespace: seat_namespace(space, seat),
            reacting: Reacting::new(space),
            seat,
            encoder,
            offset: 0,
            spoken: false,
            pace: Pace::default(),
            paused: true,
            last_sent: None,
            next: None,
        }
    }

    fn over(&self, why: ClientError) {
        self.call.over_and(why, |inner| inner.queue.clear());
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
            let mut inner = self.call.shared.lock();
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
            for _ in 0..self.pace.take_skipped().min(LONGEST_PAUSE) {
                self.skip(connection, peer);
            }
            self.paused = false;
            self.pace.sent(due);
            let sent_at = if paced { due.max(at) } else { at };
            match self.frame(item.sound) {
                Ok(Some(frame)) => self.send(connection, peer, &frame, sent_at),
                Ok(None) => self.call.shared.lock().stats.silent += 1,
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
                self.skip(connection, peer);
                self.pace.ended();
            }
        }
    }

    /// Lets a tick pass. The end marker of a talkspurt is late by then and may be dropped, so it is not logged as a frame that
    /// listeners are owed.
    fn skip(&mut self, connection: &mut Connection, peer: &Peer) {
        if let Some(frame) = self.encoder.skip() {
            let frame = self.numbered(frame);
            let _ = peer.send_frame(connection, frame.sequence, &frame.encode());
        }
    }

    fn send(&mut self, connection: &mut Connection, peer: &Peer, frame: &UplinkFrame, at: Instant) {
        let sent = peer.send_frame(connection, frame.sequence, &frame.encode());
        let mut inner = self.call.shared.lock();
        if !sent {
            inner.stats.dropped += 1;
            return;
        }
        inner.stats.sent += 1;
        self.last_sent = Some(Instant::now());
        if inner.log.len() >= LOG {
            inner.log.pop_front();
        }
        let hash = frame_hash(self.seat, &frame.opus);
        inner.log.push_back(Sent { sequence: frame.sequence, hash, sent_at_us: self.call.shared.clock.micros(at) });
    }
}

impl Role for Talk {
    fn opened(&mut self, connection: &mut Connection, peer: &mut Peer) {
        peer.announce(connection, self.namespace.clone());
    }

    fn event(&mut self, connection: &mut Connection, peer: &mut Peer, event: SessionEvent, _now: Instant) {
        match event {
            SessionEvent::SubscribeRequested { id, name } => {
                if self.reacting.requested(connection, peer, id, &name) {
                    return;
                }
                if name.namespace != self.namespace || &name.track[..] != b"audio" {
                    return peer.reject(connection, id);
                }
                peer.accept(connection, id);
                peer.uplink = Some(id);
                self.call.live();
            }
            SessionEvent::SubscribeCancelled(id) if peer.uplink == Some(id) => peer.uplink = None,
            SessionEvent::SubscribeCancelled(id) => self.reacting.cancelled(id),
            SessionEvent::GoAway { .. } => {
                self.call.shared.lock().stats.going_away = true;
                self.call.shared.bell.wake();
            }
            _ => {}
        }
    }

    fn closed(&mut self, _key: u32, _peer: &Peer, why: ClientError) {
        self.call.gone();
        self.over(why);
    }

    fn turn(&mut self, endpoint: &mut Endpoint<Peer>) -> bool {
        let now = Instant::now();
        let (closing, live, before) = {
            let inner = self.call.shared.lock();
            (inner.closing, inner.state == State::Live, inner.queue.len())
        };
        let late = self.call.is_late(now);
        if late && !closing {
            self.over(ClientError::Timeout);
        }
        let key = self.call.key().filter(|key| endpoint.connections.get(*key).is_some());
        let Some((connection, peer)) = key.and_then(|key| endpoint.connections.get_mut(key)) else {
            // A closing connection has told its end; what it still has to send leaves with this turn and the next.
            return !endpoint.connections.is_empty() && !late;
        };
        if (closing && !live) || late || matches!(self.call.shared.lock().state, State::Over(_)) {
            self.call.leave(connection, peer);
            return true;
        }
        if live {
            self.reacting.send(connection, peer, &mut self.call.shared.lock().reactions);
        }
        if live && closing {
            // Who leaves takes along what the server has not put into a tick yet.
            let until = self.last_sent.map_or(now, |at| at + RELAY);
            if until > now {
                self.next = Some(until);
            } else {
                self.call.leave(connection, peer);
            }
        } else if live {
            self.speak(connection, peer);
            let path = connection.path_stats();
            let mut inner = self.call.shared.lock();
            inner.stats.rtt_us = u64::try_from(path.rtt.as_micros()).unwrap_or(u64::MAX);
            inner.stats.lost_packets = path.lost_packets;
            let after = inner.queue.len();
            drop(inner);
            if after != before {
                self.call.shared.bell.wake();
            }
        }
        true
    }

    fn next_timeout(&self) -> Option<Instant> {
        let next = self.next.filter(|_| self.call.key().is_some());
        next.into_iter().chain(self.call.deadline()).min()
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
