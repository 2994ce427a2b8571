//! The segment log: what the recorder writes first, append-only, and what everything else can be made from again.
//!
//! A recording has parts: one begins whenever the recorder's process does. A part is a sequence of files of a few seconds.
//! Each can be read by itself: it repeats who sits where. A file that was closed is never changed. Numbers are big-endian.
//! ```text
//! file    = header record*
//! header  = "SPSEG\x1a\r\n" | version u16 | length of the header u16 | part u32 | sequence u32 | space u64
//!         | started_at_ms u64 | salt u64 | crc u32
//! record  = 0x5e 0x67 | kind u8 | length of the payload u16 | crc u32 | payload
//! Start 1 = group u64 | started_at_ms u64
//! Seat  2 = group u64 | account u64 | generation u32 | seat u8
//! Tick  3 = group u64 | frame*          frame = seat and spurt u8 | level u8 | generation u32 | length u16 | Opus packet
//! Gap   4 = from_group u64 | groups u64 | cause u8
//! Note  5 = UTF-8
//! End   6 = group u64
//! Mix   7 = group u64 | ticks and spurt u8 | seats u16 | level u8 of each of these seats | Opus packet
//! Close 8 = group u64
//! ```
//! `Start` comes first and says with which group the file begins. Then follows a `Seat` for everybody who has one then, with
//! the group of its own; a `Seat` of account 0 says that the seat was vacated. The last record of a file is `Close`, with the
//! last group that belongs into it, or `End` if the recording is complete. A file without either is being written, or its
//! writer was killed. Packets of the mix come later than their ticks, so the first in a file may be of groups before it.
//!
//! Seat and spurt: bits 0–3 seat, bit 4 first, bit 5 last frame of a talkspurt; ticks and spurt likewise, with 1 to 3 ticks.
//! Seats: bit n is set if seat n is heard; the levels stand in the order of the bits.
//!
//! The header's crc is the CRC-32C (RFC 9260, appendix A) of what stands before it; a record's is the same sum continued
//! over its kind, length and payload. A writer that is killed leaves a torn record at the end; a disk may flip bits
//! anywhere. The two marker bytes let a reader find the next whole record. Opus packets come from strangers, who could
//! put a record inside one for such a reader to find: the salt, which nobody outside knows, spoils their checksum. One wrong
//! byte in the header is put right by its checksum.

mod contents;
mod header;
mod reader;
mod writer;

use thiserror::Error;

use crate::ids::{SeatNo, SpaceId};
use crate::mix::MixPacket;
use crate::record::{RecordItem, RecordedFrame};

pub use contents::Contents;
pub use header::{Header, HeaderError};
pub use reader::{Damage, Reader};
pub use writer::Writer;

/// The format that this module writes, and the only one it reads.
pub const VERSION: u16 = 2;
/// Bytes of a file's header.
pub const HEADER: usize = 48;
/// Bytes of a record before its payload.
pub const RECORD_HEADER: usize = 9;
/// Most bytes of a payload: a tick with thirteen frames of the longest kind takes 6,768. Behind damage a reader tries every
/// place where a record may begin, so this bounds its work.
pub const MAX_PAYLOAD: usize = 8 << 10;

const MAGIC: &[u8; 8] = b"SPSEG\x1a\r\n";
const MARKER: [u8; 2] = [0x5e, 0x67];
const START: u8 = 1 << 4;
const END: u8 = 1 << 5;

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
    /// A file was damaged, and what could not be read left out of a clean copy of it.
    Damage,
}

impl GapCause {
    const ALL: [Self; 6] = [Self::Queue, Self::Storage, Self::Restart, Self::Sync, Self::Mix, Self::Damage];
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The file begins.
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
    /// The file is complete.
    Close {
        /// The last group that belongs into it.
        group: u64,
    },
}

/// A record over [`MAX_PAYLOAD`], or in it a packet longer than such packets may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("record of {0} bytes does not fit the segment log")]
pub struct Oversized(pub usize);

impl Record {
    /// The newest group that this record tells of; `None` for a note.
    #[must_use]
    pub fn last_group(&self) -> Option<u64> {
        match self {
            Self::Start { group, .. }
            | Self::Seat { group, .. }
            | Self::Tick { group, .. }
            | Self::End { group }
            | Self::Close { group } => Some(*group),
            Self::Mix(packet) => Some(packet.last_group()),
            Self::Gap { from_group, groups, .. } => Some(from_group.saturating_add(groups.saturating_sub(1))),
            Self::Note(_) => None,
        }
    }

    /// The item that was recorded; `None` for what the recorder adds by itself. It also adds a start, and seats, at the front
    /// of every file but the first of a part.
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
            Self::Gap { .. } | Self::Note(_) | Self::Close { .. } => return None,
        })
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
