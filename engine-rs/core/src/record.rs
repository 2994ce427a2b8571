//! What the recorder's thread is handed: a Space's packets by tick, and what happened to it.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{SeatNo, SpaceId};
use crate::mix::MixPacket;
use crate::uplink::{Level, Spurt};

/// One frame as it was heard (before selection: the recording keeps every seat).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFrame {
    /// Which seat.
    pub seat: SeatNo,
    /// The seat's generation (who sat there).
    pub generation: u32,
    /// How loud.
    pub level: Level,
    /// Talkspurt borders.
    pub spurt: Spurt,
    /// One Opus packet of 20 ms.
    pub opus: Bytes,
}

/// One step of a recording, in order of time within a Space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordItem {
    /// The Space is recorded from here on.
    Start {
        /// Which Space.
        space: SpaceId,
        /// Wall-clock milliseconds since 1970 of group 0.
        started_at_ms: u64,
        /// The group at which this (part of the) recording begins.
        group: u64,
    },
    /// A seat was given to an account, or vacated.
    Seat {
        /// Which Space.
        space: SpaceId,
        /// From this group on.
        group: u64,
        /// Which seat.
        seat: SeatNo,
        /// Its generation.
        generation: u32,
        /// Who; 0: nobody any more.
        account: u64,
    },
    /// All seats' frames of one tick.
    Tick {
        /// Which Space.
        space: SpaceId,
        /// The tick.
        group: u64,
        /// At most one frame a seat.
        frames: Arc<[RecordedFrame]>,
    },
    /// A packet of the live mix. It comes after the ticks that it is made of, in order of group among its like.
    Mix {
        /// Which Space.
        space: SpaceId,
        /// The packet.
        packet: MixPacket,
    },
    /// The recording is complete.
    End {
        /// Which Space.
        space: SpaceId,
        /// The last group.
        group: u64,
    },
}
