//! The Opus decoder of the module: a port of libopus to Rust, bit for bit that of its fixed-point build.

use spaces_core::playout::{DecodeError, Decoder, FRAME, Frame};

/// Decoder of one seat.
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
