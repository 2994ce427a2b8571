//! What a speaker publishes on `spaces/<id>/seat/<n>`: one object a frame.
//!
//! Group id = the speaker's own frame counter (one a 20 ms of its capture clock, silence counted too), object 0,
//! payload = `level (1 byte) | flags (1 byte) | Opus packet`. The level is that of RFC 6464: bits 0–6 the level in −dBov
//! (0 loudest, 127 silence), bit 7 voice activity. Flags: bit 0 the first frame of a talkspurt, bit 1 the last one.

use bytes::Bytes;
use thiserror::Error;

/// Largest Opus packet a seat may send: 160 kbit/s in 20 ms would be 400 bytes; two full bundles hold 13 seats at 64 kbit/s.
pub const MAX_FRAME: usize = 512;

/// An RFC 6464 audio level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(pub u8);

impl Level {
    /// No sound.
    pub const SILENCE: Self = Self(127);
    /// Level in −dBov: 0 is the loudest, 127 silence.
    #[must_use]
    pub const fn minus_dbov(self) -> u8 {
        self.0 & 0x7f
    }
    /// The sender's voice-activity bit.
    #[must_use]
    pub const fn voice(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// Where a frame stands in its talkspurt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spurt {
    /// First frame after silence: what lies before it was not lost.
    pub start: bool,
    /// Last frame before silence: what lies behind it will not come.
    pub end: bool,
}

/// One frame of one seat as it came off the wire. `payload` keeps the datagram's memory; nothing is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UplinkFrame {
    /// The speaker's frame counter.
    pub sequence: u64,
    /// How loud.
    pub level: Level,
    /// Talkspurt borders.
    pub spurt: Spurt,
    /// One Opus packet of 20 ms, 1 to [`MAX_FRAME`] bytes.
    pub opus: Bytes,
}

/// Why an object on a seat's track is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UplinkError {
    /// Shorter than level, flags and one byte of Opus.
    #[error("seat object of {0} bytes is too short")]
    Short(usize),
    /// Longer than [`MAX_FRAME`].
    #[error("Opus packet of {0} bytes is over the limit of {MAX_FRAME}")]
    Long(usize),
    /// Flag bits that this version does not know.
    #[error("unknown seat object flags {0:#04x}")]
    Flags(u8),
    /// The Opus TOC byte does not say one 20 ms frame (RFC 6716 §3.1).
    #[error("Opus packet is not of 20 ms (TOC {0:#04x})")]
    Duration(u8),
}

impl UplinkFrame {
    /// Reads an object's payload.
    ///
    /// # Errors
    /// [`UplinkError`], for any bytes that are not one frame.
    pub fn decode(sequence: u64, payload: Bytes) -> Result<Self, UplinkError> {
        let (&[level, flags], opus) = payload
            .split_first_chunk::<2>()
            .filter(|(_, opus)| !opus.is_empty())
            .ok_or(UplinkError::Short(payload.len()))?;
        if opus.len() > MAX_FRAME {
            return Err(UplinkError::Long(opus.len()));
        }
        if flags & !0b11 != 0 {
            return Err(UplinkError::Flags(flags));
        }
        if packet_samples(opus) != Some(960) {
            return Err(UplinkError::Duration(opus.first().copied().unwrap_or_default()));
        }
        Ok(Self {
            sequence,
            level: Level(level),
            spurt: Spurt { start: flags & 1 != 0, end: flags & 2 != 0 },
            opus: payload.slice(2..),
        })
    }

    /// The object's payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.opus.len() + 2);
        out.push(self.level.0);
        out.push(u8::from(self.spurt.start) | u8::from(self.spurt.end) << 1);
        out.extend_from_slice(&self.opus);
        Bytes::from(out)
    }
}

/// Samples at 48 kHz that an Opus packet decodes to, from its TOC and frame count bytes (RFC 6716 §3.1 and §3.2).
/// `None` for an empty packet, or a code 3 packet without its count byte.
#[must_use]
pub fn packet_samples(opus: &[u8]) -> Option<u32> {
    let toc = *opus.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880].get((config & 3) as usize).copied()?,
        config @ 12..=15 => [480, 960].get((config & 1) as usize).copied()?,
        config => [120, 240, 480, 960].get((config & 3) as usize).copied()?,
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(opus.get(1)? & 0x3f),
    };
    Some(frame * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_wire() {
        let frame = UplinkFrame {
            sequence: 7,
            level: Level(0x80 | 31),
            spurt: Spurt { start: true, end: false },
            opus: Bytes::from_static(&[0x78, 1, 2, 3]),
        };
        assert_eq!(UplinkFrame::decode(7, frame.encode()), Ok(frame));
    }

    #[test]
    fn anything_else_is_a_typed_error() {
        let decode = |bytes: &[u8]| UplinkFrame::decode(0, Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(decode(&[]), UplinkError::Short(0));
        assert_eq!(decode(&[1, 0]), UplinkError::Short(2));
        assert_eq!(decode(&[1, 4, 0x78]), UplinkError::Flags(4));
        assert_eq!(decode(&[1, 0, 0x70]), UplinkError::Duration(0x70));
        assert_eq!(decode(&[0x78; MAX_FRAME + 3]), UplinkError::Long(MAX_FRAME + 1));
    }
}
