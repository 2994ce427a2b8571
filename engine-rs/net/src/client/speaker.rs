//! A speaker: PCM or Opus in, frames out on `spaces/<id>/seat/<n>`, in real time if wanted.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use spaces_core::codec::{Encoder, EncoderConfig};
use spaces_core::ids::SeatNo;
use spaces_core::playout::{FRAME, Frame};
use spaces_core::uplink::{Level, MAX_FRAME, Spurt, packet_samples};

use super::call::Handle;
use super::destination::{Destination, Resolved};
use super::talk::Talk;
use super::{ClientError, State, reacting};

/// Frames that may wait in a speaker: a minute.
pub const QUEUE: usize = 3_000;

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
    /// [`frame_hash`](super::ledger::frame_hash) of it.
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

pub(super) enum Sound {
    Pcm(Box<Frame>),
    Opus { packet: Bytes, level: Level, spurt: Spurt },
    Silence,
}

pub(super) struct Item {
    pub(super) sound: Sound,
    pub(super) paced: bool,
    pub(super) at: Instant,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) queue: VecDeque<Item>,
    /// Samples that do not make a frame yet.
    pub(super) rest: Vec<i16>,
    pub(super) log: VecDeque<Sent>,
    pub(super) stats: SpeakerStats,
    /// Reactions that have not left yet.
    pub(super) reactions: Vec<u8>,
}

/// The handle. Dropping it closes the connection.
pub struct Speaker {
    handle: Handle<Inner>,
}

impl Speaker {
    /// Begins to connect. [`Speaker::state`] tells when frames are wanted.
    ///
    /// # Errors
    /// What can be known at once: URL, name, trust, sockets, libopus.
    pub fn connect(config: SpeakerConfig) -> Result<Self, ClientError> {
        let resolved = Arc::new(Resolved::new(&config.destination)?);
        let encoder = Encoder::new(config.encoder).map_err(|error| ClientError::Codec(error.to_string()))?;
        let handle = Handle::connect("spaces-speaker", &resolved, Inner::default(), |call| {
            Talk::new(call, &resolved.namespace, config.seat, encoder)
        })?;
        Ok(Self { handle })
    }

    /// An eventfd that becomes readable when something changed.
    #[must_use]
    pub fn bell_fd(&self) -> RawFd {
        self.handle.bell_fd()
    }

    /// Makes it unreadable again. Call this before looking.
    pub fn clear_bell(&self) {
        self.handle.clear_bell();
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.state()
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
        let missing = match self.handle.lock().rest.len() {
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
        let mut inner = self.handle.lock();
        inner.state.check()?;
        if inner.closing {
            return Err(ClientError::NotOpen);
        }
        put(&mut inner, at)?;
        drop(inner);
        self.handle.wake();
        Ok(())
    }

    /// Reacts. Whether it counts is the server's to say, and not told here.
    ///
    /// # Errors
    /// Why the speaker is over.
    pub fn react(&self, kind: u8) -> Result<(), ClientError> {
        self.push(|inner, _| {
            reacting::put(&mut inner.reactions, kind);
            Ok(())
        })
    }

    /// Drops what has not left yet. The talkspurt ends as in any pause.
    pub fn discard(&self) {
        let mut inner = self.handle.lock();
        inner.queue.clear();
        inner.rest.clear();
    }

    /// Frames that have not left yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.handle.lock().queue.len()
    }

    /// What was sent since the last call, oldest first.
    #[must_use]
    pub fn sent_log(&self) -> Vec<Sent> {
        self.handle.lock().log.drain(..).collect()
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> SpeakerStats {
        self.handle.lock().stats
    }

    /// Ends the connection, without waiting. [`State::Over`] follows within a second.
    pub fn close(&self) {
        self.handle.close();
    }
}
