//! The segment log: what the recorder writes first, append-only, and what everything else can be made from again.
//!
//! A file is one part of one Space's recording. Numbers are big-endian.
//! ```text
//! file    = header record*
//! header  = "SPSEG\x1a\r\n" | version u16 | length of the header u16 | part u32 | space u64 | started_at_ms u64
//!         | salt u64 | crc u32
//! record  = 0x5e 0x67 | kind u8 | length of the payload u16 | crc u32 | payload
//! Start 1 = group u64 | started_at_ms u64
//! Seat  2 = group u64 | account u64 | generation u32 | seat u8
//! Tick  3 = group u64 | frame*          frame = seat and spurt u8 | level u8 | generation u32 | length u16 | Opus packet
//! Gap   4 = from_group u64 | groups u64 | cause u8
//! Note  5 = UTF-8
//! End   6 = group u64
//! Mix   7 = group u64 | ticks and spurt u8 | seats u16 | level u8 of each of these seats | Opus packet
//! ```
//! A `Seat` of account 0 says that the seat was vacated.
//! Seat and spurt: bits 0–3 seat, bit 4 first, bit 5 last frame of a talkspurt; ticks and spurt likewise, with 1 to 3 ticks.
//! Seats: bit n is set if seat n is heard; the levels stand in the order of the bits.
//!
//! The header's crc is the CRC-32C (RFC 9260, appendix A) of what stands before it; a record's is the same sum continued
//! over its kind, length and payload. A writer that is killed leaves a torn record at the end; a disk may flip bits
//! anywhere. The two marker bytes let a reader find the next whole record. Opus packets come from strangers, who could
//! put a record inside one for such a reader to find: the salt, which nobody outside knows, spoils their checksum.

mod writer;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::ids::{MAX_SEATS, SeatNo, SpaceId};
use crate::mix::{MAX_PACKET, MAX_TICKS, MixPacket};
use crate::record::{RecordItem, RecordedFrame};
use crate::uplink::{Level, MAX_FRAME, Spurt};

pub use writer::Writer;

/// The format that this module writes, and the only one it reads.
pub const VERSION: u16 = 1;
/// Bytes of a file's header.
pub const HEADER: usize = 44;
/// Bytes of a record before its payload.
pub const RECORD_HEADER: usize = 9;

const MAGIC: &[u8; 8] = b"SPSEG\x1a\r\n";
const MARKER: [u8; 2] = [0x5e, 0x67];
const START: u8 = 1 << 4;
const END: u8 = 1 << 5;

/// What a file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose recording.
    pub space: SpaceId,
    /// Which part of it, from 1 on.
    pub part: u32,
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
    fn encode(&self) -> (BytesMut, Sum) {
        let mut out = BytesMut::with_capacity(4096);
        out.put_slice(MAGIC);
        out.put_u16(VERSION);
        out.put_u16(HEADER as u16);
        out.put_u32(self.part);
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

    fn decode_with_sum(data: &[u8]) -> Result<(Self, Sum), HeaderError> {
        let known = data.len().min(MAGIC.len());
        if data.get(..known) != MAGIC.get(..known) {
            return Err(HeaderError::Magic);
        }
        let (header, _) = data.split_first_chunk::<HEADER>().ok_or(HeaderError::Short)?;
        let mut fields = Fields(header.get(MAGIC.len()..).unwrap_or_default());
        let (version, length) = fields.u16().zip(fields.u16()).ok_or(HeaderError::Short)?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let read = (fields.u32(), fields.u64(), fields.u64(), fields.u64(), fields.u32());
        let (Some(part), Some(space), Some(started_at_ms), Some(salt), Some(crc)) = read else {
            return Err(HeaderError::Short);
        };
        if usize::from(length) != HEADER || crc != crc32c::crc32c(header.get(..HEADER - 4).unwrap_or_default()) {
            return Err(HeaderError::Damaged);
        }
        Ok((Self { space: SpaceId(space), part, started_at_ms, salt }, Sum(crc)))
    }
}

/// Why groups are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The recorder's queue was full: the disk was too slow.
    Queue,
    /// Writing failed: the disk was full or broken.
    Storage,
    /// The process was not running between two parts.
    Restart,
    /// Written but not made durable: flushing to the disk failed, so a power loss may take these groups.
    Sync,
    /// Only packets of the mix: the queue refused them, or writing failed. What the seats sent is there.
    Mix,
}

impl GapCause {
    const ALL: [Self; 5] = [Self::Queue, Self::Storage, Self::Restart, Self::Sync, Self::Mix];
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The part begins.
    Start {
        /// With this group.
        group: u64,
        /// Wall-clock milliseconds since 1970 of group 0.
        started_at_ms: u64,
    },
    /// A seat was given to an account.
    Seat {
        /// From this group on.
        group: u64,
        /// Which seat.
        seat: SeatNo,
        /// Its generation.
        generation: u32,
        /// Who.
        account: u64,
    },
    /// A tick. Without frames: time passed in silence up to this group.
    Tick {
        /// Which tick.
        group: u64,
        /// The frames of all seats that had one.
        frames: Vec<RecordedFrame>,
    },
    /// Groups that were not recorded.
    Gap {
        /// The first.
        from_group: u64,
        /// How many.
        groups: u64,
        /// Why.
        cause: GapCause,
    },
    /// A packet of the live mix.
    Mix(MixPacket),
    /// For people.
    Note(String),
    /// The recording is complete.
    End {
        /// The last group.
        group: u64,
    },
}

/// A record over 64 KiB. Thirteen frames of the longest kind take 7 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("record of {0} bytes does not fit the segment log")]
pub struct Oversized(pub usize);

impl Record {
    /// The newest group that this record tells of; `None` for a note.
    #[must_use]
    pub fn last_group(&self) -> Option<u64> {
        match self {
            Self::Start { group, .. } | Self::Seat { group, .. } | Self::Tick { group, .. } | Self::End { group } => {
                Some(*group)
            }
            Self::Mix(packet) => Some(packet.last_group()),
            Self::Gap { from_group, groups, .. } => Some(from_group.saturating_add(groups.saturating_sub(1))),
            Self::Note(_) => None,
        }
    }

    /// The item that was recorded; `None` for gaps and notes, which the recorder adds by itself.
    #[must_use]
    pub fn into_item(self, space: SpaceId) -> Option<RecordItem> {
        Some(match self {
            Self::Start { group, started_at_ms } => RecordItem::Start { space, started_at_ms, group },
            Self::Seat { group, seat, generation, account } => {
                RecordItem::Seat { space, group, seat, generation, account }
            }
            Self::Tick { group, frames } => RecordItem::Tick { space, group, frames: frames.into() },
            Self::Mix(packet) => RecordItem::Mix { space, packet },
            Self::End { group } => RecordItem::End { space, group },
            Self::Gap { .. } | Self::Note(_) => return None,
        })
    }

    /// Reads a payload whose checksum holds. `None` for a kind or a layout that this version does not write.
    fn decode(kind: u8, payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let read = match kind {
            1 => Self::Start { group: fields.u64()?, started_at_ms: fields.u64()? },
            2 => {
                let (group, account, generation) = (fields.u64()?, fields.u64()?, fields.u32()?);
                Self::Seat { group, seat: SeatNo::new(fields.u8()?)?, generation, account }
            }
            3 => {
                let (group, mut frames) = (fields.u64()?, Vec::new());
                while !fields.0.is_empty() {
                    frames.push(fields.frame()?);
                }
                Self::Tick { group, frames }
            }
            4 => {
                let (from_group, groups, cause) = (fields.u64()?, fields.u64()?, fields.u8()?);
                Self::Gap { from_group, groups, cause: *GapCause::ALL.get(usize::from(cause))? }
            }
            5 => Self::Note(core::str::from_utf8(core::mem::take(&mut fields.0)).ok()?.to_owned()),
            6 => Self::End { group: fields.u64()? },
            7 => Self::Mix(fields.mix()?),
            _ => return None,
        };
        fields.0.is_empty().then_some(read)
    }
}

/// The header's checksum, which the records' continue.
#[derive(Clone, Copy, Debug)]
struct Sum(u32);

impl Sum {
    fn of(self, kind: u8, [high, low]: [u8; 2], payload: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &[kind, high, low]), payload)
    }
}

/// Bytes in the middle of a log that are no whole record. Reading goes on behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("segment log is damaged: {bytes} bytes at {offset}")]
pub struct Damage {
    /// Where they begin, from the first byte given to the reader.
    pub offset: usize,
    /// How many.
    pub bytes: usize,
}

/// Reads every whole record of a log, in order: `Some(Ok)` a record, `Some(Err)` damage with whole records behind it,
/// `None` the end. Then [`Reader::valid_len`] tells how much of the log is whole.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    sum: Sum,
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a whole file.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn new(file: &'a [u8]) -> Result<(Header, Self), HeaderError> {
        let (header, sum) = Header::decode_with_sum(file)?;
        Ok((header, Self { data: file, sum, at: HEADER }))
    }

    /// A reader of the last bytes of a file of which the front is `front`. It tells of what stands before the first whole
    /// record as damage.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn tail(front: &[u8], data: &'a [u8]) -> Result<Self, HeaderError> {
        Ok(Self { data, sum: Header::decode_with_sum(front)?.1, at: 0 })
    }

    /// End of the last whole record read so far. Once the iterator is at its end, anything behind it is a torn tail.
    #[must_use]
    pub const fn valid_len(&self) -> usize {
        self.at
    }

    fn record_at(&self, at: usize) -> Option<(Record, usize)> {
        let (header, rest) = self.data.get(at..)?.split_first_chunk::<RECORD_HEADER>()?;
        let &[m0, m1, kind, l0, l1, c0, c1, c2, c3] = header;
        if [m0, m1] != MARKER {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let payload = rest.get(..length)?;
        if self.sum.of(kind, [l0, l1], payload) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return None;
        }
        Some((Record::decode(kind, payload)?, at + RECORD_HEADER + length))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((record, end)) = self.record_at(self.at) {
            self.at = end;
            return Some(Ok(record));
        }
        let found = (self.at.saturating_add(1)..self.data.len()).find(|at| self.record_at(*at).is_some())?;
        let damage = Damage { offset: self.at, bytes: found - self.at };
        self.at = found;
        Some(Err(damage))
    }
}

/// Reads numbers from the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
    fn frame(&mut self) -> Option<RecordedFrame> {
        let head = self.u8()?;
        let seat = SeatNo::new(head & 0x0f).filter(|_| head & !(0x0f | START | END) == 0)?;
        let (level, generation) = (Level(self.u8()?), self.u32()?);
        let length = usize::from(self.u16()?);
        let (opus, rest) = self.0.split_at_checked(length).filter(|_| length <= MAX_FRAME)?;
        self.0 = rest;
        Some(RecordedFrame { seat, generation, level, spurt: spurt(head), opus: Bytes::copy_from_slice(opus) })
    }
    fn mix(&mut self) -> Option<MixPacket> {
        let (group, head, seats) = (self.u64()?, self.u8()?, self.u16()?);
        let ticks = head & !(START | END);
        if !(1..=MAX_TICKS as u8).contains(&ticks) || seats >> MAX_SEATS != 0 {
            return None;
        }
        let mut levels = [None; MAX_SEATS];
        for (seat, level) in levels.iter_mut().enumerate() {
            if seats >> seat & 1 == 1 {
                *level = Some(Level(self.u8()?));
            }
        }
        let opus = core::mem::take(&mut self.0);
        let opus = (opus.len() <= MAX_PACKET).then(|| Bytes::copy_from_slice(opus))?;
        Some(MixPacket { group, ticks, spurt: spurt(head), levels, opus })
    }
}

const fn spurt(head: u8) -> Spurt {
    Spurt { start: head & START != 0, end: head & END != 0 }
}
