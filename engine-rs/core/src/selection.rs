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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::SeatNo;
    use crate::uplink::{Level, Spurt};

    fn frame(seat: u8, level: u8, start: bool) -> RecordedFrame {
        frame_of(seat, level, start, 80)
    }

    fn frame_of(seat: u8, level: u8, start: bool, size: usize) -> RecordedFrame {
        let spurt = Spurt { start, end: false };
        let opus = Bytes::from(vec![0x78; size]);
        RecordedFrame { seat: SeatNo::new(seat).unwrap(), generation: 1, level: Level(level), spurt, opus }
    }

    #[test]
    fn with_places_for_all_everybody_is_heard_always() {
        let mut selection = Selection::new(3);
        for tick in 0..500u64 {
            let level = (tick * 37 % 100) as u8;
            let frames = [frame(2, level, tick == 0), frame(5, 100 - level, tick == 0), frame(9, 127, tick == 0)];
            let chosen = selection.choose(tick, &frames);
            assert_eq!(chosen, Chosen { heard: 0b10_0010_0100, entering: 0, leaving: 0 });
        }
    }

    #[test]
    fn a_first_syllable_is_never_clipped_however_quiet() {
        for most in 1..4u8 {
            let mut selection = Selection::new(most);
            for tick in 0..600u64 {
                // Loud talkers go on and on; seat 10 begins quietly twelve times, heard from its first frame for 300 ms.
                let mut frames: Vec<_> = (0..4).map(|seat| frame(seat, 20, tick == 0)).collect();
                let place = tick % 50;
                if tick >= 50 && place < 25 {
                    frames.push(frame(10, 60, place == 0));
                }
                let chosen = selection.choose(tick, &frames);
                if tick >= 50 && place < 15 {
                    assert_ne!(chosen.heard & 1 << 10, 0, "{most} places, tick {tick}");
                }
                assert!(chosen.heard.count_ones() <= u32::from(most) + chosen.leaving.count_ones());
            }
        }
    }

    #[test]
    fn equally_loud_seats_do_not_take_turns() {
        let mut selection = Selection::new(2);
        let mut changes = 0;
        let mut before = 0;
        for tick in 0..3_000u64 {
            let wobble = |seat: u64| 30 + ((tick * 7 + seat * 13) % 9) as u8;
            let frames: Vec<_> = (0..5).map(|seat| frame(seat, wobble(seat.into()), tick == 0)).collect();
            let heard = selection.choose(tick, &frames).heard;
            changes += u32::from(heard != before);
            before = heard;
        }
        assert!(changes <= 4, "{changes} changes in a minute");
    }

    #[test]
    fn who_is_much_louder_is_heard_soon_and_the_change_is_marked() {
        let mut selection = Selection::new(1);
        let mut taken = None;
        for tick in 0..200u64 {
            let loud = if tick < 50 { 70 } else { 15 };
            let chosen = selection.choose(tick, &[frame(0, 40, tick == 0), frame(1, loud, tick == 0)]);
            if chosen.entering != 0 {
                assert_eq!((chosen.heard, chosen.entering, chosen.leaving), (0b11, 0b10, 0b01));
                assert!(taken.replace(tick).is_none(), "once");
            }
        }
        assert!(taken.is_some_and(|tick| (50..80).contains(&tick)), "{taken:?}");
    }

    #[test]
    fn a_hole_of_one_frame_gives_nobody_the_place() {
        let mut selection = Selection::new(1);
        for tick in 0..100u64 {
            let mut frames = vec![frame(0, 20, tick == 0), frame(1, 50, tick == 0)];
            if tick > 20 && tick % 10 == 5 {
                frames.remove(0);
            }
            let heard = selection.choose(tick, &frames).heard;
            assert!(tick < 20 || heard & 0b10 == 0, "tick {tick}");
        }
    }

    #[test]
    fn what_is_chosen_goes_into_two_parts() {
        let mut selection = Selection::new(13);
        for tick in 0..100u64 {
            let frames: Vec<_> = (0..13).map(|seat| frame_of(seat, 10 + seat, tick == 0, 200)).collect();
            let chosen = selection.choose(tick, &frames);
            assert_eq!(chosen.heard.count_ones(), 10, "five of 200 bytes a part");
            assert!(tick < 20 || chosen.heard == 0b11_1111_1111, "the loudest: {:b}", chosen.heard);
        }
    }
}
