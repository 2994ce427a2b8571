//! One packet of the mix as an object of the track `mix`: all that is heard, in one datagram, the same for everybody in
//! its phase.
//!
//! Group id = the first tick in it, object 0: a whole group, since moq-lite has no other datagrams. Packets of other phases
//! (`mix_packer.rs`) begin with other ticks, but where sound begins.
//! ```text
//! head (1 byte) | seats (2 bytes, big endian) | a level (1 byte, RFC 6464) for each of these, lowest first | Opus packet
//! head  = bits 0–1 ticks (1 to 3) | bit 4 first packet after a pause | bit 5 last one before a pause | others must be 0
//! seats = bit n for seat n (0..13); bits 13 to 15 must be 0
//! ```
//! The track `mix.groups` has the Opus packets alone.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::bundle::MAX_PAYLOAD;
use crate::ids::MAX_SEATS;
use crate::mix::{MAX_TICKS, MixPacket};
use crate::uplink::{Level, Spurt};

/// Largest Opus packet of the mix, in bytes: with all levels before it, it fits a datagram.
pub const MAX_OPUS: usize = MAX_PAYLOAD - 3 - MAX_SEATS;

const TICKS: u8 = 0b11;
const START: u8 = 1 << 4;
const END: u8 = 1 << 5;

/// Why a payload is no packet of the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MixBundleError {
    /// It ends before its Opus packet.
    #[error("mix packet is cut short")]
    Short,
    /// No ticks, or reserved bits.
    #[error("unknown mix packet head {0:#04x}")]
    Head(u8),
    /// Seats over 12.
    #[error("mix packet names seats {0:#06x}")]
    Seats(u16),
    /// An Opus packet over [`MAX_OPUS`].
    #[error("mix packet of {0} bytes")]
    Length(usize),
}

/// The payload that says `packet`.
#[must_use]
pub fn encode(packet: &MixPacket) -> Bytes {
    let mut out = BytesMut::with_capacity(3 + MAX_SEATS + packet.opus.len());
    let mut head = packet.ticks.clamp(1, MAX_TICKS as u8);
    head |= if packet.spurt.start { START } else { 0 };
    head |= if packet.spurt.end { END } else { 0 };
    out.put_u8(head);
    out.put_u16(packet.seats());
    for level in packet.levels.iter().flatten() {
        out.put_u8(level.0);
    }
    out.put_slice(&packet.opus);
    out.freeze()
}

/// Reads the payload of `group`. The Opus packet shares its memory.
///
/// # Errors
/// [`MixBundleError`].
pub fn parse(group: u64, payload: &Bytes) -> Result<MixPacket, MixBundleError> {
    let (&[head, high, low], mut rest) = payload.split_first_chunk::<3>().ok_or(MixBundleError::Short)?;
    let (ticks, seats) = (head & TICKS, u16::from_be_bytes([high, low]));
    if ticks == 0 || head & !(TICKS | START | END) != 0 {
        return Err(MixBundleError::Head(head));
    }
    if seats >> MAX_SEATS != 0 {
        return Err(MixBundleError::Seats(seats));
    }
    let mut levels = [None; MAX_SEATS];
    for (_, slot) in levels.iter_mut().enumerate().filter(|(seat, _)| seats >> seat & 1 == 1) {
        let (level, left) = rest.split_first().ok_or(MixBundleError::Short)?;
        *slot = Some(Level(*level));
        rest = left;
    }
    match rest.len() {
        0 => Err(MixBundleError::Short),
        length if length > MAX_OPUS => Err(MixBundleError::Length(length)),
        _ => {
            let spurt = Spurt { start: head & START != 0, end: head & END != 0 };
            Ok(MixPacket { group, ticks, spurt, levels, opus: payload.slice_ref(rest) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet() -> impl Strategy<Value = MixPacket> {
        let levels = proptest::array::uniform13(proptest::option::of(any::<u8>()));
        let opus = proptest::collection::vec(any::<u8>(), 1..=MAX_OPUS);
        (any::<u64>(), 1..=MAX_TICKS as u8, any::<(bool, bool)>(), levels, opus).prop_map(
            |(group, ticks, (start, end), levels, opus)| MixPacket {
                group,
                ticks,
                spurt: Spurt { start, end },
                levels: levels.map(|level| level.map(Level)),
                opus: opus.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn a_packet_reads_as_it_was_written_and_fits_a_datagram(packet in packet()) {
            let payload = encode(&packet);
            prop_assert!(payload.len() <= MAX_PAYLOAD);
            prop_assert_eq!(parse(packet.group, &payload), Ok(packet));
        }

        #[test]
        fn what_is_read_is_written_the_same(payload in proptest::collection::vec(any::<u8>(), 0..1_200)) {
            let payload = Bytes::from(payload);
            if let Ok(packet) = parse(7, &payload) {
                prop_assert_eq!(encode(&packet), payload);
            }
        }
    }

    #[test]
    fn reserved_bits_and_what_is_cut_are_refused() {
        let read = |bytes: &[u8]| parse(0, &Bytes::copy_from_slice(bytes));
        assert_eq!(read(&[0b01, 0, 0]), Err(MixBundleError::Short));
        assert_eq!(read(&[0b01, 0, 1, 30]), Err(MixBundleError::Short));
        assert_eq!(read(&[0b01, 0]), Err(MixBundleError::Short));
        assert_eq!(read(&[0b00, 0, 0, 9]), Err(MixBundleError::Head(0)));
        assert_eq!(read(&[0b101, 0, 0, 9]), Err(MixBundleError::Head(0b101)));
        assert_eq!(read(&[0b01, 0x20, 0, 9]), Err(MixBundleError::Seats(0x2000)));
        let long = [&[0b01, 0, 0][..], &[1; MAX_OPUS + 1]].concat();
        assert_eq!(read(&long), Err(MixBundleError::Length(MAX_OPUS + 1)));
    }
}
