//! When a speaker's frames leave: at once, or one every 20 ms.

use std::time::{Duration, Instant};

use spaces_core::time::TICK;

/// Ticks without a frame after which the speaker has paused. Less is jitter of the caller, and made up for.
const PAUSE: u32 = 3;

/// The cadence of one speaker. Call [`Pace::due`], and when that time has come [`Pace::sent`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When the next frame would be on time; `None` before the first.
    next: Option<Instant>,
}

impl Pace {
    /// When a frame may leave that is there at `now`: on the grid of 20 ms if it is paced, else at once.
    pub(super) fn due(&self, paced: bool, now: Instant) -> Instant {
        match self.next {
            Some(next) if paced && now < next + TICK * PAUSE => next,
            // The latest point that has come: one to come would be so again whenever it is asked for, and none ever be due.
            Some(next) if paced => next + ticks(now - next),
            _ => now,
        }
    }

    /// Whole ticks that were left out before a frame that is due then. Zero unless the speaker had paused.
    pub(super) fn missed(&self, due: Instant) -> u64 {
        let Some(next) = self.next else { return 0 };
        let late = due.saturating_duration_since(next);
        if late < TICK * PAUSE { 0 } else { (ticks(late + TICK / 2).as_micros() / TICK.as_micros()) as u64 }
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

/// The whole ticks in a time.
fn ticks(time: Duration) -> Duration {
    Duration::from_micros((time.as_micros() / TICK.as_micros() * TICK.as_micros()) as u64)
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
    }

    #[test]
    fn after_a_pause_frames_are_on_the_grid_that_their_numbers_tell() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.sent(start);
        for (now, ticks) in [(5_000, 250), (5_001, 250), (5_019, 250), (5_020, 251)] {
            let due = pace.due(true, start + Duration::from_millis(now));
            assert_eq!(due, start + TICK * ticks, "{now}");
            assert_eq!(pace.missed(due), u64::from(ticks) - 1);
        }
        pace.ended();
        assert_eq!(pace.missed(start + TICK * 250), 248);
        assert_eq!(pace.missed(start + TICK * 250 + Duration::from_millis(9)), 248);
        assert_eq!(pace.missed(start + TICK * 250 + Duration::from_millis(11)), 249);
    }

    #[test]
    fn a_thread_that_wakes_after_the_due_time_of_a_frame_behind_a_pause_finds_it_due() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.sent(start);
        for micros in [80_000, 80_001, 99_999, 5_000_050] {
            let now = start + Duration::from_micros(micros);
            assert!(pace.due(true, now) <= now, "{micros}");
        }
    }

    #[test]
    fn jitter_of_the_caller_is_no_pause() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!((pace.missed(start), pace.pause_at()), (0, None));
        pace.sent(start);
        assert_eq!(pace.missed(start + Duration::from_millis(79)), 0);
        assert_eq!(pace.missed(start + Duration::from_millis(80)), 3);
        assert_eq!(pace.pause_at(), Some(start + Duration::from_millis(80)));
    }
}
