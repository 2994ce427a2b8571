//! Integers and byte strings of both drafts: vi64 (draft-ietf-moq-transport-18 §1.4.1) and the varint of RFC 9000 §16.

use bytes::{BufMut, BytesMut};

/// Largest value of an RFC 9000 varint.
pub(crate) const MAX_VARINT: u64 = (1 << 62) - 1;

/// The input ended inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// Reads fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Short> {
        let (first, rest) = self.rest.split_first().ok_or(Short)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        let (number, rest) = self.rest.split_first_chunk::<2>().ok_or(Short)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*number))
    }

    /// `length` bytes. A length that no slice can have is merely short.
    pub(crate) fn bytes(&mut self, length: u64) -> Result<&'a [u8], Short> {
        let length = usize::try_from(length).map_err(|_| Short)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An integer whose length is the number of leading one bits, plus one. Any length that holds the value is valid.
    pub(crate) fn vi64(&mut self) -> Result<u64, Short> {
        let first = *self.rest.first().ok_or(Short)?;
        let ones = first.leading_ones() as usize;
        let (number, rest) = self.rest.split_at_checked(ones + 1).ok_or(Short)?;
        let mut value = if ones >= 7 { 0 } else { u64::from(first & (0x7f >> ones)) };
        for byte in number.iter().skip(1) {
            value = value << 8 | u64::from(*byte);
        }
        self.rest = rest;
        Ok(value)
    }

    /// An integer whose length is in the two high bits of its first byte.
    pub(crate) fn varint(&mut self) -> Result<u64, Short> {
        let first = *self.rest.first().ok_or(Short)?;
        let (number, rest) = self.rest.split_at_checked(1 << (first >> 6)).ok_or(Short)?;
        let mut value = u64::from(first & 0x3f);
        for byte in number.iter().skip(1) {
            value = value << 8 | u64::from(*byte);
        }
        self.rest = rest;
        Ok(value)
    }

    /// A vi64 length and that many bytes.
    pub(crate) fn vi64_bytes(&mut self) -> Result<&'a [u8], Short> {
        let length = self.vi64()?;
        self.bytes(length)
    }

    /// A varint length and that many bytes.
    pub(crate) fn varint_bytes(&mut self) -> Result<&'a [u8], Short> {
        let length = self.varint()?;
        self.bytes(length)
    }
}

/// Bytes that [`put_vi64`] uses.
pub(crate) const fn vi64_size(value: u64) -> usize {
    let bits = 64 - value.leading_zeros() as usize;
    match bits {
        0..=7 => 1,
        57..=64 => 9,
        bits => bits.div_ceil(7),
    }
}

/// Writes `value` in its shortest vi64 form.
pub(crate) fn put_vi64(out: &mut BytesMut, value: u64) {
    let size = vi64_size(value);
    if size == 9 {
        out.put_u8(0xff);
        out.put_u64(value);
        return;
    }
    let mask = !(0xffu64 >> (size - 1)) & 0xff;
    out.put_uint(mask << (8 * (size - 1)) | value, size);
}

/// Writes a vi64 length and the bytes.
pub(crate) fn put_vi64_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_vi64(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// Writes `value` in its shortest varint form; [`MAX_VARINT`] stands for everything above it.
pub(crate) fn put_varint(out: &mut BytesMut, value: u64) {
    let value = value.min(MAX_VARINT);
    match value {
        0..0x40 => out.put_u8(value as u8),
        0x40..0x4000 => out.put_u16(value as u16 | 0x4000),
        0x4000..0x4000_0000 => out.put_u32(value as u32 | 0x8000_0000),
        _ => out.put_u64(value | 0xc000_0000_0000_0000),
    }
}

/// Writes a varint length and the bytes.
pub(crate) fn put_varint_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

/// The signed difference `to − from` as moq-lite writes it, small values of either sign in few bytes.
pub(crate) const fn zigzag(from: u64, to: u64) -> u64 {
    let difference = to.wrapping_sub(from) as i64;
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// Undoes [`zigzag`]: the value that lies `difference` after `from`. `None` if that is no timestamp.
pub(crate) const fn unzigzag(from: u64, difference: u64) -> Option<u64> {
    let half = difference >> 1;
    if difference & 1 == 0 {
        from.checked_add(half)
    } else {
        match from.checked_sub(half) {
            Some(value) => value.checked_sub(1),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The draft's own table of examples (§1.4.1).
    #[test]
    fn vi64_reads_the_drafts_examples() {
        for (bytes, value) in [
            (&[0x25][..], 37),
            (&[0x80, 0x25], 37),
            (&[0xbb, 0xbd], 15_293),
            (&[0xed, 0x7f, 0x3e, 0x7d], 226_442_877),
            (&[0xfa, 0xa1, 0xa0, 0xe4, 0x03, 0xd8], 2_893_212_287_960),
            (&[0xfc, 0x89, 0x98, 0xab, 0xc6, 0x6b, 0xc0], 151_288_809_941_952),
            (&[0xfe, 0xfa, 0x31, 0x8f, 0xa8, 0xe3, 0xca, 0x11], 70_423_237_261_249_041),
            (&[0xff; 9], u64::MAX),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.vi64(), Ok(value));
            assert!(reader.is_empty());
            assert_eq!(Reader::new(&bytes[..bytes.len() - 1]).vi64(), Err(Short));
        }
        let mut out = BytesMut::new();
        put_vi64(&mut out, 48_000);
        assert_eq!(&out[..], [0xc0, 0xbb, 0x80]);
    }

    /// Each length at its borders: 7 more bits a byte, and 64 bits in nine.
    #[test]
    fn vi64_is_written_in_its_shortest_form() {
        for (index, bits) in [7, 14, 21, 28, 35, 42, 49, 56].into_iter().enumerate() {
            let largest = (1u64 << bits) - 1;
            assert_eq!(vi64_size(largest), index + 1);
            assert_eq!(vi64_size(largest + 1), index + 2);
        }
    }

    proptest! {
        #[test]
        fn integers_survive_the_wire(value: u64) {
            let mut out = BytesMut::new();
            put_vi64(&mut out, value);
            prop_assert_eq!(out.len(), vi64_size(value));
            prop_assert_eq!(Reader::new(&out).vi64(), Ok(value));
            out.clear();
            put_varint(&mut out, value);
            prop_assert_eq!(Reader::new(&out).varint(), Ok(value.min(MAX_VARINT)));
        }

        #[test]
        fn zigzag_is_undone(from in 0u64..1 << 61, to in 0u64..1 << 61) {
            prop_assert_eq!(unzigzag(from, zigzag(from, to)), Some(to));
        }
    }
}
