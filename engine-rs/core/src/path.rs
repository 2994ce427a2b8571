//! What a listener's own connection says of its path, and what follows from it: whether ticks are repeated (redundancy), how
//! old a tick may get before it is skipped (deadline), and whether the path is too weak for the stage's packets.
//!
//! Packets are judged in windows of [`WINDOW`]. Redundancy looks at losses alone. Weakness looks at losses and at ticks that
//! the connection would not take (its congestion window was full): a circuit breaker after RFC 8083, which opens again only
//! after a long calm, and after a longer one each time.

/// Packets that are judged together: a second of talk on the stage, three on the mix.
const WINDOW: u16 = 50;
/// Windows without loss until redundancy ends.
const CALM: u8 = 5;
/// Windows in a row with more than a tenth missing until the path is weak.
const BAD: u8 = 5;
/// Windows in a row with next to nothing missing until it is weak no more; twice as many after each relapse.
const GOOD: u8 = 10;
/// Most doublings of [`GOOD`].
const RELAPSES: u8 = 3;
/// Windows in a row that are not bad, after which earlier relapses are forgotten.
const FORGIVEN: u8 = 240;

/// Microseconds in the unit in which round-trip times are kept.
const RTT_UNIT: u32 = 2_000;
/// Deadline while nothing is known of the path, and its bounds, in microseconds.
const UNKNOWN: u64 = 200_000;
const LEAST: u64 = 120_000;
/// Less than a ring of ticks holds.
const MOST: u64 = 300_000;
/// The part of the deadline that does not depend on the path: the peer holds back acknowledgements, and its sound card asks
/// unevenly.
const BASE: u64 = 100_000;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Path {
    sent: u16,
    lost: u16,
    /// Ticks that were skipped.
    missed: u8,
    /// Windows in a row with next to no loss.
    calm: u8,
    /// Windows in a row that speak against what [`Self::weak`] answers.
    run: u8,
    /// Windows in a row that were not bad.
    fine: u8,
    relapses: u8,
    /// Smoothed round-trip time; 0: unknown.
    rtt: u8,
    lossy: bool,
    weak: bool,
}

impl Path {
    /// What the connection did since the last report. True if [`Self::weak`] answers otherwise from now on.
    pub(crate) fn report(&mut self, sent: u32, lost: u32, rtt_us: u32) -> bool {
        if rtt_us > 0 {
            self.rtt = (rtt_us / RTT_UNIT).clamp(1, u32::from(u8::MAX)) as u8;
        }
        self.sent = self.sent.saturating_add(u16::try_from(sent).unwrap_or(u16::MAX));
        self.lost = self.lost.saturating_add(u16::try_from(lost).unwrap_or(u16::MAX));
        if self.sent.saturating_add(self.missed.into()) < WINDOW {
            return false;
        }
        let (sent, lost, missed) = (u32::from(self.sent), u32::from(self.lost), u32::from(self.missed));
        (self.sent, self.lost, self.missed) = (0, 0, 0);
        // Of a window in which nothing could be sent, nothing is known of losses.
        if sent >= u32::from(WINDOW) / 2 {
            self.judge_losses(lost * 1_000 / sent);
        }
        self.judge_path((lost + missed) * 1_000 / (sent + missed))
    }

    /// So many ticks were too old when the connection took something again.
    pub(crate) fn skipped(&mut self, ticks: u64) {
        self.missed = self.missed.saturating_add(u8::try_from(ticks).unwrap_or(u8::MAX));
    }

    /// Repeat the tick before.
    pub(crate) const fn lossy(&self) -> bool {
        self.lossy
    }

    /// Too weak for the stage.
    pub(crate) const fn weak(&self) -> bool {
        self.weak
    }

    /// A tick that could not be sent for so long is skipped, in microseconds. A full connection takes something again when
    /// acknowledgements come back: a round trip and a little. Where packets are lost, that has to be noticed first, which
    /// takes another one (RFC 9002 §6.1).
    pub(crate) const fn deadline(&self) -> u64 {
        if self.rtt == 0 {
            return UNKNOWN;
        }
        let rtt = self.rtt as u64 * RTT_UNIT as u64;
        let wanted = BASE + rtt * if self.lossy { 3 } else { 2 };
        if wanted < LEAST {
            LEAST
        } else if wanted > MOST {
            MOST
        } else {
            wanted
        }
    }

    fn judge_losses(&mut self, per_mille: u32) {
        match per_mille {
            20.. => (self.lossy, self.calm) = (true, 0),
            6.. => self.calm = 0,
            _ => {
                self.calm = (self.calm + 1).min(CALM);
                self.lossy &= self.calm < CALM;
            }
        }
    }

    fn judge_path(&mut self, missing_per_mille: u32) -> bool {
        let against = if self.weak { missing_per_mille <= 20 } else { missing_per_mille > 100 };
        self.run = if against { self.run.saturating_add(1) } else { 0 };
        if self.weak {
            if self.run < GOOD << self.relapses.min(RELAPSES) {
                return false;
            }
            (self.weak, self.run, self.fine) = (false, 0, 0);
            self.relapses = (self.relapses + 1).min(RELAPSES);
            return true;
        }
        self.fine = if against { 0 } else { self.fine.saturating_add(1) };
        if self.fine >= FORGIVEN {
            self.relapses = 0;
        }
        if self.run < BAD {
            return false;
        }
        (self.weak, self.run) = (true, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports windows of `lost` in 100; after how many the answer changes.
    fn until_changed(path: &mut Path, lost: u32) -> u32 {
        (1..1_000).find(|_| path.report(100, lost, 0)).unwrap()
    }

    #[test]
    fn redundancy_begins_with_loss_and_ends_only_after_calm() {
        let mut path = Path::default();
        path.report(49, 10, 0);
        assert!(!path.lossy(), "one window is not full yet");
        path.report(1, 0, 0);
        assert!(path.lossy());
        for window in 0..20 {
            path.report(50, u32::from(window % 4 == 3), 0);
            assert!(path.lossy(), "1 % once in a while is not calm");
        }
        for _ in 0..5 {
            assert!(path.lossy());
            path.report(100, 0, 0);
        }
        assert!(!path.lossy());
        path.report(u32::MAX, u32::MAX, 0);
        assert!(path.lossy());
    }

    #[test]
    fn the_deadline_follows_round_trips_and_losses_within_its_bounds() {
        let mut path = Path::default();
        assert_eq!(path.deadline(), 200_000);
        let mut at = |rtt_ms: u32, lost: u32| {
            for _ in 0..6 {
                path.report(100, lost, rtt_ms * 1_000);
            }
            path.deadline() / 1_000
        };
        assert_eq!((at(1, 0), at(20, 0), at(60, 0), at(200, 0)), (120, 140, 220, 300));
        assert_eq!((at(60, 5), at(20, 5), at(0, 5)), (280, 160, 160), "and an unknown one changes nothing");
        assert_eq!((at(20, 0), at(5_000, 0)), (140, 300));
    }

    #[test]
    fn a_weak_path_is_found_within_five_bad_windows_and_gets_longer_probation_after_each_relapse() {
        let mut path = Path::default();
        for _ in 0..100 {
            assert!(!path.report(100, 10, 0), "a tenth is bearable");
        }
        for _ in 0..100 {
            let told = (0..4).any(|_| path.report(100, 30, 0)) | path.report(100, 0, 0);
            assert!(!told, "a bad moment is not a bad path");
        }
        for probation in [10, 20, 40, 80, 80] {
            assert_eq!(until_changed(&mut path, 11), 5);
            assert!(path.weak());
            for _ in 0..100 {
                let told = (0..9).any(|_| path.report(100, 2, 0)) | path.report(100, 3, 0);
                assert!(!told, "not calm for long enough");
            }
            assert_eq!(until_changed(&mut path, 2), probation);
            assert!(!path.weak());
        }
        for _ in 0..FORGIVEN {
            path.report(100, 0, 0);
        }
        assert_eq!((until_changed(&mut path, 50), until_changed(&mut path, 0)), (5, 10));
    }

    #[test]
    fn ticks_that_a_full_connection_did_not_take_count_against_the_path_but_are_no_losses() {
        let mut path = Path::default();
        let mut windows = 0;
        loop {
            windows += 1;
            path.skipped(10);
            if path.report(40, 0, 0) {
                break;
            }
        }
        assert_eq!((windows, path.lossy()), (5, false));
        let mut silent = Path::default();
        silent.skipped(u64::MAX);
        assert!(!silent.report(0, 0, 0) && !silent.lossy());
    }
}
