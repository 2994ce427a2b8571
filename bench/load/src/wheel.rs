//! Timers of thousands of connections: buckets of 1 ms.

use std::time::{Duration, Instant};

const SLOTS: u64 = 4_096;

/// Each connection has at most one entry that counts; older ones are skipped when they come up.
pub struct Wheel {
    start: Instant,
    done: u64,
    slots: Vec<Vec<(usize, u64)>>,
}

impl Wheel {
    /// Time begins at `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self { start, done: 0, slots: (0..SLOTS).map(|_| Vec::new()).collect() }
    }

    /// Enters `key` for `at`; returns the slot, by which the entry is known when it comes up. What is further away than the
    /// wheel reaches (4 s) comes up earlier, to be entered again.
    pub fn enter(&mut self, key: usize, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.start).as_micros().div_ceil(1_000) as u64;
        let slot = millis.clamp(self.done + 1, self.done + SLOTS - 1);
        if let Some(entries) = self.slots.get_mut((slot % SLOTS) as usize) {
            entries.push((key, slot));
        }
        slot
    }

    /// Moves all entries that have come up by `now` into `due`.
    pub fn advance(&mut self, now: Instant, due: &mut Vec<(usize, u64)>) {
        let target = now.saturating_duration_since(self.start).as_millis() as u64;
        while self.done < target {
            self.done += 1;
            if let Some(entries) = self.slots.get_mut((self.done % SLOTS) as usize) {
                due.append(entries);
            }
        }
    }

    /// When slot `slot` comes up.
    #[must_use]
    pub fn time_of(&self, slot: u64) -> Instant {
        self.start + Duration::from_millis(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_up_in_their_millisecond_never_before() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let at = |micros| start + Duration::from_micros(micros);
        wheel.enter(1, at(1_500));
        wheel.enter(2, at(0));
        wheel.enter(3, at(60_000_000));
        let mut due = Vec::new();
        wheel.advance(at(1_999), &mut due);
        assert_eq!(due, [(2, 1)]);
        wheel.advance(at(2_000), &mut due);
        assert_eq!(due, [(2, 1), (1, 2)]);
        wheel.advance(at(5_000_000), &mut due);
        assert_eq!(due.last(), Some(&(3, 4_095)), "beyond the wheel's reach, it comes up early");
    }
}
