//! The mix's last packets on this shard, shared by all who listen to it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cursor::{Line, PREFILL};
use crate::engine::{MixBundle, Object, Track};
use crate::ids::{SeatMask, SpaceId};
use crate::mix::MixPacket;
use crate::mix_bundle;
use crate::ring::TICKS_PER_GROUP;
use crate::time::{TICK_SAMPLES, Time};

/// Packets kept.
const RING: usize = 16;

impl MixBundle {
    /// `number`: see [`Numbers`].
    pub(crate) fn new(space: SpaceId, version: u64, packet: MixPacket, number: u64) -> Self {
        let payload = mix_bundle::encode(&packet);
        Self { space, version, packet, number, payload }
    }

    /// For `mix`.
    fn datagram(&self) -> Object {
        Object {
            space: self.space,
            track: Track::Mix,
            group: self.packet.group,
            object: 0,
            end_of_group: true,
            timestamp: self.packet.group.saturating_mul(TICK_SAMPLES),
            payload: self.payload.clone(),
        }
    }

    /// For `mix.groups`.
    fn object(&self) -> Object {
        let next = self.packet.last_group().saturating_add(1);
        let group = self.packet.group / TICKS_PER_GROUP;
        Object {
            track: Track::MixGroups,
            group,
            object: self.number,
            end_of_group: next / TICKS_PER_GROUP != group,
            payload: self.packet.opus.clone(),
            ..self.datagram()
        }
    }
}

/// Object ids of `mix.groups`: from 0 in each group, without holes, as some players want them.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    group: u64,
    next: u64,
}

impl Numbers {
    pub(crate) fn take(&mut self, packet: &MixPacket) -> u64 {
        let group = packet.group / TICKS_PER_GROUP;
        if group != self.group {
            *self = Self { group, next: 0 };
        }
        self.next += 1;
        self.next - 1
    }
}

/// What there is of one packet; nothing, once somebody in it was silenced.
#[derive(Debug)]
struct Slot {
    at: Time,
    seats: SeatMask,
    ticks: u8,
    objects: Option<(Object, Object)>,
}

/// See the module. Positions count packets since the ring was made, without holes.
#[derive(Debug, Default)]
pub(crate) struct MixRing {
    slots: VecDeque<Slot>,
    end: u64,
    /// The last tick in it.
    last: Option<u64>,
}

impl Line for MixRing {
    fn end(&self) -> u64 {
        self.end
    }

    fn entered(&self, position: u64) -> Option<Time> {
        self.slot(position).map(|slot| slot.at)
    }
}

impl MixRing {
    fn start(&self) -> u64 {
        self.end - self.slots.len() as u64
    }

    fn slot(&self, position: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(position.checked_sub(self.start())?).ok()?)
    }

    /// The last tick that was ever in a packet here.
    pub(crate) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Where who has just come begins: with as much time as on the stage.
    pub(crate) fn prefill(&self) -> u64 {
        let ticks = self.slots.back().map_or(1, |slot| u64::from(slot.ticks.max(1)));
        self.end.saturating_sub(PREFILL.div_ceil(ticks)).max(self.start())
    }

    pub(crate) fn push(&mut self, bundle: &Arc<MixBundle>, now: Time) {
        if self.slots.len() == RING {
            self.slots.pop_front();
        }
        let (seats, ticks) = (bundle.packet.seats(), bundle.packet.ticks);
        self.last = self.last.max(Some(bundle.packet.last_group()));
        self.slots.push_back(Slot { at: now, seats, ticks, objects: Some((bundle.datagram(), bundle.object())) });
        self.end += 1;
    }

    /// The packet at `position`, for `mix`.
    pub(crate) fn datagram(&self, position: u64) -> Option<&Object> {
        self.slot(position)?.objects.as_ref().map(|(datagram, _)| datagram)
    }

    /// The packet at `position`, for `mix.groups`.
    pub(crate) fn object(&self, position: u64) -> Option<&Object> {
        self.slot(position)?.objects.as_ref().map(|(_, object)| object)
    }

    /// Removes every packet with one of `seats` in it: voices cannot be taken out of a mix.
    pub(crate) fn silence(&mut self, seats: SeatMask) {
        for slot in self.slots.iter_mut().filter(|slot| slot.seats & seats != 0) {
            slot.objects = None;
        }
    }
}
