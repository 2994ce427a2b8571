//! Sound for receivers: a decoder that costs nothing, and packets of the mix out of two bytes.

use bytes::Bytes;
use spaces_core::mix::MixPacket;
use spaces_core::mix_receiver::MixDecoder;
use spaces_core::playout::{DecodeError, Decoder, Frame};
use spaces_core::uplink::{Level, Spurt};

/// A decoder whose sound is the same all the time, and which refuses one packet in seven.
pub struct Steady;

impl MixDecoder for Steady {
    fn decode(&mut self, opus: &[u8], pcm: &mut [i16]) -> Result<(), DecodeError> {
        pcm.fill(1_000);
        if opus.len() % 7 == 6 { Err(DecodeError) } else { Ok(()) }
    }
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        pcm.fill(1_000);
        Ok(())
    }
}

impl Decoder for Steady {
    fn decode(&mut self, opus: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        MixDecoder::decode(self, opus, pcm)
    }
    fn decode_fec(&mut self, next: &[u8], pcm: &mut Frame) -> Result<(), DecodeError> {
        MixDecoder::decode(self, next, pcm)
    }
    fn conceal(&mut self, pcm: &mut Frame) -> Result<(), DecodeError> {
        MixDecoder::conceal(self, pcm)
    }
}

/// A packet of the mix that begins with tick `group`.
pub fn packet(group: u64, how: u8, what: u8) -> MixPacket {
    let ticks = what & 3;
    let mut levels = [None; 13];
    levels[usize::from(what & 7)] = Some(Level(how >> 1));
    let spurt = Spurt { start: what & 4 != 0, end: what & 8 != 0 };
    // CELT, 20 ms a frame; code 3 with so many frames.
    let opus = Bytes::from(vec![0xfb, ticks, 1, 2, 3, what][..4 + usize::from(how & 2)].to_vec());
    MixPacket { group, ticks, spurt, levels, opus }
}
