//! What a seat may send: token buckets for frames and for bytes, in integers.

use crate::time::Time;

/// A token is worth this many parts, so that rates per second divide into microseconds without rounding.
const PARTS: u64 = 1_000_000;

/// A token bucket. Full at first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    parts: u64,
    per_second: u32,
    burst: u32,
    at: Time,
}

impl Bucket {
    pub(crate) const fn new(per_second: u32, burst: u32, now: Time) -> Self {
        Self { parts: burst as u64 * PARTS, per_second, burst, at: now }
    }

    pub(crate) fn refill(&mut self, now: Time) {
        let micros = now.0.saturating_sub(self.at.0);
        let gained = micros.saturating_mul(u64::from(self.per_second));
        self.parts = self.parts.saturating_add(gained).min(u64::from(self.burst) * PARTS);
        self.at = self.at.max(now);
    }

    pub(crate) const fn holds(&self, tokens: u32) -> bool {
        self.parts >= tokens as u64 * PARTS
    }

    pub(crate) fn take(&mut self, tokens: u32) {
        self.parts = self.parts.saturating_sub(u64::from(tokens) * PARTS);
    }
}

/// How much one seat may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Frames a second. A little over 50, so that a fast capture clock never runs dry.
    pub frames: u32,
    /// Frames that may come at once, after a stall of the speaker's network.
    pub frame_burst: u32,
    /// Bytes of Opus a second.
    pub bytes: u32,
    /// Bytes that may come at once.
    pub byte_burst: u32,
}

impl Default for Rates {
    /// 50 frames a second and 1 % more, a second at once; 128 kbit/s, a second at once.
    fn default() -> Self {
        Self { frames: 51, frame_burst: 50, bytes: 16_000, byte_burst: 16_000 }
    }
}

/// One seat's buckets, and what went over them.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    frames: Bucket,
    bytes: Bucket,
    dropped: u32,
    told: Option<Time>,
}

/// Least time between two reports of excess, in microseconds.
const REPORT_EVERY: u64 = 1_000_000;

impl Budget {
    /// Full buckets.
    #[must_use]
    pub const fn new(rates: Rates, now: Time) -> Self {
        Self {
            frames: Bucket::new(rates.frames, rates.frame_burst, now),
            bytes: Bucket::new(rates.bytes, rates.byte_burst, now),
            dropped: 0,
            told: None,
        }
    }

    /// Takes one frame of `bytes` from both buckets, or neither; the excess is counted.
    pub fn admit(&mut self, now: Time, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.frames.refill(now);
        self.bytes.refill(now);
        if self.frames.holds(1) && self.bytes.holds(bytes) {
            self.frames.take(1);
            self.bytes.take(bytes);
            return true;
        }
        self.dropped = self.dropped.saturating_add(1);
        false
    }

    /// Frames dropped since the last report, if there are any and a second has gone by since.
    pub fn report(&mut self, now: Time) -> Option<u32> {
        if self.report_due().is_none_or(|due| due > now) {
            return None;
        }
        self.told = Some(now);
        Some(core::mem::take(&mut self.dropped))
    }

    /// When [`Self::report`] has something to say.
    #[must_use]
    pub fn report_due(&self) -> Option<Time> {
        (self.dropped > 0).then(|| self.told.map_or(Time(0), |told| Time(told.0.saturating_add(REPORT_EVERY))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_speaker_never_runs_dry_and_a_flood_is_cut_to_the_rate() {
        let mut budget = Budget::new(Rates::default(), Time(0));
        assert!((0..100_000u64).all(|n| budget.admit(Time(n * 19_990), 80)), "0.05 % fast for half an hour");
        let mut budget = Budget::new(Rates::default(), Time(0));
        let passed = (0..100_000u64).filter(|n| budget.admit(Time(n * 100), 20)).count();
        assert_eq!(passed, 50 + 51 * 10 - 1, "ten seconds of 10,000 frames/s");
    }

    #[test]
    fn bytes_are_cut_even_where_frames_are_few() {
        let mut budget = Budget::new(Rates::default(), Time(0));
        let passed = (0..500u64).filter(|n| budget.admit(Time(n * 20_000), 512)).count();
        assert_eq!(passed, (16_000 + 16_000 * 10) / 512);
    }

    #[test]
    fn excess_is_told_once_a_second_at_most() {
        let mut budget = Budget::new(Rates { frames: 1, frame_burst: 1, ..Rates::default() }, Time(0));
        let mut told = Vec::new();
        let mut passed = 0;
        for n in 0..1_000u64 {
            passed += u32::from(budget.admit(Time(n * 3_000), 1));
            told.extend(budget.report(Time(n * 3_000)));
        }
        assert_eq!(told.len(), 3);
        assert!(told.iter().sum::<u32>() <= 1_000 - passed);
        assert_eq!(budget.report(Time::NEVER), Some(1_000 - passed - told.iter().sum::<u32>()), "nothing is forgotten");
    }
}
