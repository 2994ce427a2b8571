//! What a load of listeners has received, joined with what the speakers say they have sent.
//!
//! A *slot* is one seat in one tick. It keeps the first payload that came, when, and how long after it the copies of the other
//! listeners came; when the speaker's entry with the same [`frame_hash`] is there, these become latencies. All memory is
//! bounded: slots of the last 41 s, entries of the last 40 s.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use spaces_core::ids::{MAX_SEATS, SeatNo};

use super::arrivals::{Arrival, Arrivals};

/// Ticks whose slots are kept.
const ROWS: usize = 2_048;
/// Microseconds of one step of the histograms.
pub const STEP_US: u64 = 100;
/// Steps of the latency histogram; the last one holds all that is over 2 s.
const STEPS: usize = 20_001;
/// Entries of the speakers that wait for their slot.
const ENTRIES: usize = 65_536;
/// How long they wait, in microseconds.
const ENTRY_AGE: u64 = 40_000_000;
/// After this, in microseconds, a frame that nobody received is lost.
const UNHEARD_AFTER: u64 = 3_000_000;
/// Runs of equal offset that a slot keeps until its entry comes; later ones count with the last.
const RUNS: usize = 1_024;

/// Names a frame: the first 8 bytes, big-endian, of SHA-256 over the seat's number (one byte) and the Opus packet.
#[must_use]
pub fn frame_hash(seat: SeatNo, opus: &[u8]) -> u64 {
    let mut input = Vec::with_capacity(opus.len() + 1);
    input.push(seat.get());
    input.extend_from_slice(opus);
    let hash = digest(&SHA256, &input);
    hash.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Totals. Frames are counted once per listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerStats {
    /// Listeners that received a frame.
    pub began: u64,
    /// Frames that should have come: of each entry one for every listener whose first frame was not later.
    pub expected: u64,
    /// Frames that came, repetitions not counted, of which the speakers' entries are known.
    pub delivered: u64,
    /// The same frame came again.
    pub duplicates: u64,
    /// Redundant copies of a frame that had come.
    pub redundant: u64,
    /// Frames that came without an entry of a speaker.
    pub unmatched: u64,
    /// Frames that came too late to be told from repetitions.
    pub late: u64,
    /// Frames that differ from what other listeners got in their place.
    pub corrupt: u64,
    /// Entries of frames that no listener received.
    pub unheard: u64,
    /// Latencies: (step of 0.1 ms, frames), steps with none left out.
    pub latency: Vec<(u32, u64)>,
    /// Half of all frames came within this, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 frames came within this, in microseconds.
    pub p99_us: u64,
}

struct Slot {
    hash: u64,
    opus: Bytes,
    first_us: u64,
    /// (steps after the first, frames), while `sent_us` is not known.
    runs: Vec<(u64, u64)>,
    frames: u64,
    sent_us: Option<u64>,
}

#[derive(Default)]
struct Row {
    tick: u64,
    slots: [Option<Box<Slot>>; MAX_SEATS],
}

#[derive(Clone, Default)]
struct Listener {
    arrivals: Arrivals,
    began: bool,
    received: u64,
}

/// Listeners that began in one tick, and matched slots of earlier ticks.
struct Cohort {
    first_tick: u64,
    listeners: u64,
    before: u64,
}

/// See the module.
pub struct Ledger {
    listeners: Vec<Listener>,
    rows: Vec<Row>,
    /// Slots that wait for an entry.
    waiting: HashMap<u64, Vec<(u64, SeatNo)>>,
    /// Entries that wait for a slot, and their order of age.
    entries: HashMap<u64, Vec<u64>>,
    ages: VecDeque<(u64, u64)>,
    /// In order of tick.
    cohorts: Vec<Cohort>,
    matched: u64,
    unheard_expected: u64,
    newest_us: u64,
    latency: Vec<u64>,
    stats: LedgerStats,
}

impl Ledger {
    /// For this many listeners.
    #[must_use]
    pub fn new(listeners: usize) -> Self {
        Self {
            listeners: vec![Listener::default(); listeners],
            rows: (0..ROWS).map(|_| Row::default()).collect(),
            waiting: HashMap::new(),
            entries: HashMap::new(),
            ages: VecDeque::new(),
            cohorts: Vec::new(),
            matched: 0,
            unheard_expected: 0,
            newest_us: 0,
            latency: vec![0; STEPS],
            stats: LedgerStats::default(),
        }
    }

    /// A frame came to a listener. Times do not go back.
    pub fn arrived(&mut self, listener: u32, tick: u64, seat: SeatNo, opus: &Bytes, redundant: bool, at_us: u64) {
        self.newest_us = self.newest_us.max(at_us);
        let Some(to) = self.listeners.get_mut(listener as usize) else { return };
        match to.arrivals.note(tick, seat) {
            Arrival::New => {}
            Arrival::Again if redundant => return self.stats.redundant += 1,
            Arrival::Again => return self.stats.duplicates += 1,
            Arrival::Old => return self.stats.late += 1,
        }
        to.received += 1;
        if !std::mem::replace(&mut to.began, true) {
            self.began(tick);
        }
        self.record(tick, seat, opus, at_us);
    }

    fn began(&mut self, tick: u64) {
        self.stats.began += 1;
        let at = self.cohorts.partition_point(|cohort| cohort.first_tick < tick);
        if let Some(cohort) = self.cohorts.get_mut(at).filter(|cohort| cohort.first_tick == tick) {
            cohort.listeners += 1;
            return;
        }
        // Matched slots of this tick or later are still in their rows; all others are before.
        let since = self.rows.iter().filter(|row| row.tick >= tick).flat_map(|row| row.slots.iter().flatten());
        let since = since.filter(|slot| slot.sent_us.is_some()).count() as u64;
        self.cohorts.insert(at, Cohort { first_tick: tick, listeners: 1, before: self.matched - since });
    }

    fn record(&mut self, tick: u64, seat: SeatNo, opus: &Bytes, at_us: u64) {
        let Some(row) = self.rows.get_mut((tick % ROWS as u64) as usize) else { return };
        if row.tick > tick {
            return self.stats.late += 1;
        }
        if row.tick < tick {
            let old = row.tick;
            for slot in std::mem::take(&mut row.slots).iter().flatten().filter(|slot| slot.sent_us.is_none()) {
                self.stats.unmatched += slot.frames;
                if let Some(slots) = self.waiting.get_mut(&slot.hash) {
                    slots.retain(|(tick, _)| *tick != old);
                    if slots.is_empty() {
                        self.waiting.remove(&slot.hash);
                    }
                }
            }
            row.tick = tick;
        }
        let Some(place) = row.slots.get_mut(seat.index()) else { return };
        if let Some(slot) = place {
            if slot.opus != *opus {
                return self.stats.corrupt += 1;
            }
            slot.frames += 1;
            match slot.sent_us {
                Some(sent_us) => {
                    self.stats.delivered += 1;
                    count(&mut self.latency, at_us.saturating_sub(sent_us) / STEP_US, 1);
                }
                None => slot.arrived(at_us),
            }
            return;
        }
        let hash = frame_hash(seat, opus);
        let opus = opus.clone();
        let mut slot = Box::new(Slot { hash, opus, first_us: at_us, runs: Vec::new(), frames: 1, sent_us: None });
        slot.arrived(at_us);
        *place = Some(slot);
        match self.take_entry(hash, at_us) {
            Some(sent_us) => self.matches(tick, seat, sent_us),
            None => self.waiting.entry(hash).or_default().push((tick, seat)),
        }
    }

    /// The latest entry of a hash that was sent by then.
    fn take_entry(&mut self, hash: u64, by_us: u64) -> Option<u64> {
        let times = self.entries.get_mut(&hash)?;
        let (at, sent_us) =
            times.iter().copied().enumerate().filter(|(_, sent)| *sent <= by_us).max_by_key(|(_, t)| *t)?;
        times.swap_remove(at);
        if times.is_empty() {
            self.entries.remove(&hash);
        }
        Some(sent_us)
    }

    fn matches(&mut self, tick: u64, seat: SeatNo, sent_us: u64) {
        let row = self.rows.get_mut((tick % ROWS as u64) as usize).filter(|row| row.tick == tick);
        let Some(slot) = row.and_then(|row| row.slots.get_mut(seat.index())?.as_mut()) else { return };
        slot.sent_us = Some(sent_us);
        self.stats.delivered += slot.frames;
        for (steps, frames) in std::mem::take(&mut slot.runs) {
            let latency = (slot.first_us + steps * STEP_US).saturating_sub(sent_us) / STEP_US;
            count(&mut self.latency, latency, frames);
        }
        self.matched += 1;
        for cohort in self.cohorts.iter_mut().rev().take_while(|cohort| cohort.first_tick > tick) {
            cohort.before += 1;
        }
    }

    /// A speaker says that it sent a frame.
    pub fn sent(&mut self, hash: u64, sent_us: u64) {
        if let Some(slots) = self.waiting.get_mut(&hash) {
            let rows = &self.rows;
            let first = |(tick, seat): &(u64, SeatNo)| {
                let row = rows.get((*tick % ROWS as u64) as usize).filter(|row| row.tick == *tick)?;
                Some(row.slots.get(seat.index())?.as_ref()?.first_us)
            };
            let next = slots
                .iter()
                .enumerate()
                .filter_map(|(at, slot)| Some((first(slot)?, at)))
                .filter(|(us, _)| *us >= sent_us);
            if let Some((_, at)) = next.min() {
                let (tick, seat) = slots.swap_remove(at);
                if slots.is_empty() {
                    self.waiting.remove(&hash);
                }
                return self.matches(tick, seat, sent_us);
            }
        }
        self.entries.entry(hash).or_default().push(sent_us);
        self.ages.push_back((sent_us, hash));
        let horizon = self.newest_us.saturating_sub(ENTRY_AGE);
        while self.ages.len() > ENTRIES || self.ages.front().is_some_and(|(sent, _)| *sent < horizon) {
            let Some((sent, hash)) = self.ages.pop_front() else { return };
            if self.forget(hash, sent) {
                self.stats.unheard += 1;
                self.unheard_expected += self.stats.began;
            }
        }
    }

    /// Drops an entry; false if it was matched before.
    fn forget(&mut self, hash: u64, sent_us: u64) -> bool {
        let Some(times) = self.entries.get_mut(&hash) else { return false };
        let Some(at) = times.iter().position(|time| *time == sent_us) else { return false };
        times.swap_remove(at);
        if times.is_empty() {
            self.entries.remove(&hash);
        }
        true
    }

    /// Totals so far.
    #[must_use]
    pub fn stats(&self) -> LedgerStats {
        let mut stats = self.stats.clone();
        let lost = |sent: &&u64| **sent + UNHEARD_AFTER < self.newest_us;
        let unheard = self.entries.values().flatten().filter(lost).count() as u64;
        stats.unheard += unheard;
        let each = |cohort: &Cohort| cohort.listeners * (self.matched - cohort.before);
        stats.expected = self.cohorts.iter().map(each).sum::<u64>() + self.unheard_expected + unheard * stats.began;
        let waiting = self.rows.iter().flat_map(|row| row.slots.iter().flatten()).filter(|slot| slot.sent_us.is_none());
        stats.unmatched += waiting.map(|slot| slot.frames).sum::<u64>();
        stats.latency = (0u32..).zip(&self.latency).filter(|(_, frames)| **frames > 0).map(|(s, f)| (s, *f)).collect();
        stats.p50_us = percentile(&stats.latency, 50);
        stats.p99_us = percentile(&stats.latency, 99);
        stats
    }

    /// Frames that each listener received, repetitions not counted.
    #[must_use]
    pub fn received(&self) -> Vec<u64> {
        self.listeners.iter().map(|listener| listener.received).collect()
    }
}

impl Slot {
    fn arrived(&mut self, at_us: u64) {
        let steps = at_us.saturating_sub(self.first_us) / STEP_US;
        let full = self.runs.len() >= RUNS;
        match self.runs.last_mut() {
            Some((last, frames)) if *last == steps || full => *frames += 1,
            _ => self.runs.push((steps, 1)),
        }
    }
}

fn count(histogram: &mut [u64], step: u64, frames: u64) {
    let at = usize::try_from(step).unwrap_or(usize::MAX).min(histogram.len().saturating_sub(1));
    if let Some(bucket) = histogram.get_mut(at) {
        *bucket += frames;
    }
}

/// The upper end of the step within which this share of the frames came.
fn percentile(latency: &[(u32, u64)], percent: u64) -> u64 {
    let total: u64 = latency.iter().map(|(_, frames)| frames).sum();
    let wanted = (total * percent).div_ceil(100);
    let mut seen = 0;
    for (step, frames) in latency {
        seen += frames;
        if seen >= wanted {
            return (u64::from(*step) + 1) * STEP_US;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(number: u8) -> SeatNo {
        SeatNo::new(number).unwrap()
    }

    fn frame(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn the_hash_is_what_anybody_can_compute() {
        // printf '\003abc' | sha256sum
        assert_eq!(frame_hash(seat(3), b"abc"), 0x1a60_c38b_bdf0_4315, "{:#x}", frame_hash(seat(3), b"abc"));
        assert_ne!(frame_hash(seat(3), b"abc"), frame_hash(seat(2), b"abc"));
    }

    #[test]
    fn entries_join_whether_they_come_before_or_after_the_frames() {
        for late in [false, true] {
            let mut ledger = Ledger::new(2);
            let hash = frame_hash(seat(1), b"one");
            if !late {
                ledger.sent(hash, 1_000_000);
            }
            ledger.arrived(0, 50, seat(1), &frame("one"), false, 1_010_000);
            ledger.arrived(1, 50, seat(1), &frame("one"), false, 1_030_050);
            if late {
                assert_eq!((ledger.stats().delivered, ledger.stats().unmatched), (0, 2));
                ledger.sent(hash, 1_000_000);
            }
            let stats = ledger.stats();
            assert_eq!((stats.expected, stats.delivered, stats.duplicates, stats.unmatched), (2, 2, 0, 0));
            assert_eq!(stats.latency, [(100, 1), (300, 1)]);
            assert_eq!((stats.p50_us, stats.p99_us), (10_100, 30_100));
            assert_eq!(ledger.received(), [1, 1]);
        }
    }

    #[test]
    fn repetitions_are_not_deliveries_and_foreign_bytes_are_told() {
        let mut ledger = Ledger::new(2);
        ledger.sent(frame_hash(seat(0), b"x"), 0);
        ledger.arrived(0, 9, seat(0), &frame("x"), false, 10);
        ledger.arrived(0, 9, seat(0), &frame("x"), false, 20);
        ledger.arrived(0, 9, seat(0), &frame("x"), true, 30);
        ledger.arrived(1, 9, seat(0), &frame("y"), false, 40);
        ledger.arrived(7, 9, seat(0), &frame("x"), false, 50);
        let stats = ledger.stats();
        assert_eq!((stats.delivered, stats.duplicates, stats.redundant, stats.corrupt), (1, 1, 1, 1));
        assert_eq!(stats.expected, 2);
    }

    #[test]
    fn who_comes_late_is_not_owed_what_was_before() {
        let mut ledger = Ledger::new(3);
        for tick in 100..110u64 {
            let opus = Bytes::from(tick.to_string());
            ledger.sent(frame_hash(seat(0), &opus), tick * 20_000);
            ledger.arrived(0, tick, seat(0), &opus, false, tick * 20_000 + 5_000);
            if tick >= 104 && tick != 107 {
                ledger.arrived(1, tick, seat(0), &opus, false, tick * 20_000 + 6_000);
            }
        }
        // Comes last, but with an old frame first (prefill).
        ledger.arrived(2, 108, seat(0), &Bytes::from("108"), false, 2_400_000);
        let stats = ledger.stats();
        assert_eq!((stats.began, stats.expected, stats.delivered), (3, 10 + 6 + 2, 10 + 5 + 1));
    }

    #[test]
    fn frames_that_nobody_hears_are_owed_to_all() {
        let mut ledger = Ledger::new(2);
        ledger.arrived(0, 1, seat(0), &frame("a"), false, 1_000);
        ledger.sent(1, 2_000);
        assert_eq!(ledger.stats().unheard, 0);
        ledger.arrived(0, 500, seat(0), &frame("b"), false, 10_000_000);
        assert_eq!((ledger.stats().unheard, ledger.stats().expected), (1, 1));
        ledger.arrived(0, 5_000, seat(0), &frame("c"), false, 100_000_000);
        ledger.sent(2, 99_000_000);
        assert_eq!((ledger.stats().unheard, ledger.stats().expected), (1, 1), "forgotten, and still counted");
    }

    #[test]
    fn equal_silence_of_one_seat_joins_by_time() {
        let mut ledger = Ledger::new(1);
        let hash = frame_hash(seat(0), b"x");
        for (tick, at) in [(10, 200_000u64), (60, 1_200_000)] {
            ledger.arrived(0, tick, seat(0), &frame("x"), false, at + 10_000);
        }
        ledger.sent(hash, 1_200_000);
        ledger.sent(hash, 200_000);
        assert_eq!(ledger.stats().latency, [(100, 2)]);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut ledger = Ledger::new(1);
        for tick in 0..20_000u64 {
            ledger.arrived(0, tick, seat(0), &Bytes::from(tick.to_string()), false, tick * 20_000);
            ledger.sent(tick.wrapping_mul(0x9e37_79b9_7f4a_7c15), tick * 20_000);
        }
        assert!(ledger.waiting.len() <= ROWS && ledger.entries.len() <= 2_002 && ledger.ages.len() <= 2_002);
        assert_eq!(ledger.stats().unmatched, 20_000);
    }
}
