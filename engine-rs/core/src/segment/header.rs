//! The front of a file.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::{HEADER, MAGIC, Sum, VERSION};
use crate::ids::SpaceId;

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose recording.
    pub space: SpaceId,
    /// Which part of it, from 1 on.
    pub part: u32,
    /// Which file of the part, from 0 on.
    pub sequence: u32,
    /// Wall-clock milliseconds since 1970 of group 0.
    pub started_at_ms: u64,
    /// Random; see the module.
    pub salt: u64,
}

/// Why a file is not a segment log of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Shorter than a header: the writer was killed while it created the file.
    #[error("segment log is shorter than its header")]
    Short,
    /// Something else.
    #[error("not a segment log")]
    Magic,
    /// Written by a newer program.
    #[error("segment log of version {0}")]
    Version(u16),
    /// The header's checksum does not hold.
    #[error("segment log header is damaged")]
    Damaged,
}

impl Header {
    /// The header's bytes.
    pub(super) fn encode(&self) -> (BytesMut, Sum) {
        let mut out = BytesMut::with_capacity(4096);
        out.put_slice(MAGIC);
        out.put_u16(VERSION);
        out.put_u16(HEADER as u16);
        out.put_u32(self.part);
        out.put_u32(self.sequence);
        out.put_u64(self.space.0);
        out.put_u64(self.started_at_ms);
        out.put_u64(self.salt);
        let sum = Sum(crc32c::crc32c(&out));
        out.put_u32(sum.0);
        (out, sum)
    }

    /// Reads the header at the front of a file.
    ///
    /// # Errors
    /// [`HeaderError`], for any other bytes.
    pub fn decode(data: &[u8]) -> Result<Self, HeaderError> {
        Self::decode_with_sum(data).map(|(header, _)| header)
    }

    pub(super) fn decode_with_sum(data: &[u8]) -> Result<(Self, Sum), HeaderError> {
        let known = data.len().min(MAGIC.len());
        if data.get(..known) != MAGIC.get(..known) {
            return Err(HeaderError::Magic);
        }
        let version = data.get(MAGIC.len()..).and_then(<[u8]>::first_chunk).copied().map(u16::from_be_bytes);
        match version {
            None => return Err(HeaderError::Short),
            Some(VERSION) => {}
            Some(other) => return Err(HeaderError::Version(other)),
        }
        let header = data.first_chunk::<HEADER>().ok_or(HeaderError::Short)?;
        let (fields, crc) = header.split_last_chunk::<4>().ok_or(HeaderError::Short)?;
        let sum = Sum(crc32c::crc32c(fields));
        if sum.0 != u32::from_be_bytes(*crc) || header.get(10..12) != Some(&(HEADER as u16).to_be_bytes()) {
            return Err(HeaderError::Damaged);
        }
        let u32_at = |at: usize| fields.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_be_bytes);
        let u64_at = |at: usize| fields.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_be_bytes);
        let header = Self {
            part: u32_at(12),
            sequence: u32_at(16),
            space: SpaceId(u64_at(20)),
            started_at_ms: u64_at(28),
            salt: u64_at(36),
        };
        Ok((header, sum))
    }

    /// Like [`Header::decode_with_sum`], but puts one damaged byte right and tells which: all else in the file would be lost
    /// with it. Of 12,240 ways to change a byte, one more than the right one fits the checksum in 350,000 such headers; the
    /// records' checksums go on from it and would not hold then.
    pub(super) fn mend(data: &[u8]) -> Result<(Self, Sum, Option<usize>), HeaderError> {
        let error = match Self::decode_with_sum(data) {
            Ok((header, sum)) => return Ok((header, sum, None)),
            Err(error) => error,
        };
        let Some(&damaged) = data.first_chunk::<HEADER>() else { return Err(error) };
        for at in 0..HEADER {
            for change in 1..=u8::MAX {
                let mut mended = damaged;
                if let Some(byte) = mended.get_mut(at) {
                    *byte ^= change;
                }
                if let Ok((header, sum)) = Self::decode_with_sum(&mended) {
                    return Ok((header, sum, Some(at)));
                }
            }
        }
        Err(error)
    }
}
