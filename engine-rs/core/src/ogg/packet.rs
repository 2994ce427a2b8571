//! Whether an Opus packet is one at all, and what says nothing in its place.

use crate::mix::MAX_PACKET;

/// TOC of CELT, full band, 20 ms, mono (RFC 6716 §3.1).
pub(super) const CELT: u8 = 0xf8;
/// Stereo bit of a TOC.
pub(super) const STEREO: u8 = 1 << 2;
/// A CELT frame whose silence flag is set (RFC 6716 §4.3, table 56).
const SILENCE: [u8; 2] = [0xff, 0xfe];

/// Whether `opus` is laid out as RFC 6716 §3.4 demands (R1 to R7). Players stop at a packet that is not.
pub(super) fn is_well_formed(opus: &[u8]) -> bool {
    if opus.len() > MAX_PACKET {
        return false;
    }
    match opus {
        [] => false,
        [toc, frames @ ..] => match toc & 0b11 {
            0 => true,
            1 => frames.len().is_multiple_of(2),
            2 => length(frames).is_some_and(|(first, rest)| first <= rest.len()),
            _ => is_code_3(frames),
        },
    }
}

/// §3.2.5: count byte, padding, lengths of all frames but the last, frames, padding. The count itself was checked with
/// the packet's duration, except that there must be a frame.
fn is_code_3(packet: &[u8]) -> bool {
    let Some((count, mut rest)) = packet.split_first() else { return false };
    let (variable, padded, frames) = (count & 0x80 != 0, count & 0x40 != 0, usize::from(count & 0x3f));
    if frames == 0 {
        return false;
    }
    let mut known = 0;
    if padded {
        loop {
            let Some((more, behind)) = rest.split_first() else { return false };
            rest = behind;
            // 255 says 254 bytes, and another length.
            known += usize::from(*more).min(254);
            if *more < 255 {
                break;
            }
        }
    }
    for _ in 1..frames {
        if variable {
            let Some((frame, behind)) = length(rest) else { return false };
            rest = behind;
            known += frame;
        }
    }
    let Some(left) = rest.len().checked_sub(known) else { return false };
    variable || left.is_multiple_of(frames)
}

/// A frame's length, §3.2.1, and what stands behind it.
const fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..=251, rest @ ..] => Some((*short as usize, rest)),
        [first, second, rest @ ..] => Some((*second as usize * 4 + *first as usize, rest)),
        _ => None,
    }
}

/// TOC of one frame of 20 ms (code 0) in the mode, bandwidth and channels of `toc` (§3.1).
pub(super) const fn of_20_ms(toc: u8) -> u8 {
    let config = toc >> 3;
    let config = match config {
        0..=11 => config & !0b11 | 1,
        12..=15 => config | 1,
        _ => config | 0b11,
    };
    config << 3 | toc & 0b100
}

/// A packet of `frames` silent frames of 20 ms, 1 to 6, of which `toc` is that of one. It must be CELT.
pub(super) fn silence(toc: u8, frames: u8) -> Vec<u8> {
    match frames {
        1 => [&[toc][..], &SILENCE].concat(),
        _ => [&[toc | 0b11, frames][..], &SILENCE.repeat(usize::from(frames))].concat(),
    }
}

/// A packet of `frames` empty frames, 1 to 6: the decoder goes on from what it had.
pub(super) fn nothing(toc: u8, frames: u8) -> Vec<u8> {
    if frames == 1 { vec![toc] } else { vec![toc | 0b11, frames] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::packet_samples;

    #[test]
    fn packets_that_decoders_refuse_are_refused() {
        for good in [
            &[0x78][..],
            &[0x78, 1, 2, 3],
            &[0xf1],
            &[0xf1, 1, 2],
            &[0xf2, 1, 9, 9],
            &[0xf3, 2],
            &[0xf3, 2, 7, 7],
            &[0xf3, 0x82, 1, 7, 8, 9],
            &[0xf3, 0x42, 3, 7, 7, 0, 0, 0],
            &[0xf3, 0xc2, 1, 2, 5, 5, 5, 0],
        ] {
            assert!(is_well_formed(good), "{good:02x?}");
        }
        for bad in [
            &[][..],
            &[0xf1, 1],
            &[0xf2],
            &[0xf2, 2, 9],
            &[0xf2, 252],
            &[0xf3],
            &[0xf3, 0],
            &[0xf3, 2, 7],
            &[0xf3, 0x82, 4, 7],
            &[0xf3, 0x42, 3, 0],
            &[0xf3, 0x42, 255],
            &[0xf3, 0xc2, 1, 9, 5],
        ] {
            assert!(!is_well_formed(bad), "{bad:02x?}");
        }
    }

    #[test]
    fn every_toc_has_a_twin_of_20_ms() {
        for toc in 0..=255 {
            let twin = of_20_ms(toc);
            assert_eq!(packet_samples(&[twin]), Some(960), "{toc:#04x}");
            assert_eq!(twin & 0b100, toc & 0b100);
            assert_eq!(twin >> 3 < 12, toc >> 3 < 12);
        }
    }
}
