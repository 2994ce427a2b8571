//! Who is heard: everybody, or the loudest N.
//!
//! Loudness is the RFC 6464 level, smoothed. A talkspurt's onset beats everything, so that no first syllable is clipped; a
//! seat that is heard keeps its place for a while after it was last among the loudest, so that two of equal loudness do not
//! alternate. A seat that loses its place in the middle of a talkspurt gets an end mark on its last frame, and a start mark
//! on the first when it comes back: receivers then do not mistake the hole for loss.

use crate::bundle::MAX_PAYLOAD;
use crate::ids::{MAX_SEATS, SeatMask};
use crate::record::RecordedFrame;

/// Parts of a bundle that are sent.
pub(crate) const MAX_PARTS: usize = 2;
/// Ticks from a talkspurt's first frame in which it cannot be displaced.
const ONSET: u64 = 15;
/// Ticks that a seat is kept after it was last among the loudest.
const HANG_OVER: u64 = 25;
/// Ticks without a frame after which a seat's place is free.
const GONE: u64 = 10;
/// Levels are kept in 1/16 dB.
const DB: i32 = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Smoothed, louder is greater.
    level: i32,
    seen: Option<u64>,
    onset_until: u64,
    kept_until: u64,
    heard: bool,
}

/// What a tick sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Seats sent.
    pub(crate) heard: SeatMask,
    /// Of these, seats that were left out in the tick before although they spoke.
    pub(crate) entering: SeatMask,
    /// Of these, seats that are left out from the next tick on.
    pub(crate) leaving: SeatMask,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    most: usize,
    slots: [Slot; MAX_SEATS],
}

impl Selection {
    /// Hears at most `most` seats at once.
    pub(crate) const fn new(most: u8) -> Self {
        let slot = Slot { level: 0, seen: None, onset_until: 0, kept_until: 0, heard: false };
        Self { most: most as usize, slots: [slot; MAX_SEATS] }
    }

    /// Chooses among the frames of `tick`, which are in order of seat.
    pub(crate) fn choose(&mut self, tick: u64, frames: &[RecordedFrame]) -> Chosen {
        let (mut present, mut before, mut spoke) = (0, 0, 0);
        for frame in frames {
            let Some(slot) = self.slots.get_mut(frame.seat.index()) else { continue };
            let level = (127 - i32::from(frame.level.minus_dbov())) * DB;
            let running = slot.seen.is_some_and(|seen| tick - seen.min(tick) <= GONE) && !frame.spurt.start;
            if running {
                slot.level += (level - slot.level) / if level > slot.level { 2 } else { 8 };
                spoke |= frame.seat.bit();
            } else {
                slot.level = level;
                slot.onset_until = tick.saturating_add(ONSET);
                slot.heard = false;
            }
            slot.seen = Some(tick);
            present |= frame.seat.bit();
            before |= if slot.heard { frame.seat.bit() } else { 0 };
        }
        let mut ranked: [(i32, u8); MAX_SEATS] = [(i32::MIN, 0); MAX_SEATS];
        let mut loudest = ranked;
        let mut count = 0;
        for (number, slot) in (0u8..).zip(&mut self.slots) {
            if slot.seen.is_none_or(|seen| tick - seen.min(tick) > GONE) {
                slot.heard = false;
                continue;
            }
            if let (Some(rank), Some(loud)) = (ranked.get_mut(count), loudest.get_mut(count)) {
                *rank = (slot.score(tick), number);
                *loud = (slot.level, number);
                count += 1;
            }
        }
        let order = |rank: &(i32, u8)| (core::cmp::Reverse(rank.0), rank.1);
        ranked.sort_unstable_by_key(order);
        loudest.sort_unstable_by_key(order);
        let top = |list: &[(i32, u8)]| {
            list.iter().take(count.min(self.most)).fold(0, |mask: SeatMask, (_, seat)| mask | 1u16 << seat)
        };
        let (places, loud) = (top(&ranked), top(&loudest));
        let mut heard = places & present;
        let mut leaving = before & !heard & if self.most < MAX_SEATS { present } else { 0 };
        if !fits(frames, heard | leaving) {
            leaving = 0;
        }
        // What cannot be carried is left out from the last place up.
        for (_, seat) in ranked.iter().take(count).rev() {
            if fits(frames, heard | leaving) {
                break;
            }
            heard &= !(1 << seat);
        }
        for (number, slot) in (0u8..).zip(&mut self.slots) {
            let bit = 1 << number;
            if loud & bit != 0 {
                slot.kept_until = tick.saturating_add(HANG_OVER);
            }
            slot.heard = (slot.heard && present & bit == 0 && places & bit != 0) || heard & bit != 0;
        }
        Chosen { heard: heard | leaving, entering: heard & spoke & !before, leaving }
    }
}

impl Slot {
    fn score(&self, tick: u64) -> i32 {
        let onset = if tick < self.onset_until { 1_000 * DB } else { 0 };
        let kept = match (self.heard, tick < self.kept_until) {
            (true, true) => 12 * DB,
            (true, false) => 3 * DB,
            _ => 0,
        };
        // Among onsets those that are heard already come first: they are not cut off by the next one.
        self.level + onset + kept + if onset > 0 && self.heard { 500 * DB } else { 0 }
    }
}

/// Whether the frames of `seats` go into [`MAX_PARTS`] payloads in order of seat.
fn fits(frames: &[RecordedFrame], seats: SeatMask) -> bool {
    let (mut parts, mut used) = (1, 0);
    for frame in frames.iter().filter(|frame| frame.seat.bit() & seats != 0) {
        let size = frame.entry(false).size();
        if used + size > MAX_PAYLOAD {
            parts += 1;
            used = 0;
        }
        used += size;
    }
    parts <= MAX_PARTS
}
