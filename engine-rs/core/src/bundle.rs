//! The stage bundle: all seats heard in one tick, as one object that every listener gets unchanged.
//!
//! Group id = tick, object 0. Payload = entries until its end:
//! ```text
//! entry = head (1 byte) | level (1 byte, RFC 6464) | length (QUIC varint) | Opus packet
//! head  = bits 0–3 seat (0..13) | bit 4 first frame of a talkspurt | bit 5 last frame of a talkspurt
//!       | bit 6 redundant: this frame belongs to the group before | bit 7 must be 0
//! ```
//! A bundle keeps within [`MAX_PAYLOAD`]; what does not fit goes to the second part (track `stage.1`).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::ids::SeatNo;
use crate::uplink::{Level, MAX_FRAME, Spurt};
use crate::varint;

/// Largest payload that passes every peer tried: datagram limits start at 1,162 bytes, less the object's header.
pub const MAX_PAYLOAD: usize = 1_100;

const START: u8 = 1 << 4;
const END: u8 = 1 << 5;
const REDUNDANT: u8 = 1 << 6;
const RESERVED: u8 = 1 << 7;

/// One seat's frame in a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whose.
    pub seat: SeatNo,
    /// How loud.
    pub level: Level,
    /// Talkspurt borders.
    pub spurt: Spurt,
    /// The frame is a repetition of the previous group's, for listeners with loss.
    pub redundant: bool,
    /// One Opus packet of 20 ms.
    pub opus: &'a [u8],
}

impl Entry<'_> {
    /// Bytes that [`Entry::write`] uses.
    #[must_use]
    pub const fn size(&self) -> usize {
        2 + varint::size(self.opus.len() as u64) + self.opus.len()
    }

    /// Appends this entry.
    pub fn write(&self, out: &mut BytesMut) {
        let mut head = self.seat.get();
        head |= if self.spurt.start { START } else { 0 };
        head |= if self.spurt.end { END } else { 0 };
        head |= if self.redundant { REDUNDANT } else { 0 };
        out.put_u8(head);
        out.put_u8(self.level.0);
        varint::write(out, self.opus.len() as u64);
        out.put_slice(self.opus);
    }
}

/// Why a payload is not a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BundleError {
    /// An entry runs past the end.
    #[error("bundle is cut short")]
    Short,
    /// A seat over 12, or the reserved bit.
    #[error("unknown bundle entry head {0:#04x}")]
    Head(u8),
    /// An empty frame, or one over [`MAX_FRAME`].
    #[error("bundle entry of {0} bytes")]
    Length(u64),
}

/// Reads the entries of `payload`. After an error there is nothing more.
pub fn entries(payload: &[u8]) -> Entries<'_> {
    Entries { rest: payload }
}

/// Iterator of [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = read(self.rest);
        self.rest = entry.as_ref().map_or(&[], |(_, rest)| rest);
        Some(entry.map(|(entry, _)| entry))
    }
}

fn read(input: &[u8]) -> Result<(Entry<'_>, &[u8]), BundleError> {
    let (&[head, level], mut rest) = input.split_first_chunk::<2>().ok_or(BundleError::Short)?;
    let seat = SeatNo::new(head & 0x0f).filter(|_| head & RESERVED == 0).ok_or(BundleError::Head(head))?;
    let length = varint::read(&mut rest).ok_or(BundleError::Short)?;
    if length == 0 || length > MAX_FRAME as u64 {
        return Err(BundleError::Length(length));
    }
    let (opus, rest) = rest.split_at_checked(length as usize).ok_or(BundleError::Short)?;
    let spurt = Spurt { start: head & START != 0, end: head & END != 0 };
    Ok((Entry { seat, level: Level(level), spurt, redundant: head & REDUNDANT != 0, opus }, rest))
}

/// Writes `entries` into as few payloads as hold them, in order, none over [`MAX_PAYLOAD`].
pub fn encode<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<Bytes> {
    let mut parts = Vec::with_capacity(1);
    let mut part = BytesMut::new();
    for entry in entries {
        if !part.is_empty() && part.len() + entry.size() > MAX_PAYLOAD {
            parts.push(part.split().freeze());
        }
        entry.write(&mut part);
    }
    if !part.is_empty() {
        parts.push(part.freeze());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seat: u8, opus: &[u8]) -> Entry<'_> {
        Entry {
            seat: SeatNo::new(seat).unwrap(),
            level: Level(40),
            spurt: Spurt { start: seat == 0, end: false },
            redundant: seat == 3,
            opus,
        }
    }

    #[test]
    fn a_bundle_reads_as_it_was_written() {
        let frames = [[1u8; 80].as_slice(), &[2; 3], &[3; 200], &[4; 64]];
        let written: Vec<_> = frames.iter().zip(0..).map(|(opus, seat)| entry(seat, opus)).collect();
        let parts = encode(written.iter().copied());
        assert_eq!(parts.len(), 1);
        let read: Result<Vec<_>, _> = entries(&parts[0]).collect();
        assert_eq!(read.unwrap(), written);
    }

    #[test]
    fn thirteen_loud_seats_overflow_into_the_second_part() {
        let opus = [9u8; 160];
        let parts = encode((0..13).map(|seat| entry(seat, &opus)));
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() <= MAX_PAYLOAD));
        assert_eq!(parts.iter().flat_map(|part| entries(part)).filter(Result::is_ok).count(), 13);
    }

    #[test]
    fn any_cut_is_an_error_and_ends() {
        let part = &encode([entry(1, &[7; 30])])[0];
        for cut in 1..part.len() {
            let read: Vec<_> = entries(&part[..cut]).collect();
            assert_eq!(read, [Err(BundleError::Short)]);
        }
        assert_eq!(entries(&[0x0d, 0, 1, 0]).next(), Some(Err(BundleError::Head(0x0d))));
        assert_eq!(entries(&[0x80, 0, 1, 0]).next(), Some(Err(BundleError::Head(0x80))));
        assert_eq!(entries(&[0, 0, 0]).next(), Some(Err(BundleError::Length(0))));
    }
}
