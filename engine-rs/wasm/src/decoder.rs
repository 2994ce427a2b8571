//! The Opus decoder of the module: a port of libopus to Rust, bit for bit that of its fixed-point build.

use spaces_core::mix_receiver::MixDecoder;
use spaces_core::playout::{DecodeError, Decoder, FRAME, Frame};

/// Decoder of one seat, or of the mix.
pub struct RopusDecoder(Box<ropus::OpusDecoder>);

impl RopusDecoder {
    /// `None` if the library refuses 48 kHz mono, which it does not.
    #[must_use]
    pub fn new() -> Option<Self> {
        ropus::OpusDecoder::new(48_000, 1).ok().map(|decoder| Self(Box::new(decoder)))
    }

    fn run(&mut self, packet: Option<&[u8]>, pcm: &mut Frame, fec: bool) -> Result<(), DecodeError> {
        match self.0.decode(packet, pcm, FRAME as i32, fec) {
            Ok(samples) if samples == FRAME as i32 => Ok(()),
            _ => Err(DecodeError),
        }
    }
}

impl MixDecoder for RopusDecoder {
    fn decode(&mut self, opus: &[u8], pcm: &mut [i16]) -> Result<(), DecodeError> {
        if opus.is_empty() {
            return Err(DecodeError);
        }
        let samples = i32::try_from(pcm.len()).map_err(|_| DecodeError)?;
        match self.0.decode(Some(opus), pcm, samples, false) {
            Ok(decoded) if decoded == samples => Ok(()),
            _ => Err(DecodeError),
        }
    }

    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        self.run(None, pcm, false)
    }
}

impl Decoder for RopusDecoder {
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        if opus.is_empty() { Err(DecodeError) } else { self.run(Some(opus), pcm, false) }
    }

    fn decode_fec(&mut self, next: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        if next.is_empty() { Err(DecodeError) } else { self.run(Some(next), pcm, true) }
    }

    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        self.run(None, pcm, false)
    }
}
