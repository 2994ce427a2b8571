//! When a speaker's frames leave: at once, or one every 20 ms.

use std::time::{Duration, Instant};

use spaces_core::time::TICK;

/// Ticks without a frame after which the speaker has paused. Less is jitter of the caller, and made up for.
const PAUSE: u32 = 3;

/// The cadence of one speaker. Call [`Pace::due`]; when that time has come, [`Pace::take_skipped`] and [`Pace::sent`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When the next frame would be on time; `None` before the first.
    next: Option<Instant>,
    /// Ticks left out before it.
    skipped: u64,
}

impl Pace {
    /// When a frame may leave that is there at `now`: on the grid of 20 ms if it is paced, else at once. After a pause the
    /// grid goes on at its next tick, and the ticks before are left out.
    pub(super) fn due(&mut self, paced: bool, now: Instant) -> Instant {
        let Some(next) = self.next else { return now };
        let late = now.saturating_duration_since(next);
        let mut on_time = next;
        if late >= TICK * PAUSE {
            let rounding = if paced { TICK - Duration::from_micros(1) } else { TICK / 2 };
            let skipped = ticks(late + rounding);
            self.skipped += skipped;
            on_time += Duration::from_micros(skipped * TICK.as_micros() as u64);
            self.next = Some(on_time);
        }
        if paced { on_time } else { now }
    }

    /// Ticks that were left out before the frame that leaves now.
    pub(super) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// A frame left that was due then.
    pub(super) fn sent(&mut self, due: Instant) {
        self.next = Some(due + TICK);
    }

    /// When a speaker of whom nothing came is silent: its talkspurt is to be ended.
    pub(super) fn pause_at(&self) -> Option<Instant> {
        self.next.map(|next| next + TICK * PAUSE)
    }

    /// The tick that is next was spent on ending the talkspurt.
    pub(super) fn ended(&mut self) {
        self.next = self.next.map(|next| next + TICK);
    }
}

/// How many whole ticks a time has.
fn ticks(time: Duration) -> u64 {
    (time.as_micros() / TICK.as_micros()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paced_frames_keep_their_grid_and_late_ones_catch_up() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(true, start), start);
        pace.sent(start);
        assert_eq!(pace.due(true, start), start + TICK);
        pace.sent(start + TICK);
        // 15 ms late: leaves at once, and the next one is on the grid again.
        assert_eq!(pace.due(true, start + TICK * 2 + Duration::from_millis(15)), start + TICK * 2);
        assert_eq!(pace.due(false, start), start, "unpaced frames never wait");
        assert_eq!(pace.take_skipped(), 0);
    }

    #[test]
    fn after_a_pause_frames_are_on_the_grid_that_their_numbers_tell() {
        let start = Instant::now();
        for (now, ticks) in [(5_000, 250), (5_001, 251), (5_019, 251), (5_020, 251)] {
            let mut pace = Pace::default();
            pace.sent(start);
            assert_eq!(pace.due(true, start + Duration::from_millis(now)), start + TICK * ticks, "{now}");
            assert_eq!(pace.take_skipped(), u64::from(ticks) - 1);
        }
        for (now, skipped) in [(5_000, 248), (5_009, 248), (5_011, 249)] {
            let mut pace = Pace::default();
            pace.sent(start);
            pace.ended();
            let now = start + Duration::from_millis(now);
            assert_eq!((pace.due(false, now), pace.take_skipped()), (now, skipped));
        }
    }

    #[test]
    fn who_waits_for_the_grid_is_not_told_to_wait_again() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.sent(start);
        let due = pace.due(true, start + Duration::from_millis(503));
        assert_eq!(due, start + TICK * 26);
        assert_eq!(pace.due(true, due + Duration::from_micros(70)), due);
        assert_eq!((pace.take_skipped(), pace.take_skipped()), (25, 0));
    }

    #[test]
    fn jitter_of_the_caller_is_no_pause() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.pause_at(), None);
        pace.sent(start);
        assert_eq!(pace.due(true, start + Duration::from_millis(79)), start + TICK);
        assert_eq!(pace.take_skipped(), 0);
        assert_eq!(pace.pause_at(), Some(start + Duration::from_millis(80)));
        assert_eq!(pace.due(true, start + Duration::from_millis(80)), start + TICK * 4);
        assert_eq!(pace.take_skipped(), 3);
    }
}
