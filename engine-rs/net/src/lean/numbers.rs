//! One sequence of packet numbers for two senders: our own datagrams, and quinn-proto, which counts for itself.
//!
//! Numbers on the wire are given out here, each once per connection. Of quinn-proto's packets it is kept which number each got,
//! until it is acknowledged; acknowledgements are translated back. Now and then a number is left out, so that who acknowledges
//! what never was gives himself away (RFC 9000 §21.4).

use std::collections::VecDeque;

/// Stretches of quinn-proto's packets that are remembered. Beyond it the oldest is forgotten: for quinn-proto it is lost then,
/// and what was in it is sent again.
const RUNS: usize = 64;
/// The first number left out lies this far ahead, the next ones twice as far each: every hole makes all acknowledgements longer.
const FIRST_HOLE: u64 = 64;

/// The peer acknowledged a packet that was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverSent;

/// Packets with consecutive numbers in both counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    wire: u64,
    quinn: u64,
    count: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Numbers {
    next: u64,
    /// To be left out.
    hole: u64,
    /// Was left out last.
    past_hole: Option<u64>,
    stride: u64,
    dice: u64,
    /// The highest that the peer acknowledged.
    acknowledged: u64,
    runs: VecDeque<Run>,
}

impl Numbers {
    /// `dice`: any number that the peer cannot know.
    pub(crate) const fn new(dice: u64) -> Self {
        let hole = FIRST_HOLE + dice % FIRST_HOLE;
        Self {
            next: 0,
            hole,
            past_hole: None,
            stride: FIRST_HOLE,
            dice: dice | 1,
            acknowledged: 0,
            runs: VecDeque::new(),
        }
    }

    /// The next packet's number.
    pub(crate) fn take(&mut self) -> u64 {
        if self.next == self.hole {
            self.past_hole = Some(self.next);
            self.stride = self.stride.saturating_mul(2);
            // xorshift; the peer sees a few bits of it in an hour.
            self.dice ^= self.dice << 13;
            self.dice ^= self.dice >> 7;
            self.dice ^= self.dice << 17;
            self.hole = self.next + self.stride + self.dice % self.stride;
            self.next += 1;
        }
        let number = self.next;
        self.next += 1;
        number
    }

    /// The number of quinn-proto's packet `quinn`.
    pub(crate) fn take_for(&mut self, quinn: u64) -> u64 {
        let wire = self.take();
        match self.runs.back_mut() {
            Some(run) if run.wire + run.count == wire && run.quinn + run.count == quinn => run.count += 1,
            _ => {
                if self.runs.len() >= RUNS {
                    self.runs.pop_front();
                }
                self.runs.push_back(Run { wire, quinn, count: 1 });
            }
        }
        wire
    }

    /// Bytes in which `number` is written (RFC 9000 §17.1): the peer's place is not before the highest that it acknowledged.
    pub(crate) const fn length(&self, number: u64) -> usize {
        if number - self.acknowledged < 1 << 13 { 2 } else { 4 }
    }

    /// A packet of quinn-proto's that was not acknowledged before?
    pub(crate) fn is_quinns(&self, wire: u64) -> bool {
        self.runs.iter().any(|run| run.wire <= wire && wire < run.wire + run.count)
    }

    /// Looks at closed ranges that the peer acknowledges. True: packets of quinn-proto's are among them.
    ///
    /// # Errors
    /// [`NeverSent`].
    pub(crate) fn concern(&mut self, ranges: impl Iterator<Item = (u64, u64)>) -> Result<bool, NeverSent> {
        let mut concerned = false;
        for (low, high) in ranges {
            if high >= self.next || self.past_hole.is_some_and(|hole| low <= hole && hole <= high) {
                return Err(NeverSent);
            }
            self.acknowledged = self.acknowledged.max(high);
            concerned = concerned || self.runs.iter().any(|run| run.wire <= high && low < run.wire + run.count);
        }
        Ok(concerned)
    }

    /// Puts into `found` the same ranges in quinn-proto's count, as far as they are its packets and new: closed, the highest
    /// first, none touching the next. They are forgotten with this.
    ///
    /// # Errors
    /// [`NeverSent`].
    pub(crate) fn translate(
        &mut self,
        ranges: impl Iterator<Item = (u64, u64)> + Clone,
        found: &mut Vec<(u64, u64)>,
    ) -> Result<(), NeverSent> {
        found.clear();
        if !self.concern(ranges.clone())? {
            return Ok(());
        }
        for (low, high) in ranges {
            for index in (0..self.runs.len()).rev() {
                let Some(run) = self.runs.get_mut(index) else { continue };
                let (first, last) = (low.max(run.wire), high.min(run.wire + run.count - 1));
                if first > last {
                    continue;
                }
                let (start, end) = (run.quinn + (first - run.wire), run.quinn + (last - run.wire));
                match found.last_mut() {
                    Some((lowest, _)) if end + 1 == *lowest => *lowest = start,
                    _ => found.push((start, end)),
                }
                let after = Run { wire: last + 1, quinn: end + 1, count: run.wire + run.count - 1 - last };
                run.count = first - run.wire;
                if after.count > 0 {
                    self.runs.insert(index + 1, after);
                }
            }
        }
        self.runs.retain(|run| run.count > 0);
        Ok(())
    }

    /// Packets of quinn-proto's that nobody has acknowledged, as far as they are remembered.
    #[cfg(test)]
    pub(crate) fn open(&self) -> u64 {
        self.runs.iter().map(|run| run.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(numbers: &mut Numbers, ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut found = vec![(7, 7)];
        numbers.translate(ranges.iter().copied(), &mut found).unwrap();
        found
    }

    #[test]
    fn numbers_are_given_out_once_and_a_hole_is_never_one() {
        let mut numbers = Numbers::new(5);
        let given: Vec<u64> = (0..1_000).map(|_| numbers.take()).collect();
        assert!(given.windows(2).all(|pair| pair[0] < pair[1]));
        let missing: Vec<u64> = (0..given[999]).filter(|number| !given.contains(number)).collect();
        assert_eq!(missing[0], 69);
        assert!((2..=4).contains(&missing.len()), "{missing:?}");
        assert_eq!(numbers.past_hole, missing.last().copied());
        let hole = missing[missing.len() - 1];
        assert_eq!(numbers.concern([(hole, hole)].into_iter()), Err(NeverSent));
        assert_eq!(numbers.concern([(hole - 1, hole + 1)].into_iter()), Err(NeverSent));
        assert_eq!(numbers.concern([(hole + 1, hole + 1)].into_iter()), Ok(false));
        let next = given[999] + 1;
        assert_eq!(numbers.concern([(next, next)].into_iter()), Err(NeverSent));
    }

    #[test]
    fn ranges_come_back_in_the_other_count() {
        let mut numbers = Numbers::new(0);
        // wire: q0 q1 . . q2 . q3 (q4 was left out by quinn-proto) q5
        for packet in [Some(0), Some(1), None, None, Some(2), None, Some(3), Some(5)] {
            match packet {
                Some(quinn) => numbers.take_for(quinn),
                None => numbers.take(),
            };
        }
        assert_eq!(numbers.concern([(2, 3)].into_iter()), Ok(false));
        assert_eq!(numbers.concern([(3, 4)].into_iter()), Ok(true));
        assert_eq!(translate(&mut numbers, &[(5, 7), (1, 1)]), [(5, 5), (3, 3), (1, 1)]);
        assert_eq!(numbers.open(), 2);
        // What was told is not told again; the rest comes as one range, because for quinn-proto nothing lies between.
        assert_eq!(translate(&mut numbers, &[(0, 7)]), [(2, 2), (0, 0)]);
        assert_eq!(translate(&mut numbers, &[(0, 7)]), []);
        assert_eq!(numbers.open(), 0);
    }

    #[test]
    fn neighbours_in_the_other_count_become_one_range() {
        let mut numbers = Numbers::new(0);
        for quinn in 0..5 {
            numbers.take_for(quinn);
            numbers.take();
        }
        assert_eq!(translate(&mut numbers, &[(0, 9)]), [(0, 4)]);
    }

    #[test]
    fn the_middle_of_a_run_is_cut_out() {
        let mut numbers = Numbers::new(0);
        for quinn in 0..10 {
            numbers.take_for(quinn);
        }
        assert_eq!(translate(&mut numbers, &[(3, 5)]), [(3, 5)]);
        assert_eq!(numbers.open(), 7);
        assert_eq!(translate(&mut numbers, &[(0, 9)]), [(6, 9), (0, 2)]);
    }

    #[test]
    fn what_is_never_acknowledged_costs_bounded_memory() {
        let mut numbers = Numbers::new(0);
        for quinn in 0..10_000 {
            numbers.take_for(quinn);
            numbers.take();
        }
        assert!(numbers.runs.len() <= RUNS);
    }

    #[test]
    fn a_number_is_written_long_enough_to_be_understood() {
        let mut numbers = Numbers::new(0);
        let mut number = 0;
        for _ in 0..9_000 {
            number = numbers.take();
            // RFC 9000 §17.1: more than twice the distance must fit.
            assert!((number - numbers.acknowledged) * 2 < 1 << (numbers.length(number) * 8));
        }
        assert_eq!(numbers.length(number), 4);
        assert_eq!(numbers.concern([(number, number)].into_iter()), Ok(false));
        assert_eq!(numbers.length(number + 1), 2);
    }

    #[test]
    fn every_order_of_packets_and_acknowledgements_is_told_once() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut numbers = Numbers::new(random(1 << 30));
            let (mut wires, mut told, mut quinn) = (Vec::new(), Vec::new(), 0);
            for _ in 0..40 {
                quinn += 1 + random(10) / 9;
                wires.push((numbers.take_for(quinn), quinn));
                for _ in 0..random(3) {
                    numbers.take();
                }
                if random(3) == 0 {
                    let picked: Vec<_> = wires.iter().rev().filter(|_| random(2) == 0).copied().collect();
                    let ranges: Vec<_> = picked.iter().map(|(wire, _)| (*wire, *wire)).collect();
                    let got = translate(&mut numbers, &ranges);
                    assert!(got.windows(2).all(|pair| pair[0].0 > pair[1].1 + 1), "{got:?}");
                    let numbers = got.iter().flat_map(|(low, high)| *low..=*high).collect::<Vec<_>>();
                    assert!(numbers.iter().all(|number| picked.iter().any(|(_, quinn)| quinn == number)));
                    told.extend(numbers);
                    wires.retain(|wire| !picked.contains(wire));
                }
            }
            let count = told.len();
            told.sort_unstable();
            told.dedup();
            assert_eq!(told.len(), count, "told twice");
        }
    }
}
