//! What a group of listeners heard: every frame once, and how long after it was due.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// One payload in so many has its contents checked.
const CHECKED: u64 = 50;
/// Longest time told apart, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 60_000_000;

/// Times in microseconds, to three digits. Merged by adding counts, so it is told as counts.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).unwrap_or_else(|_| unreachable!("these bounds are allowed")))
    }
}

impl Times {
    /// Enters one.
    pub fn record(&mut self, micros: u64) {
        self.0.saturating_record(micros.min(LONGEST_US));
    }

    /// `[[µs, count], …]`, ascending.
    #[must_use]
    pub fn counts(&self) -> Value {
        self.0.iter_recorded().map(|step| json!([step.value_iterated_to(), step.count_at_value()])).collect()
    }

    /// How many were entered.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// None was entered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which of the last 64 frames of one speaker one listener has heard.
#[derive(Clone, Copy, Default)]
struct Heard {
    /// The newest.
    newest: u32,
    /// Bit n: the nth before it.
    before: u64,
}

impl Heard {
    /// Whether frame `number` is heard for the first time.
    fn first(&mut self, number: u32) -> bool {
        if self.before == 0 {
            (self.newest, self.before) = (number, 1);
            return true;
        }
        if number > self.newest {
            self.before = self.before.checked_shl(number - self.newest).unwrap_or(0) | 1;
            self.newest = number;
            return true;
        }
        // What is older than all that is remembered cannot be told from a repetition.
        let Some(bit) = 1u64.checked_shl(self.newest - number) else { return false };
        let first = self.before & bit == 0;
        self.before |= bit;
        first
    }
}

/// Frames of a Space's mix that anyone has heard: what there was to hear.
#[derive(Default)]
struct Extent {
    first: Option<u64>,
    end: u64,
}

/// See the module.
pub struct Tally {
    speakers: usize,
    heard: Vec<Heard>,
    frames_of: Vec<u32>,
    mixes: BTreeMap<u16, Extent>,
    payloads: u64,
    /// Frames of 20 ms heard while the measurement lasted, each once.
    pub delivered: u64,
    /// Frames that had been heard before.
    pub repeated: u64,
    /// Payloads whose contents were checked.
    pub checked: u64,
    /// Payloads that were not what was sent.
    pub broken: u64,
    /// From when a frame was due to when it was here.
    pub latency: Times,
    /// From when a listener was to join to its first audio.
    pub first_audio: Times,
    /// From when a listener was to join to being let in.
    pub admission: Times,
}

impl Tally {
    /// For `listeners`, each of whom hears so many streams.
    #[must_use]
    pub fn new(listeners: usize, speakers: usize) -> Self {
        Self {
            speakers,
            heard: vec![Heard::default(); listeners * speakers],
            frames_of: vec![0; listeners],
            mixes: BTreeMap::new(),
            payloads: 0,
            delivered: 0,
            repeated: 0,
            checked: 0,
            broken: 0,
            latency: Times::default(),
            first_audio: Times::default(),
            admission: Times::default(),
        }
    }

    /// Whether this payload is one of those to be checked; to be asked once for each.
    pub fn is_to_be_checked(&mut self) -> bool {
        self.payloads += 1;
        // Branches, not `+= u64::from(…)`: rustc 1.95.0 drops that addition where this is inlined into an `&&` (optimised
        // builds only; -Zmir-opt-level=0 cures it).
        if self.payloads % CHECKED != 1 {
            return false;
        }
        self.checked += 1;
        true
    }

    /// `frames` frames of 20 ms that came in one packet, `latency_us` after the last of them was due.
    pub fn heard(&mut self, listener: usize, speaker: usize, number: u32, frames: u32, latency_us: u64) {
        let Some(heard) = self.heard.get_mut(listener * self.speakers + speaker).filter(|_| speaker < self.speakers)
        else {
            self.broken += 1;
            return;
        };
        if !heard.first(number) {
            self.repeated += u64::from(frames);
            return;
        }
        self.delivered += u64::from(frames);
        if let Some(count) = self.frames_of.get_mut(listener) {
            *count += frames;
        }
        self.latency.record(latency_us);
    }

    /// There was a packet of the mix of `space` with the ticks from `group` on.
    pub fn mixed(&mut self, space: u16, group: u64, ticks: u64) {
        let extent = self.mixes.entry(space).or_default();
        extent.first = Some(extent.first.map_or(group, |first| first.min(group)));
        extent.end = extent.end.max(group + ticks);
    }

    /// Ticks of the mix of `space` between the first and the last that anyone heard, holes included.
    #[must_use]
    pub fn mixed_ticks(&self, space: u16) -> u64 {
        self.mixes.get(&space).and_then(|extent| Some(extent.end - extent.first?)).unwrap_or(0)
    }

    /// Frames that one listener heard.
    #[must_use]
    pub fn frames_of(&self, listener: usize) -> u32 {
        self.frames_of.get(listener).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_once_in_whatever_order_it_comes() {
        let mut tally = Tally::new(2, 2);
        for number in [5, 7, 6, 6, 5, 90, 7, 91] {
            tally.heard(1, 1, number, 1, 10);
        }
        tally.heard(0, 1, 5, 1, 10);
        assert_eq!((tally.delivered, tally.repeated), (6, 3));
        assert_eq!((tally.frames_of(0), tally.frames_of(1)), (1, 5));
    }

    #[test]
    fn a_speaker_that_there_is_not_is_broken_not_delivered() {
        let mut tally = Tally::new(2, 2);
        tally.heard(0, 2, 1, 1, 10);
        assert_eq!((tally.delivered, tally.broken), (0, 1));
    }

    #[test]
    fn one_payload_in_fifty_is_checked() {
        let mut tally = Tally::new(1, 1);
        let chosen = (0..1_000).filter(|_| tally.is_to_be_checked()).count();
        assert_eq!((chosen, tally.checked), (20, 20));
    }

    #[test]
    fn a_hole_in_the_mix_was_there_to_be_heard() {
        let mut tally = Tally::new(1, 1);
        for group in [30, 33, 39] {
            tally.mixed(0, group, 3);
        }
        assert_eq!(tally.mixed_ticks(0), 12);
        assert_eq!(tally.mixed_ticks(1), 0);
    }

    #[test]
    fn times_are_told_to_three_digits_and_the_longest_is_bounded() {
        let mut times = Times::default();
        for micros in [1_000, 1_000, 123_456, 3_600_000_000] {
            times.record(micros);
        }
        let counts: Vec<(u64, u64)> = serde_json::from_value(times.counts()).unwrap();
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 4);
        assert_eq!(counts[0].1, 2);
        for ((told, _), entered) in counts.iter().zip([1_000.0, 123_456.0, 60_000_000.0]) {
            assert!((*told as f64 / entered - 1.0).abs() < 0.001, "{told} for {entered}");
        }
    }
}
