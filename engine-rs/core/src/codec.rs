//! Opus by libopus (cargo feature `opus`): what a speaker's client encodes with, and the [`Decoder`] of native listeners.
//!
//! 48 kHz mono, 20 ms a packet, tuned for voice, with in-band FEC (LBRR, RFC 6716 §2.1.7) and DTX (§2.1.9).
//!
//! Talkspurts come from DTX. The encoder answers silence with packets of at most two bytes; the first of them is sent with
//! the end flag (it decodes to comfort noise), the others are not, while the frame counter runs on. The next packet that
//! is sent carries the start flag. libopus codes one refresh packet after 20 such frames; as receivers fade to silence
//! instead of playing comfort noise, it is not sent either.

mod activity;

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Signal};
use thiserror::Error;

use crate::mix::{self, EncodeError, MAX_TICKS};
use crate::mix_bundle::MAX_OPUS;
use crate::mix_receiver::MixDecoder;
use crate::playout::{DecodeError, Decoder, FRAME, Frame};
use crate::uplink::{Level, MAX_FRAME, Spurt, UplinkFrame};

pub use activity::{Activity, level};

/// Opus packets up to this size say "silence" (RFC 6716 §2.1.9).
const DTX_BYTES: usize = 2;

/// Silent frames after which libopus codes a refresh packet (`MAX_CONSECUTIVE_DTX`).
const REFRESH_AFTER: u32 = 20;

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Bit/s, 6,000 to 160,000.
    pub bitrate: u32,
    /// Loss that the in-band FEC is sized for, in percent, 0 to 100. 0 sends none.
    pub expected_loss: u8,
    /// CPU spent, 0 (least) to 10.
    pub complexity: u8,
    /// Stop sending in silence.
    pub dtx: bool,
    /// The first frame's number.
    pub first_sequence: u64,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self { bitrate: 32_000, expected_loss: 10, complexity: 9, dtx: true, first_sequence: 0 }
    }
}

/// libopus refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("libopus: {call}: {reason}")]
pub struct CodecError {
    /// The function that failed.
    pub call: &'static str,
    /// What it says.
    pub reason: &'static str,
}

impl From<opus::Error> for CodecError {
    fn from(error: opus::Error) -> Self {
        Self { call: error.function(), reason: error.description() }
    }
}

/// One speaker's encoder. Hand it every 20 ms of the capture clock: to [`Encoder::encode`], or to [`Encoder::skip`] while
/// muted.
#[derive(Debug)]
pub struct Encoder {
    opus: opus::Encoder,
    activity: Activity,
    sequence: u64,
    /// Between the start and the end flag.
    talking: bool,
    silent_frames: u32,
    /// TOC byte of the last packet, for an end marker (code 0: one frame).
    toc: u8,
}

impl Encoder {
    /// # Errors
    /// [`CodecError`] if libopus refuses a setting or has no memory.
    pub fn new(config: EncoderConfig) -> Result<Self, CodecError> {
        let mut opus = opus::Encoder::new(48_000, Channels::Mono, Application::Voip)?;
        opus.set_signal(Signal::Voice)?;
        opus.set_complexity(i32::from(config.complexity.min(10)))?;
        opus.set_dtx(config.dtx)?;
        let mut encoder = Self {
            opus,
            activity: Activity::default(),
            sequence: config.first_sequence,
            talking: false,
            silent_frames: 0,
            toc: 0x78,
        };
        encoder.set_bitrate(config.bitrate)?;
        encoder.set_expected_loss(config.expected_loss)?;
        Ok(encoder)
    }

    /// Encodes 20 ms. `None`: silence, nothing to send; the counter has run on all the same.
    ///
    /// # Errors
    /// [`CodecError`] from libopus; the frame then counts as silence.
    pub fn encode(&mut self, pcm: &Frame) -> Result<Option<UplinkFrame>, CodecError> {
        let level = self.activity.measure(pcm);
        let mut packet = [0u8; MAX_FRAME];
        let size = match self.opus.encode(pcm, &mut packet) {
            Ok(size) => size,
            Err(error) => {
                self.silence(level, None);
                return Err(error.into());
            }
        };
        let packet = packet.get(..size).unwrap_or_default();
        let refresh = !self.talking && !level.voice() && self.silent_frames >= REFRESH_AFTER;
        if size <= DTX_BYTES || refresh {
            return Ok(self.silence(level, Some(packet)));
        }
        self.toc = packet.first().copied().unwrap_or(self.toc);
        self.silent_frames = 0;
        let start = !core::mem::replace(&mut self.talking, true);
        Ok(Some(self.frame(level, Spurt { start, end: false }, Bytes::copy_from_slice(packet))))
    }

    /// 20 ms that are not to be heard (the microphone is muted). Answers the end marker of a talkspurt, once.
    pub fn skip(&mut self) -> Option<UplinkFrame> {
        self.silence(Level::SILENCE, None)
    }

    /// Sets the bitrate, in bit/s; taken into 6,000 to 160,000.
    ///
    /// # Errors
    /// [`CodecError`] from libopus.
    pub fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        Ok(self.opus.set_bitrate(Bitrate::Bits(bitrate.clamp(6_000, 160_000) as i32))?)
    }

    /// Sets the loss that the in-band FEC is sized for, in percent.
    ///
    /// # Errors
    /// [`CodecError`] from libopus.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        self.opus.set_inband_fec(percent > 0)?;
        Ok(self.opus.set_packet_loss_perc(i32::from(percent.min(100)))?)
    }

    /// The number that the next 20 ms get.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// A silent frame: the first one ends the talkspurt and is sent, with the encoder's `packet` or one of only a TOC byte.
    fn silence(&mut self, level: Level, packet: Option<&[u8]>) -> Option<UplinkFrame> {
        self.silent_frames = if self.silent_frames >= REFRESH_AFTER { 0 } else { self.silent_frames + 1 };
        if !core::mem::replace(&mut self.talking, false) {
            self.sequence = self.sequence.wrapping_add(1);
            return None;
        }
        let opus = packet
            .filter(|packet| !packet.is_empty())
            .map_or_else(|| Bytes::copy_from_slice(&[self.toc & !0b11]), Bytes::copy_from_slice);
        Some(self.frame(Level(level.minus_dbov()), Spurt { start: false, end: true }, opus))
    }

    fn frame(&mut self, level: Level, spurt: Spurt, opus: Bytes) -> UplinkFrame {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        UplinkFrame { sequence, level, spurt, opus }
    }
}

/// The mix's encoder: 48 kHz mono, tuned for what people and their rooms sound like together, no DTX (the mixer pauses
/// by itself), packets of 20, 40 or 60 ms.
#[derive(Debug)]
pub struct MixEncoder {
    opus: opus::Encoder,
    /// The next packet stands on none before it.
    alone: bool,
}

impl MixEncoder {
    /// `bitrate` in bit/s, taken into 6,000 to 160,000; `complexity` 0 to 10.
    ///
    /// # Errors
    /// [`CodecError`] if libopus refuses a setting or has no memory.
    pub fn new(bitrate: u32, complexity: u8) -> Result<Self, CodecError> {
        let mut opus = opus::Encoder::new(48_000, Channels::Mono, Application::Audio)?;
        opus.set_complexity(i32::from(complexity.min(10)))?;
        opus.set_bitrate(Bitrate::Bits(bitrate.clamp(6_000, 160_000) as i32))?;
        Ok(Self { opus, alone: false })
    }
}

impl mix::Encoder for MixEncoder {
    fn encode(&mut self, pcm: &[i16]) -> Result<Bytes, EncodeError> {
        // What is larger libopus makes smaller: 60 ms at 144 kbit/s fit, also if three packets are put into one.
        let mut packet = [0u8; MAX_OPUS];
        let most = (MAX_OPUS * pcm.len() / (FRAME * MAX_TICKS)).saturating_sub(2).min(MAX_OPUS);
        let packet = packet.get_mut(..most).unwrap_or_default();
        let size = self.opus.encode(pcm, packet).map_err(|_| EncodeError)?;
        if core::mem::take(&mut self.alone) {
            let _ = self.opus.set_prediction_disabled(false); // fails only for an unknown request, as the next one does
        }
        // With room for one byte more than there is `Bytes` are shared from the beginning: the shards that hand them out ask the heap
        // for nothing.
        let mut shared = Vec::with_capacity(size + 1);
        shared.extend_from_slice(packet.get(..size).ok_or(EncodeError)?);
        Ok(Bytes::from(shared))
    }

    fn restart(&mut self, before: &[i16]) {
        let _ = self.opus.reset_state(); // fails only for an unknown request
        self.alone = self.opus.set_prediction_disabled(!before.is_empty()).is_ok() && !before.is_empty();
        let mut unsent = [0u8; MAX_OPUS];
        for tick in before.chunks_exact(FRAME) {
            let _ = self.opus.encode(tick, &mut unsent); // nobody gets it: it is for what the encoder learns
        }
    }
}

/// libopus's decoder: concealment and in-band FEC included.
#[derive(Debug)]
pub struct OpusDecoder(opus::Decoder);

impl OpusDecoder {
    /// # Errors
    /// [`CodecError`] if there is no memory.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self(opus::Decoder::new(48_000, Channels::Mono)?))
    }

    fn run(&mut self, packet: &[u8], pcm: &mut Frame, fec: bool) -> Result<(), DecodeError> {
        let samples = self.0.decode(packet, pcm, fec).map_err(|_| DecodeError)?;
        if samples == pcm.len() { Ok(()) } else { Err(DecodeError) }
    }
}

impl MixDecoder for OpusDecoder {
    fn decode(&mut self, opus: &[u8], pcm: &mut [i16]) -> Result<(), DecodeError> {
        if opus.is_empty() {
            return Err(DecodeError);
        }
        let samples = self.0.decode(opus, pcm, false).map_err(|_| DecodeError)?;
        if samples == pcm.len() { Ok(()) } else { Err(DecodeError) }
    }

    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        self.run(&[], pcm, false)
    }
}

impl Decoder for OpusDecoder {
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        if opus.is_empty() { Err(DecodeError) } else { self.run(opus, pcm, false) }
    }

    fn decode_fec(&mut self, next: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        if next.is_empty() { Err(DecodeError) } else { self.run(next, pcm, true) }
    }

    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        self.run(&[], pcm, false)
    }
}
