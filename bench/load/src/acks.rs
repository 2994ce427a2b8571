//! What a listener acknowledges, and when: as quinn-proto 0.11 does it with a server that offers no ACK_FREQUENCY, so that
//! servers cannot tell [`crate::ear`] from it. Pure.

use std::time::{Duration, Instant};

use spaces_core::varint;

/// As quinn-proto tells servers (RFC 9000 §18.2).
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
/// Packets that ask for an acknowledgement before one is sent at once (RFC 9000 §13.2.2).
const THRESHOLD: u32 = 2;
/// Ranges remembered; what is older is forgotten (RFC 9000 §13.2.3).
const RANGES: usize = 32;
/// Units of the delay in an ACK frame: the exponent of RFC 9000 §18.2, unless told otherwise.
const DELAY_EXPONENT: u32 = 3;
const ACK: u64 = 0x02;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Acks {
    /// Closed, rising, none touching the next.
    ranges: Vec<(u64, u64)>,
    largest_eliciting: u64,
    /// When the packet with the largest number came.
    newest: Option<Instant>,
    /// Ack-eliciting packets since the last ACK.
    since: u32,
    /// When the first of them came.
    earliest: Option<Instant>,
    at_once: bool,
}

impl Acks {
    /// The next number, if none is lost.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, high)| high + 1)
    }

    /// Whether a packet was received before.
    #[must_use]
    pub fn knows(&self, number: u64) -> bool {
        let forgotten = self.ranges.len() >= RANGES && self.ranges.first().is_some_and(|(low, _)| number < *low);
        forgotten || self.ranges.iter().rev().any(|(low, high)| (low..=high).contains(&&number))
    }

    /// A packet that was not known; `eliciting`: it asks for an acknowledgement.
    pub fn received(&mut self, now: Instant, number: u64, eliciting: bool) {
        if number >= self.expected() {
            self.newest = Some(now);
        }
        self.insert(number);
        if !eliciting {
            return;
        }
        let before = self.largest_eliciting;
        self.largest_eliciting = before.max(number);
        self.since += 1;
        // RFC 9000 §13.2.1: out of order, or behind a gap.
        let whole = self.ranges.iter().rev().any(|(low, high)| *low <= before && number <= *high);
        self.at_once |= self.since >= THRESHOLD || number < before || !whole && number > before;
        self.earliest.get_or_insert(now);
    }

    /// A packet that somebody else received, and acknowledged or not.
    pub fn note(&mut self, number: u64) {
        self.insert(number);
        self.largest_eliciting = self.largest_eliciting.max(number);
    }

    /// As if a packet had just come that asks for an acknowledgement.
    pub fn owe(&mut self, now: Instant) {
        (self.since, self.earliest, self.newest) = (1, Some(now), Some(now));
    }

    fn insert(&mut self, number: u64) {
        let at = self.ranges.partition_point(|(_, high)| *high + 1 < number);
        match self.ranges.get_mut(at) {
            Some((low, high)) if *low <= number + 1 => {
                (*low, *high) = ((*low).min(number), (*high).max(number));
                let high = *high;
                if let Some(&(next, end)) = self.ranges.get(at + 1)
                    && next <= high + 1
                {
                    self.ranges.remove(at + 1);
                    if let Some((_, high)) = self.ranges.get_mut(at) {
                        *high = end;
                    }
                }
            }
            _ => self.ranges.insert(at, (number, number)),
        }
        if self.ranges.len() > RANGES {
            self.ranges.remove(0);
        }
    }

    /// When an ACK has to leave; what is past: now.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let earliest = self.earliest?;
        Some(if self.at_once { earliest } else { earliest + MAX_ACK_DELAY })
    }

    /// Writes the ACK frame (RFC 9000 §19.3). It counts as sent.
    pub fn write(&mut self, now: Instant, out: &mut Vec<u8>) {
        let Some((&(low, high), further)) = self.ranges.split_last() else { return };
        let held = self.newest.map_or(Duration::ZERO, |newest| now.saturating_duration_since(newest));
        varint::write(out, ACK);
        varint::write(out, high);
        varint::write(out, held.as_micros() as u64 >> DELAY_EXPONENT);
        varint::write(out, further.len() as u64);
        varint::write(out, high - low);
        let mut smallest = low;
        for &(low, high) in further.iter().rev() {
            varint::write(out, smallest - high - 2);
            varint::write(out, high - low);
            smallest = low;
        }
        (self.since, self.earliest, self.at_once) = (0, None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spaces_net::frames::{Frame, Frames};

    fn written(acks: &mut Acks, now: Instant) -> (u64, Vec<(u64, u64)>) {
        let mut out = Vec::new();
        acks.write(now, &mut out);
        let mut frames = Frames::new(&out);
        let Some(Ok((Frame::Ack(ack), _))) = frames.next() else { panic!("{out:?}") };
        assert!(frames.rest().is_empty());
        (ack.delay, ack.ranges().collect())
    }

    #[test]
    fn every_second_packet_is_acknowledged_at_once_and_a_lone_one_in_time() {
        let start = Instant::now();
        let mut acks = Acks::default();
        acks.received(start, 0, true);
        assert_eq!(acks.due(), Some(start + MAX_ACK_DELAY));
        acks.received(start + Duration::from_millis(20), 1, true);
        assert!(acks.due().unwrap() <= start + Duration::from_millis(20));
        assert_eq!(written(&mut acks, start + Duration::from_millis(21)), (125, vec![(0, 1)]));
        assert_eq!(acks.due(), None);
        acks.received(start, 2, false);
        assert_eq!(acks.due(), None, "nobody asked");
    }

    #[test]
    fn what_is_missing_or_late_is_told_at_once() {
        let now = Instant::now();
        let mut acks = Acks::default();
        for number in [0, 1, 2] {
            acks.received(now, number, true);
        }
        written(&mut acks, now);
        acks.received(now, 4, true);
        assert_eq!(acks.due(), Some(now), "3 is missing");
        assert_eq!(written(&mut acks, now).1, [(4, 4), (0, 2)]);
        acks.received(now, 3, true);
        assert_eq!(acks.due(), Some(now), "3 came late");
        assert_eq!(written(&mut acks, now).1, [(0, 4)]);
        assert!(acks.knows(3) && !acks.knows(5));
        assert_eq!(acks.expected(), 5);
    }

    #[test]
    fn ranges_are_those_of_a_set_in_whatever_order() {
        let now = Instant::now();
        let mut seed = 5u64;
        let mut acks = Acks::default();
        let mut set = std::collections::BTreeSet::new();
        for _ in 0..200 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (seed >> 33) % 60;
            assert_eq!(acks.knows(number), set.contains(&number));
            if set.insert(number) {
                acks.received(now, number, true);
            }
        }
        let told: Vec<u64> = written(&mut acks, now).1.into_iter().flat_map(|(low, high)| low..=high).collect();
        let mut told_sorted = told.clone();
        told_sorted.sort_unstable();
        assert_eq!(told_sorted, set.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn old_ranges_are_forgotten_and_count_as_known() {
        let now = Instant::now();
        let mut acks = Acks::default();
        for number in 0..100 {
            acks.received(now, number * 2, true);
        }
        assert_eq!(written(&mut acks, now).1.len(), RANGES);
        assert!(acks.knows(1));
        assert!(!acks.knows(197));
    }
}
