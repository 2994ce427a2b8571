//! Deadlines of many connections, in slots of 1 ms.
//!
//! A wheel that forgets nothing and promises little: a key fires at its slot or, beyond the horizon, at the horizon, and the
//! owner looks whether anything is due. So a deadline that moves back costs nothing, and one that moves forward costs one entry.

use std::time::{Duration, Instant};

/// One slot.
const SLOT: Duration = Duration::from_millis(1);
/// Slots; the horizon is 4,095 ms.
const SLOTS: usize = 4_096;

/// No entry.
const NONE: u32 = u32::MAX;

/// A key in a slot, and the entry after it: in the same slot, or of those that are free.
#[derive(Clone, Copy)]
struct Entry {
    key: u32,
    after: u32,
}

/// The wheel. All slots share one store of entries: once that has grown to the most that were ever armed at once, nothing is
/// allocated any more, whichever slots they are in.
pub(crate) struct Wheel {
    origin: Instant,
    /// Every slot before this one has been emptied.
    next: u64,
    /// The first entry of each slot.
    slots: Box<[u32]>,
    entries: Vec<Entry>,
    /// The first free entry.
    free: u32,
    occupied: [u64; SLOTS / 64],
}

impl Wheel {
    /// An empty wheel whose time begins at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        let slots = vec![NONE; SLOTS].into_boxed_slice();
        Self { origin: now, next: 0, slots, entries: Vec::new(), free: NONE, occupied: [0; SLOTS / 64] }
    }

    /// Will fire `key` at the first slot that ends at or after `at`. Returns that slot's number, which tells it from other
    /// entries of the same key.
    pub(crate) fn set(&mut self, key: u32, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.origin).as_micros() as u64;
        let slot = micros.div_ceil(SLOT.as_micros() as u64).clamp(self.next, self.next + SLOTS as u64 - 1);
        let index = slot as usize % SLOTS;
        if let Some(first) = self.slots.get_mut(index) {
            let entry = Entry { key, after: *first };
            *first = match self.entries.get_mut(self.free as usize) {
                Some(free) => {
                    let at = std::mem::replace(&mut self.free, free.after);
                    *free = entry;
                    at
                }
                None => {
                    self.entries.push(entry);
                    self.entries.len() as u32 - 1
                }
            };
        }
        if let Some(word) = self.occupied.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
        slot
    }

    /// As [`Wheel::set`], unless `key` fires no later already, in the slot `armed`.
    pub(crate) fn set_if_sooner(&mut self, key: u32, at: Instant, armed: Option<u64>) -> Option<u64> {
        let micros = at.saturating_duration_since(self.origin).as_micros() as u64;
        let slot = micros.div_ceil(SLOT.as_micros() as u64).max(self.next);
        if armed.is_some_and(|armed| armed <= slot) { armed } else { Some(self.set(key, at)) }
    }

    /// When the next key fires.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let mut slot = self.next;
        while slot < self.next + SLOTS as u64 {
            let index = slot as usize % SLOTS;
            let word = self.occupied.get(index / 64)? >> (index % 64);
            if word != 0 {
                let slot = slot + u64::from(word.trailing_zeros());
                return Some(self.origin + SLOT * u32::try_from(slot).unwrap_or(u32::MAX));
            }
            slot += 64 - index as u64 % 64;
        }
        None
    }

    /// Appends (key, slot number) of all that has come by `now`.
    pub(crate) fn expire(&mut self, now: Instant, due: &mut Vec<(u32, u64)>) {
        let elapsed = (now.saturating_duration_since(self.origin).as_micros() / SLOT.as_micros()) as u64;
        let last = elapsed.min(self.next + SLOTS as u64 - 1);
        while self.next <= last {
            let (slot, index) = (self.next, self.next as usize % SLOTS);
            let bit = 1 << (index % 64);
            if let (Some(word), Some(first)) = (self.occupied.get_mut(index / 64), self.slots.get_mut(index))
                && *word & bit != 0
            {
                *word &= !bit;
                let mut at = std::mem::replace(first, NONE);
                while let Some(entry) = self.entries.get_mut(at as usize) {
                    due.push((entry.key, slot));
                    let after = std::mem::replace(&mut entry.after, self.free);
                    self.free = std::mem::replace(&mut at, after);
                }
            }
            self.next += 1;
        }
        // After a long sleep everything has fired; the wheel goes on from here.
        self.next = self.next.max(elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(origin: Instant, micros: u64) -> Instant {
        origin + Duration::from_micros(micros)
    }

    fn fired(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.expire(now, &mut due);
        let mut keys: Vec<_> = due.into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn keys_fire_in_their_slot_and_never_before() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        wheel.set(1, at(origin, 2_300));
        wheel.set(2, at(origin, 500));
        wheel.set(3, at(origin, 2_999));
        assert_eq!(wheel.next_timeout(), Some(at(origin, 1_000)));
        assert_eq!(fired(&mut wheel, at(origin, 999)), [0; 0]);
        assert_eq!(fired(&mut wheel, at(origin, 1_000)), [2]);
        assert_eq!(wheel.next_timeout(), Some(at(origin, 3_000)));
        assert_eq!(fired(&mut wheel, at(origin, 2_999)), [0; 0]);
        assert_eq!(fired(&mut wheel, at(origin, 3_000)), [1, 3]);
        assert_eq!(wheel.next_timeout(), None);
    }

    #[test]
    fn what_is_past_fires_at_once_and_what_is_far_at_the_horizon() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        assert_eq!(fired(&mut wheel, at(origin, 10_000_000)), [0; 0]);
        wheel.set(1, at(origin, 1));
        wheel.set(2, at(origin, 60_000_000));
        assert_eq!(fired(&mut wheel, at(origin, 10_000_000)), [1]);
        assert_eq!(fired(&mut wheel, at(origin, 14_094_999)), [0; 0]);
        assert_eq!(fired(&mut wheel, at(origin, 14_096_000)), [2]);
    }

    #[test]
    fn entries_are_used_again_whichever_slot_they_were_in() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        for round in 0..10_000u64 {
            let now = at(origin, round * 7_000);
            for key in 0..5 {
                wheel.set(key, at(origin, round * 7_000 + 1_000 + u64::from(key) * (round % 13) * 100));
            }
            assert_eq!(fired(&mut wheel, now + Duration::from_micros(6_999)), [0, 1, 2, 3, 4]);
        }
        assert_eq!(wheel.entries.len(), 5);
    }

    #[test]
    fn a_random_schedule_fires_everything_once_in_time() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut now, mut wanted, mut seen) = (0, Vec::new(), Vec::new());
        for key in 0..5_000u32 {
            let due = now + random(4_000_000);
            wheel.set(key, at(origin, due));
            wanted.push(due);
            now += random(2_000);
            for key in fired(&mut wheel, at(origin, now)) {
                assert!(wanted[key as usize] <= now, "early");
                assert!(wanted[key as usize] + 4_000 >= now, "late");
                seen.push(key);
            }
            if let Some(next) = wheel.next_timeout() {
                assert!(next > at(origin, now));
            }
        }
        seen.extend(fired(&mut wheel, at(origin, now + 5_000_000)));
        seen.sort_unstable();
        assert_eq!(seen, (0..5_000).collect::<Vec<_>>());
    }
}
