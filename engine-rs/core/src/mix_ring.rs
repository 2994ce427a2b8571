//! The mix's last packets on this shard, shared by all who listen to it in the same phase ([`crate::mix_packer`]).

use std::collections::VecDeque;

use crate::cursor::{Line, PREFILL};
use crate::engine::{MixBundle, Object, Track};
use crate::ids::{SeatMask, SpaceId};
use crate::mix::{MAX_TICKS, MixPacket};
use crate::mix_bundle;
use crate::mix_packer::Packer;
use crate::ring::TICKS_PER_GROUP;
use crate::time::{TICK_SAMPLES, Time};

/// Packets kept.
const RING: usize = 16;

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

/// One phase's packets. Positions count them since the line was made, without holes.
#[derive(Debug)]
pub(crate) struct MixLine {
    packer: Packer,
    numbers: Numbers,
    slots: VecDeque<Slot>,
    end: u64,
}

impl Line for MixLine {
    fn end(&self) -> u64 {
        self.end
    }

    fn entered(&self, position: u64) -> Option<Time> {
        self.slot(position).map(|slot| slot.at)
    }
}

impl MixLine {
    fn new(ticks: u8, phase: u8) -> Self {
        let packer = Packer::new(ticks, phase);
        Self { packer, numbers: Numbers::default(), slots: VecDeque::new(), end: 0 }
    }

    fn start(&self) -> u64 {
        self.end - self.slots.len() as u64
    }

    fn slot(&self, position: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(position.checked_sub(self.start())?).ok()?)
    }

    /// Where who has just come begins: with as much time as on the stage.
    pub(crate) fn prefill(&self) -> u64 {
        let ticks = self.slots.back().map_or(1, |slot| u64::from(slot.ticks.max(1)));
        self.end.saturating_sub(PREFILL.div_ceil(ticks)).max(self.start())
    }

    fn push(&mut self, space: SpaceId, packet: &MixPacket, now: Time) {
        if self.slots.len() == RING {
            self.slots.pop_front();
        }
        let (seats, ticks) = (packet.seats(), packet.ticks);
        let datagram = Object {
            space,
            track: Track::Mix,
            group: packet.group,
            object: 0,
            end_of_group: true,
            timestamp: packet.group.saturating_mul(TICK_SAMPLES),
            payload: mix_bundle::encode(packet),
        };
        let group = packet.group / TICKS_PER_GROUP;
        let object = Object {
            track: Track::MixGroups,
            group,
            object: self.numbers.take(packet),
            end_of_group: packet.last_group().saturating_add(1) / TICKS_PER_GROUP != group,
            payload: packet.opus.clone(),
            ..datagram.clone()
        };
        self.slots.push_back(Slot { at: now, seats, ticks, objects: Some((datagram, object)) });
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
}

/// See the module.
#[derive(Debug)]
pub(crate) struct MixRing {
    /// By phase: one at least.
    lines: Vec<MixLine>,
    /// The last tick in a packet here.
    last: Option<u64>,
}

impl MixRing {
    /// For packets of so many ticks, 1 to 3.
    pub(crate) fn new(ticks: u8) -> Self {
        let ticks = ticks.clamp(1, MAX_TICKS as u8);
        Self { lines: (0..ticks).map(|phase| MixLine::new(ticks, phase)).collect(), last: None }
    }

    /// How many phases there are.
    pub(crate) fn phases(&self) -> u8 {
        self.lines.len() as u8
    }

    /// The packets of one phase.
    pub(crate) fn line(&self, phase: u8) -> Option<&MixLine> {
        self.lines.get(usize::from(phase))
    }

    /// The last tick that was ever in a packet here.
    pub(crate) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Takes what comes from the mixer. `made` is told of each packet that is whole now, and of its phase.
    pub(crate) fn push(&mut self, bundle: &MixBundle, now: Time, mut made: impl FnMut(u8, MixPacket)) {
        for (phase, line) in (0..).zip(&mut self.lines) {
            for packet in line.packer.push(&bundle.packet, bundle.last).into_iter().flatten() {
                self.last = self.last.max(Some(packet.last_group()));
                line.push(bundle.space, &packet, now);
                made(phase, packet);
            }
        }
    }

    /// Removes every packet with one of `seats` in it: voices cannot be taken out of a mix.
    pub(crate) fn silence(&mut self, seats: SeatMask) {
        for line in &mut self.lines {
            line.packer.silence(seats);
            for slot in line.slots.iter_mut().filter(|slot| slot.seats & seats != 0) {
                slot.objects = None;
            }
        }
    }
}
