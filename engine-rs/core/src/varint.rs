//! QUIC variable-length integers (RFC 9000 §16), as far as payloads of ours use them.

use bytes::BufMut;

/// Reads one integer from the front of `input` and moves past it. `None` if it is cut short; `input` is then unchanged.
#[must_use]
pub fn read(input: &mut &[u8]) -> Option<u64> {
    let (first, _) = input.split_first()?;
    let length = 1usize << (first >> 6);
    let (number, rest) = input.split_at_checked(length)?;
    let mut value = u64::from(first & 0x3f);
    for byte in number.iter().skip(1) {
        value = value << 8 | u64::from(*byte);
    }
    *input = rest;
    Some(value)
}

/// Writes `value` in its shortest form. Values over 2^62 − 1 do not exist on the wire and are written as 2^62 − 1.
pub fn write(out: &mut impl BufMut, value: u64) {
    let value = value.min((1 << 62) - 1);
    if value < 1 << 6 {
        out.put_u8(value as u8);
    } else if value < 1 << 14 {
        out.put_u16(value as u16 | 0x4000);
    } else if value < 1 << 30 {
        out.put_u32(value as u32 | 0x8000_0000);
    } else {
        out.put_u64(value | 0xc000_0000_0000_0000);
    }
}

/// Bytes that [`write()`] uses.
#[must_use]
pub const fn size(value: u64) -> usize {
    if value < 1 << 6 {
        1
    } else if value < 1 << 14 {
        2
    } else if value < 1 << 30 {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn rfc9000_appendix_a1_examples() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            let mut input = bytes;
            assert_eq!(read(&mut input), Some(value));
            assert!(input.is_empty());
            let mut out = BytesMut::new();
            write(&mut out, value);
            assert_eq!(&out[..], bytes);
            assert_eq!(size(value), bytes.len());
            let mut short = &bytes[..bytes.len() - 1];
            assert_eq!(read(&mut short), None);
        }
    }
}
