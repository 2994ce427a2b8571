//! The Space's media clock: which tick is due when.
//!
//! Tick `n` covers media time `n × 20 ms` to `(n + 1) × 20 ms` since `started_at`. It is *due* at a fixed phase in that
//! slot: the phase at which the first speaker's frames come in, set when a talkspurt breaks a silent stage and kept while
//! anybody talks. Frames are mapped to ticks by their sequence, not by the slot of their arrival, so a cadence of 20 ms that
//! lies on a slot border neither skips nor doubles a tick.

use crate::time::Time;

/// Microseconds; signed, because differences are.
pub(crate) type Micros = i64;

/// Length of a tick.
pub(crate) const TICK_MICROS: Micros = 20_000;

/// As signed microseconds. Later times than 146,000 years are all the same.
pub(crate) const fn micros(time: Time) -> Micros {
    const LIMIT: u64 = (i64::MAX / 2) as u64;
    if time.0 < LIMIT { time.0 as i64 } else { LIMIT as i64 }
}

/// Back to a time.
pub(crate) const fn time(micros: Micros) -> Time {
    Time(if micros < 0 { 0 } else { micros as u64 })
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cadence {
    epoch: Micros,
    phase: Micros,
}

impl Cadence {
    /// Group 0 began at `started_at_ms` of the wall clock, whose reading at [`Time`] 0 is `unix_origin_us`. A start in the
    /// future (clocks that disagree) counts from `now`.
    pub(crate) fn new(now: Time, started_at_ms: u64, unix_origin_us: u64) -> Self {
        let started = i128::from(started_at_ms) * 1_000 - i128::from(unix_origin_us);
        let epoch = started.clamp(i128::from(i64::MIN / 4), i128::from(micros(now))) as Micros;
        Self { epoch, phase: 0 }
    }

    /// The slot that `at` lies in.
    pub(crate) const fn slot(&self, at: Micros) -> u64 {
        let media = at.saturating_sub(self.epoch);
        if media < 0 { 0 } else { (media / TICK_MICROS) as u64 }
    }

    /// When `tick` is due.
    pub(crate) fn due(&self, tick: u64) -> Micros {
        let media = i64::try_from(tick).unwrap_or(i64::MAX).saturating_mul(TICK_MICROS);
        self.epoch.saturating_add(media).saturating_add(self.phase)
    }

    /// The first tick that is due at `at` or later.
    pub(crate) fn next_due(&self, at: Micros) -> u64 {
        self.slot(at.saturating_sub(self.phase).saturating_add(TICK_MICROS - 1))
    }

    /// Sets the phase so that a tick is due at `at` exactly, and returns that tick.
    pub(crate) fn align(&mut self, at: Micros) -> u64 {
        self.phase = at.saturating_sub(self.epoch).max(0) % TICK_MICROS;
        self.slot(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_due_at_the_phase_and_count_from_the_start_of_the_space() {
        let mut cadence = Cadence::new(Time(5_000_000), 1_700_000_000_000, 1_700_000_000_000_000 - 1_000_000);
        assert_eq!(cadence.slot(1_000_000), 0);
        assert_eq!(cadence.slot(1_039_999), 1);
        assert_eq!(cadence.align(1_047_000), 2);
        assert_eq!(cadence.due(2), 1_047_000);
        assert_eq!(cadence.next_due(1_047_000), 2);
        assert_eq!(cadence.next_due(1_047_001), 3);
        assert_eq!(cadence.next_due(1_067_000), 3);
    }

    #[test]
    fn no_time_overflows() {
        for now in [Time(0), Time(7), Time::NEVER] {
            for started in [0, 1, u64::MAX] {
                for origin in [0, u64::MAX] {
                    let mut cadence = Cadence::new(now, started, origin);
                    let tick = cadence.align(micros(now));
                    assert!(cadence.due(tick) <= micros(Time::NEVER));
                    let _ = (cadence.due(u64::MAX), cadence.next_due(i64::MIN), cadence.next_due(i64::MAX));
                }
            }
        }
    }
}
