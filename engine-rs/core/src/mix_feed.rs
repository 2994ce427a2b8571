//! Between a Space and its mixer: what goes there, and what of its answers may be heard.
//!
//! The mixer works beside the shard, so that when somebody is silenced there may be packets on their way back that hold them.
//! Each silencing therefore has a number, the *epoch*; everything sent to the mixer carries it, and a packet carries the last
//! one that the mixer had seen when it made it. A packet with a seat that was silenced in a later epoch is dropped: it was made
//! before the mixer knew. One of that epoch or a later one holds of the seat only what was said since, because the mixer
//! forgets in order. (Versions of the table would not do: a kick silences without one.)

use std::sync::Arc;

use crate::ids::{MAX_SEATS, SeatMask, SpaceId};
use crate::mix::MixPacket;
use crate::record::RecordedFrame;

/// What the mixer is handed, in order within a Space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MixItem {
    /// One tick, as it is heard.
    Tick {
        /// Where.
        space: SpaceId,
        /// See the module.
        epoch: u64,
        /// The tick.
        group: u64,
        /// The seats heard.
        frames: Arc<[RecordedFrame]>,
    },
    /// Forget these seats.
    Silence {
        /// Where.
        space: SpaceId,
        /// From now on.
        epoch: u64,
        /// Whose sound.
        seats: SeatMask,
    },
    /// Forget all of it: the Space has ended, or is mixed no longer.
    End {
        /// Which.
        space: SpaceId,
    },
}

impl MixItem {
    /// Whose it is.
    #[must_use]
    pub const fn space(&self) -> SpaceId {
        match self {
            Self::Tick { space, .. } | Self::Silence { space, .. } | Self::End { space } => *space,
        }
    }
}

/// A packet that comes back from the mixer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// Where.
    pub space: SpaceId,
    /// The last epoch that the mixer had seen.
    pub epoch: u64,
    /// The packet: a tick, or more.
    pub packet: MixPacket,
    /// Nobody talks any more: nothing follows for a while, and what waits to be put into one packet with it must not.
    pub last: bool,
}

/// The Space's side, on the stage's shard.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    epoch: u64,
    /// Epoch in which each seat was silenced last.
    silenced: [u64; MAX_SEATS],
    /// The mixer has something of this Space.
    fed: bool,
    /// The first group that a packet may begin with.
    next: u64,
}

impl Feed {
    pub(crate) fn tick(&mut self, space: SpaceId, group: u64, frames: Arc<[RecordedFrame]>) -> MixItem {
        self.fed = true;
        MixItem::Tick { space, epoch: self.epoch, group, frames }
    }

    pub(crate) fn silence(&mut self, space: SpaceId, seats: SeatMask) -> Option<MixItem> {
        if !self.fed || seats == 0 {
            return None;
        }
        self.epoch += 1;
        for (seat, silenced) in self.silenced.iter_mut().enumerate() {
            if seats >> seat & 1 == 1 {
                *silenced = self.epoch;
            }
        }
        Some(MixItem::Silence { space, epoch: self.epoch, seats })
    }

    pub(crate) fn end(&mut self, space: SpaceId) -> Option<MixItem> {
        self.silence(space, SeatMask::MAX)?;
        self.fed = false;
        Some(MixItem::End { space })
    }

    /// Whether a packet may be heard.
    pub(crate) fn accept(&mut self, mixed: &Mixed) -> bool {
        let (packet, seats) = (&mixed.packet, mixed.packet.seats());
        let silenced = self.silenced.iter().enumerate().any(|(seat, at)| seats >> seat & 1 == 1 && *at > mixed.epoch);
        if !self.fed || silenced || packet.group < self.next {
            return false;
        }
        self.next = packet.group.saturating_add(u64::from(packet.ticks));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::{Level, Spurt};

    const SPACE: SpaceId = SpaceId(1);

    fn mixed(epoch: u64, group: u64, seat: usize) -> Mixed {
        let mut levels = [None; MAX_SEATS];
        levels[seat] = Some(Level(30));
        let packet = MixPacket { group, ticks: 1, spurt: Spurt::default(), levels, opus: vec![0x78].into() };
        Mixed { space: SPACE, epoch, packet, last: false }
    }

    #[test]
    fn only_packets_made_before_a_silencing_with_that_seat_in_them_are_dropped() {
        let mut feed = Feed::default();
        assert_eq!(feed.silence(SPACE, 1), None, "the mixer has nothing to forget");
        let _ = feed.tick(SPACE, 9, Arc::new([]));
        assert!(feed.accept(&mixed(0, 10, 0)));
        assert_eq!(feed.silence(SPACE, 1), Some(MixItem::Silence { space: SPACE, epoch: 1, seats: 1 }));
        assert!(!feed.accept(&mixed(0, 11, 0)), "made before");
        assert!(feed.accept(&mixed(0, 12, 3)), "of another seat");
        assert!(feed.accept(&mixed(1, 13, 0)), "said since");
        assert!(!feed.accept(&mixed(1, 13, 0)), "of the past");
        assert_eq!(feed.end(SPACE), Some(MixItem::End { space: SPACE }));
        assert!(!feed.accept(&mixed(9, 14, 0)));
        let MixItem::Tick { epoch, .. } = feed.tick(SPACE, 20, Arc::new([])) else { panic!() };
        assert!(!feed.accept(&mixed(1, 20, 5)), "from before the end");
        assert!(feed.accept(&mixed(epoch, 20, 5)));
    }
}
