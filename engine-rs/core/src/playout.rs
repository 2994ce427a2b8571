//! The receiver's jitter buffer: packets in as they come, 48 kHz mono PCM out as the sound card asks.
//!
//! [`Playout`] is that of one seat; [`crate::receiver::Receiver`] runs all seats of a stage on one timeline. Both hand the
//! same two things to the same `Timeline`: when packets came, and a source that renders the sound of a tick.
//!
//! - `delay`: how late packets come, and how long playout therefore waits (the *target*).
//! - `timeline`: what the next output is: the next tick, concealment, silence, or a tick made shorter or longer.
//! - `stretch`: takes a pitch period out of a tick or repeats one, without a click.
//! - `voice`: one seat's packets and decoder: loss, in-band FEC, talkspurt borders, fades.
//!
//! Time is handed in, and it must be one clock for [`Playout::push`] and [`Playout::pull`]. Samples are taken to be played
//! evenly, as fast as they are pulled in the mean; when exactly a pull is made does not matter, so a sound card may ask for
//! several blocks at once. The constant delay between a pull and the ear is the caller's to know.

pub(crate) mod delay;
pub(crate) mod stretch;
pub(crate) mod timeline;
pub(crate) mod voice;

use bytes::Bytes;
use thiserror::Error;

use crate::time::{TICK_SAMPLES, Time};
use crate::uplink::{Level, Spurt};

use delay::Arrival;
use timeline::{Rendered, Source, Timeline};
use voice::{Put, Voice};

/// Samples of a tick.
pub const FRAME: usize = TICK_SAMPLES as usize;

/// The PCM of one tick.
pub type Frame = [i16; FRAME];

/// The decoder refused a packet, or gave another length than 20 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("packet does not decode to 20 ms")]
pub struct DecodeError;

/// An Opus decoder of one seat, 48 kHz mono. Calls come in order of playing, one a tick.
pub trait Decoder {
    /// Decodes a packet of 20 ms.
    ///
    /// # Errors
    /// [`DecodeError`]; `pcm` is then undefined.
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError>;

    /// Decodes a lost tick from the in-band FEC of the packet behind it (RFC 6716 §2.1.7). The packet itself is decoded
    /// afterwards with [`Decoder::decode`].
    ///
    /// # Errors
    /// [`DecodeError`]; `pcm` is then undefined.
    fn decode_fec(&mut self, next: &[u8], pcm: &mut Frame) -> Result<(), DecodeError>;

    /// Makes up a lost tick from what came before.
    ///
    /// # Errors
    /// [`DecodeError`]; `pcm` is then undefined.
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError>;
}

/// Bounds of the playout delay, over that of the fastest packets. What does not make sense is set right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// Milliseconds, at least.
    pub min_ms: u16,
    /// Milliseconds, at most; up to 500.
    pub max_ms: u16,
    /// Milliseconds, before anything was measured.
    pub start_ms: u16,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self { min_ms: 20, max_ms: 500, start_ms: 40 }
    }
}

/// What became of a pushed packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Waits to be played.
    Kept,
    /// The tick is here already.
    Duplicate,
    /// The tick was played or made up.
    Late,
    /// Not 20 ms of Opus, or of a time that cannot be.
    Refused,
}

/// What happened so far. Samples are at 48 kHz; a seat's samples each, so 13 seats count up to 13 times as fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    /// Samples pulled.
    pub pulled_samples: u64,
    /// Samples decoded from their own packet.
    pub decoded_samples: u64,
    /// Samples decoded from the next packet's in-band FEC.
    pub fec_samples: u64,
    /// Samples made up because a packet was lost or not there in time.
    pub concealed_samples: u64,
    /// Samples taken out by time-stretch, to lower the delay.
    pub removed_samples: u64,
    /// Samples put in by time-stretch, to raise the delay.
    pub inserted_samples: u64,
    /// Packets that came after their tick was played.
    pub late_packets: u64,
    /// Packets that came twice.
    pub duplicate_packets: u64,
    /// Ticks filled by a redundant copy.
    pub redundant_packets: u64,
    /// Packets refused: not 20 ms of Opus, bundles cut short, impossible times.
    pub refused_packets: u64,
    /// Ticks skipped to catch up after a stall, or in a joiner's burst.
    pub skipped_ticks: u64,
    /// Times that nothing came for longer than a tick within a talkspurt.
    pub stalls: u64,
    /// Times that the delay measurement began anew.
    pub restarts: u64,
    /// Playout delay aimed at, in milliseconds over that of the fastest packets.
    pub target_ms: u32,
    /// Playout delay now, likewise.
    pub delay_ms: u32,
}

/// One frame of a seat on its way to the speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Media time in ticks of 20 ms.
    pub tick: u64,
    /// How loud.
    pub level: Level,
    /// Talkspurt borders.
    pub spurt: Spurt,
    /// A repetition that came with the next tick.
    pub redundant: bool,
    /// One Opus packet of 20 ms.
    pub opus: Bytes,
}

/// The jitter buffer of one seat: [`Playout::push`] whatever comes, [`Playout::pull`] every 10 or 20 ms.
#[derive(Debug)]
pub struct Playout<D> {
    timeline: Timeline,
    voice: Voice<D>,
    refused: u64,
}

impl<D: Decoder> Playout<D> {
    /// An empty one.
    pub fn new(decoder: D, config: PlayoutConfig) -> Self {
        Self { timeline: Timeline::new(config), voice: Voice::new(decoder), refused: 0 }
    }

    /// A packet came at `now`.
    pub fn push(&mut self, now: Time, packet: Packet) -> Pushed {
        let recoverable = packet.redundant || voice::carries_fec(&packet);
        let arrived = if packet.redundant { packet.tick.saturating_add(1) } else { packet.tick };
        match self.timeline.arrived(now, arrived, recoverable) {
            Arrival::Refused => return Pushed::Refused,
            Arrival::Restarted => self.voice.clear(),
            Arrival::Measured => {}
        }
        match self.voice.put(packet, self.timeline.floor()) {
            Put::Kept => Pushed::Kept,
            Put::Duplicate => Pushed::Duplicate,
            Put::Late => Pushed::Late,
            Put::Refused => {
                self.refused += 1;
                Pushed::Refused
            }
        }
    }

    /// Fills `out`, at `now`.
    pub fn pull(&mut self, now: Time, out: &mut [i16]) {
        self.timeline.pull(now, out, &mut Alone(&mut self.voice));
    }

    /// How loud the seat is in what is being played; `None` while it is silent.
    #[must_use]
    pub const fn level(&self) -> Option<Level> {
        self.voice.level()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> PlayoutStats {
        let mut stats = self.timeline.stats();
        self.voice.count_into(&mut stats);
        stats.refused_packets += self.refused;
        stats
    }
}

/// One voice as the whole sound.
struct Alone<'a, D>(&'a mut Voice<D>);

impl<D: Decoder> Source for Alone<'_, D> {
    fn earliest(&self, from: u64) -> Option<u64> {
        self.0.earliest(from)
    }
    fn newest(&self) -> Option<u64> {
        self.0.newest()
    }
    fn talking(&self) -> bool {
        self.0.talking()
    }
    fn sounding(&self) -> bool {
        self.0.sounding()
    }
    fn render(&mut self, tick: u64, out: &mut Frame) -> Rendered {
        self.0.render(tick, out)
    }
    fn bridge(&mut self, out: &mut Frame) -> Rendered {
        self.0.bridge(out)
    }
    fn cut(&mut self, to: u64, out: &mut Frame) -> Rendered {
        self.0.cut(to, out)
    }
}
