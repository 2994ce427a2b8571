//! The live mix: all seats of a Space decoded, laid onto one timeline, added, limited and encoded once, for plain players,
//! the largest audiences and the replay.
//!
//! Ticks come in order and seats are aligned already (the stage did both), so there is no delay to adapt. Who calls
//! [`Mixer::advance`] decides when a tick is rendered: at once if everybody who talks is in it, else when the one behind it is
//! there, so that its in-band FEC can repair the loss.
//! What waits are packets, never sound: [`Mixer::silence`] leaves nothing of a seat behind.
//!
//! ```text
//! ticks in ─ tick() ─→ one voice a seat (decode, conceal, fade) ─→ sum ─→ limiter ─→ encoder ─→ poll() ─ packets out
//!                                         advance(now) says how far
//! ```
//! Whose packet is all there is may go past the encoder (`mix_forward.rs`).
//! The mix is continuous where people talk. After [`Config::hang_ticks`] of silence it pauses, and the packet that ends
//! the sound says so; no packet is sent until somebody talks again.

use std::collections::VecDeque;

use bytes::Bytes;
use thiserror::Error;

use crate::ids::{MAX_SEATS, SeatMask};
use crate::limiter::Limiter;
use crate::mix_forward::{Forward, Way};
use crate::playout::timeline::Rendered;
use crate::playout::voice::Voice;
use crate::playout::{Decoder, FRAME, Frame, Packet, PlayoutStats};
use crate::record::RecordedFrame;
use crate::uplink::{Level, Spurt};

/// Longest packet of the mix, in ticks: 60 ms (RFC 6716 §2.1.4).
pub const MAX_TICKS: usize = 3;

/// Largest packet of the mix: three frames of 1,275 bytes, TOC, count and two lengths (RFC 6716 §3.2 and §3.4).
pub const MAX_PACKET: usize = 3 * 1275 + 6;

/// How the mix is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Ticks a packet: 1, 2 or 3 (20, 40, 60 ms). Anything else is taken for the nearest.
    pub ticks: u8,
    /// Silent ticks that are still encoded before the mix pauses, so that room tone and reverb end by themselves.
    pub hang_ticks: u8,
    /// Bytes a tick that packets of who talks alone may have on average, to go out as they came, if a packet is one tick.
    /// 0: none does.
    pub forward_bytes: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { ticks: 1, hang_ticks: 10, forward_bytes: 0 }
    }
}

/// The encoder refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the mix cannot be encoded")]
pub struct EncodeError;

/// An Opus encoder of the mix: 48 kHz mono, packets of 1 to [`MAX_TICKS`] ticks.
pub trait Encoder {
    /// Encodes `pcm` (a whole number of ticks).
    ///
    /// # Errors
    /// [`EncodeError`]; the packet is then missing and the next one stands for itself.
    fn encode(&mut self, pcm: &[i16]) -> Result<Bytes, EncodeError>;

    /// Forgets all sound: encoders look ahead, overlap packets and predict one from the other. `before` (whole ticks, or none)
    /// is what was heard last without this encoder: the next packet overlaps it, and stands on no packet before it.
    fn restart(&mut self, before: &[i16]);
}

/// One packet of the mix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixPacket {
    /// The first tick in it.
    pub group: u64,
    /// How many ticks it holds.
    pub ticks: u8,
    /// First after a pause, last before one.
    pub spurt: Spurt,
    /// Level of each seat, in the middle one of the ticks by loudness; `None`: nothing of it is in the packet.
    /// [`Level::SILENCE`]: no more than a fade, or what the encoder's overlap carried over from the packet before.
    pub levels: [Option<Level>; MAX_SEATS],
    /// One Opus packet.
    pub opus: Bytes,
}

impl MixPacket {
    /// The last tick in it.
    #[must_use]
    pub fn last_group(&self) -> u64 {
        self.group.saturating_add(u64::from(self.ticks).saturating_sub(1))
    }

    /// The seats of which there is sound in it.
    #[must_use]
    pub fn seats(&self) -> SeatMask {
        (0..).zip(&self.levels).filter(|(_, level)| level.is_some()).fold(0, |mask, (seat, _)| mask | 1 << seat)
    }
}

/// See the module.
pub struct Mixer<D, E> {
    config: Config,
    voices: [Option<Voice<D>>; MAX_SEATS],
    /// A decoder for a seat that is heard for the first time; `None`: the seat stays silent.
    make: Box<dyn FnMut() -> Option<D> + Send>,
    encoder: E,
    limiter: Limiter,
    /// The next tick to be rendered.
    next: Option<u64>,
    /// Silent ticks in a row; the mix pauses from `hang_ticks` on.
    silent: u8,
    paused: bool,
    /// Seats in the packet encoded last: its end is in the next one, too.
    carried: SeatMask,
    /// Seats of which the encoder has heard since it was reset.
    encoded: SeatMask,
    forward: Forward,
    out: VecDeque<MixPacket>,
    failed: u64,
}

impl<D, E> core::fmt::Debug for Mixer<D, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Mixer").field("next", &self.next).field("paused", &self.paused).finish_non_exhaustive()
    }
}

impl<D: Decoder, E: Encoder> Mixer<D, E> {
    /// A mix in which nobody has spoken yet.
    pub fn new(config: Config, encoder: E, make: impl FnMut() -> Option<D> + Send + 'static) -> Self {
        let ticks = config.ticks.clamp(1, MAX_TICKS as u8);
        Self {
            config: Config { ticks, ..config },
            voices: core::array::from_fn(|_| None),
            make: Box::new(make),
            encoder,
            limiter: Limiter::default(),
            next: None,
            silent: 0,
            paused: true,
            carried: 0,
            encoded: 0,
            forward: Forward::new(if ticks == 1 { config.forward_bytes } else { 0 }),
            out: VecDeque::new(),
            failed: 0,
        }
    }

    /// All frames of `group`. Groups come in rising order; one that was rendered already is dropped.
    pub fn tick(&mut self, group: u64, frames: &[RecordedFrame]) {
        let floor = *self.next.get_or_insert(group);
        for frame in frames {
            let Some(voice) = self.voices.get_mut(frame.seat.index()) else { continue };
            if voice.is_none() {
                *voice = (self.make)().map(Voice::new);
            }
            let packet = Packet {
                tick: group,
                level: frame.level,
                spurt: frame.spurt,
                redundant: false,
                opus: frame.opus.clone(),
            };
            if let Some(voice) = voice {
                voice.put(packet, floor);
            }
        }
    }

    /// Renders all that lies before the tick `group`.
    pub fn advance(&mut self, group: u64) {
        while let Some(next) = self.next {
            // While the mix pauses nothing is due: it begins again with what is said next.
            let first = if self.paused { self.earliest(next) } else { Some(next) };
            let Some(first) = first else {
                self.next = Some(next.max(group));
                return;
            };
            self.next = Some(first);
            if first.saturating_add(u64::from(self.config.ticks)) > group {
                return;
            }
            self.packet(first, self.config.ticks);
        }
    }

    /// Nobody talks after the tick `group`: renders all up to it, in a shorter packet if need be, so that the last words do
    /// not wait for the next ones.
    pub fn flush(&mut self, group: u64) {
        let end = group.saturating_add(1);
        self.advance(end);
        while !self.idle()
            && let Some(first) = self.next.filter(|next| *next < end)
        {
            self.packet(first, (end - first).min(u64::from(self.config.ticks)) as u8);
        }
    }

    /// Nothing waits to be rendered: the mix pauses until somebody talks.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.due().is_none()
    }

    /// The least group with which [`Mixer::advance`] renders a packet.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let next = self.next?;
        let first = if self.paused { self.earliest(next)? } else { next };
        Some(first.saturating_add(u64::from(self.config.ticks)))
    }

    /// Drops everything that is held of `seats`: no packet made from now on has any of it. What the encoder and the limiter
    /// have learnt of them goes with it, which costs the others a few milliseconds.
    pub fn silence(&mut self, seats: SeatMask) {
        for (number, voice) in self.voices.iter_mut().enumerate() {
            if seats >> number & 1 == 1 {
                *voice = None;
            }
        }
        self.forward.forget(seats);
        self.carried &= !seats;
        if self.encoded & seats != 0 {
            self.encoder.restart(&[]);
            self.limiter = Limiter::default();
            (self.carried, self.encoded) = (0, 0);
        }
    }

    /// The next packet.
    pub fn poll(&mut self) -> Option<MixPacket> {
        self.out.pop_front()
    }

    /// What the voices met, all together, and packets that could not be encoded.
    #[must_use]
    pub fn stats(&self) -> (PlayoutStats, u64) {
        let mut stats = PlayoutStats::default();
        for voice in self.voices.iter().flatten() {
            voice.count_into(&mut stats);
        }
        (stats, self.failed)
    }

    /// The first tick from `from` on of which some seat has a packet.
    fn earliest(&self, from: u64) -> Option<u64> {
        self.voices.iter().flatten().filter_map(|voice| voice.earliest(from)).min()
    }

    fn packet(&mut self, first: u64, ticks: u8) {
        let length = usize::from(ticks);
        let mut pcm = [0i16; FRAME * MAX_TICKS];
        let mut levels = [None; MAX_SEATS];
        let mut heard = 0;
        for (tick, out) in (first..).zip(pcm.chunks_exact_mut(FRAME).take(length)) {
            let sound = self.render(tick, out);
            heard |= sound;
            self.silent = if sound == 0 { self.silent.saturating_add(1) } else { 0 };
            for (level, voice) in levels.iter_mut().zip(&self.voices) {
                *level = voice.as_ref().and_then(Voice::level).or(*level);
            }
        }
        let pcm = pcm.get(..FRAME * length).unwrap_or_default();
        let (opus, seats) = self.opus(pcm, heard);
        for (seat, level) in levels.iter_mut().enumerate() {
            if seats >> seat & 1 == 1 {
                level.get_or_insert(Level::SILENCE);
            }
        }
        self.next = Some(first + u64::from(ticks));
        let start = core::mem::replace(&mut self.paused, heard == 0 && self.silent >= self.config.hang_ticks);
        match opus {
            Ok(opus) => self.out.push_back(MixPacket {
                group: first,
                ticks,
                spurt: Spurt { start, end: self.paused },
                levels,
                opus,
            }),
            Err(EncodeError) => self.failed += 1,
        }
    }

    /// The packet of this sound, in which these seats are heard; and the seats of which something is in it.
    fn opus(&mut self, pcm: &[i16], heard: SeatMask) -> (Result<Bytes, EncodeError>, SeatMask) {
        let seat = heard.trailing_zeros() as usize;
        let lone = self.voices.get(seat).and_then(Option::as_ref).filter(|_| heard.is_power_of_two());
        let lone = lone.and_then(Voice::whole);
        let frame = pcm.as_chunks().0.first();
        match frame.map_or(Way::Encoded, |frame| self.forward.choose(self.paused, lone.map(|opus| (seat, opus)), frame))
        {
            Way::Forwarded => {
                self.carried = heard;
                return (lone.cloned().ok_or(EncodeError), heard);
            }
            Way::EncodedAnew => {
                let (ticks, before) = self.forward.take();
                let before = before.as_flattened();
                self.encoder.restart(before.get(before.len() - FRAME * ticks..).unwrap_or_default());
                self.encoded = self.carried;
            }
            Way::Encoded => {}
        }
        let seats = heard | self.carried;
        self.carried = heard;
        self.encoded |= heard;
        (self.encoder.encode(pcm), seats)
    }

    /// One tick of all seats. Answers which of them sound in it.
    fn render(&mut self, tick: u64, out: &mut [i16]) -> SeatMask {
        let mut sum = [0i32; FRAME];
        let mut frame: Frame = [0; FRAME];
        let mut heard = 0;
        for (seat, voice) in self.voices.iter_mut().enumerate() {
            let Some(voice) = voice else { continue };
            if voice.render(tick, &mut frame) == Rendered::Sound {
                heard |= 1 << seat;
                for (sum, &sample) in sum.iter_mut().zip(&frame) {
                    *sum += i32::from(sample);
                }
            }
        }
        self.limiter.apply(&sum, &mut frame);
        out.copy_from_slice(&frame);
        heard
    }
}
