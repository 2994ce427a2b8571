//! When a speaker's frames leave: at once, or one every 20 ms.

use std::time::{Duration, Instant};

use spaces_core::time::TICK;

/// Later than this, a paced stream does not catch up but goes on from now.
const CATCH_UP: Duration = Duration::from_millis(100);
/// Ticks without a frame after which the speaker has paused.
const PAUSE: u32 = 3;

/// The cadence of one speaker. Call [`Pace::due`], and when that time has come [`Pace::sent`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// When the next frame would be on time; `None` before the first.
    next: Option<Instant>,
}

impl Pace {
    /// When a frame may leave that is there at `now`.
    pub(super) fn due(&self, paced: bool, now: Instant) -> Instant {
        match self.next {
            Some(next) if paced && now <= next + CATCH_UP => next,
            _ => now,
        }
    }

    /// A frame left at `now`, which was due at `due`.
    pub(super) fn sent(&mut self, due: Instant) {
        self.next = Some(due + TICK);
    }

    /// When a speaker of whom nothing came is silent: its talkspurt is to be ended.
    pub(super) fn pause_at(&self) -> Option<Instant> {
        self.next.map(|next| next + TICK * PAUSE)
    }

    /// Whole ticks that were left out before a frame that leaves at `now`. Zero unless the speaker had paused.
    pub(super) fn missed(&self, now: Instant) -> u64 {
        let Some(next) = self.next else { return 0 };
        let late = now.saturating_duration_since(next);
        if late < TICK * PAUSE { 0 } else { (late.as_micros() / TICK.as_micros()) as u64 }
    }
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
        let late = start + Duration::from_secs(5);
        assert_eq!(pace.due(true, late), late);
        assert_eq!(pace.missed(late), 248);
        assert_eq!(pace.due(false, start), start, "unpaced frames never wait");
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
