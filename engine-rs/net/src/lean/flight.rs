//! What became of our own datagrams on one path: in flight, acknowledged, lost; and whether another one may leave.
//!
//! RFC 9002 without retransmission (RFC 9221 §5.2) and without timers: a datagram three numbers behind the highest acknowledged one is
//! lost (§6.1.1), and how much may be in flight is [`Window`]'s business, as for everything else that this end sends.

use std::time::{Duration, Instant};

use crate::congestion::Window;

/// Numbers that are looked back upon: two and a half seconds of ticks.
const SPAN: u64 = 128;
/// Packets behind the highest acknowledged one (RFC 9002 §6.1.1).
const REORDERING: u64 = 3;
/// A full window of which nothing is acknowledged for so long counts as lost; each time in a row twice as long, up to eight times.
const PATIENCE: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 3;
/// The longest that a peer may say to have held an acknowledgement back.
const MOST_HELD: Duration = Duration::from_millis(100);

/// A packet whose acknowledgement tells the round-trip time, if it is the highest one.
#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
    at: Instant,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// Bit i: the packet `top - i` was ours, and nothing is known of it.
    open: u128,
    /// Packets that nothing was known of when they were left behind by 128 numbers, others' packets between them counted.
    behind: u64,
    top: u64,
    /// Of the last packet.
    size: u64,
    window: Window,
    /// Losses up to this number are one event (RFC 9002 §7.3.2).
    recovery: u64,
    probe: Option<Probe>,
    /// Packets until the next probe; varies, so that it meets the one that the peer answers.
    pause: u8,
    missed: u8,
    blocked: Option<Instant>,
    /// Windows lost in a row.
    silence: u32,
    /// Packets, ever.
    sent: u64,
    lost: u64,
}

impl Flight {
    pub(crate) const fn new(window: Window) -> Self {
        Self {
            open: 0,
            behind: 0,
            top: 0,
            size: 0,
            window,
            recovery: 0,
            probe: None,
            pause: 0,
            missed: 0,
            blocked: None,
            silence: 0,
            sent: 0,
            lost: 0,
        }
    }

    /// The number of the last datagram.
    #[cfg(test)]
    pub(super) const fn newest(&self) -> u64 {
        self.top
    }

    /// Datagrams sent and lost, ever.
    pub(crate) const fn totals(&self) -> (u64, u64) {
        (self.sent, self.lost)
    }

    /// Smoothed round-trip time, by quinn-proto until this path has its own.
    pub(crate) const fn rtt(&self) -> Duration {
        self.window.rtt
    }

    pub(crate) const fn set_rtt(&mut self, rtt: Duration) {
        self.window.rtt = rtt;
    }

    /// May a datagram of so many bytes leave?
    pub(crate) fn admits(&mut self, now: Instant, bytes: u64) -> bool {
        let in_flight = (u64::from(self.open.count_ones()) + self.behind) * self.size;
        if in_flight + bytes <= self.window.bytes() {
            self.blocked = None;
            return true;
        }
        let since = *self.blocked.get_or_insert(now);
        if now.saturating_duration_since(since) >= PATIENCE * (1 << self.silence) {
            self.silence = (self.silence + 1).min(DOUBLINGS);
            let lost = u64::from(std::mem::take(&mut self.open).count_ones()) + std::mem::take(&mut self.behind);
            self.lost += lost;
            self.window.on_silence(now, lost * self.size);
            self.recovery = self.top;
            self.blocked = None;
        }
        false
    }

    pub(crate) fn on_sent(&mut self, now: Instant, number: u64, bytes: u64) {
        let ahead = number.saturating_sub(self.top);
        let before = self.open.count_ones();
        self.open = if ahead < SPAN { self.open << ahead } else { 0 };
        self.behind += u64::from(before - self.open.count_ones());
        self.open |= 1;
        (self.top, self.size) = (number, bytes);
        self.sent += 1;
        self.window.on_sent(now, bytes);
        if self.probe.is_none() {
            if self.pause == 0 {
                self.probe = Some(Probe { number, at: now });
            }
            self.pause = self.pause.saturating_sub(1);
        }
    }

    /// The peer acknowledges closed ranges, the highest first; of numbers that were sent.
    pub(crate) fn on_ack(&mut self, now: Instant, ranges: impl Iterator<Item = (u64, u64)>, held: Duration) {
        let mut highest = None;
        let mut acked = 0;
        for (low, high) in ranges {
            highest.get_or_insert(high);
            acked |= self.mask(low, high);
            if low + SPAN <= self.top {
                break;
            }
        }
        let Some(highest) = highest else { return };
        let newly = self.open & acked;
        self.open &= !acked;
        if newly != 0 {
            // What was left behind is not known to be lost, and is certainly not in flight any more.
            (self.blocked, self.silence, self.behind) = (None, 0, 0);
            self.window.on_ack(now);
        }
        if let Some(probe) = self.probe.filter(|probe| probe.number <= highest) {
            self.probe = None;
            if probe.number == highest && newly != 0 {
                self.sample(now.saturating_duration_since(probe.at), held);
            } else {
                self.missed = (self.missed + 1) % 10;
            }
            self.pause = self.missed;
        }
        let Some(limit) = highest.checked_sub(REORDERING) else { return };
        let lost = self.open & self.mask(0, limit);
        if lost != 0 {
            self.open &= !lost;
            let count = u64::from(lost.count_ones());
            self.lost += count;
            let newest = self.top - u64::from(lost.trailing_zeros());
            let fresh = newest > self.recovery;
            if fresh {
                self.recovery = self.top;
            }
            self.window.on_lost(now, fresh, count * self.size);
        }
    }

    /// The bits of a closed range of numbers.
    fn mask(&self, low: u64, high: u64) -> u128 {
        let high = high.min(self.top);
        let low = low.max((self.top + 1).saturating_sub(SPAN));
        if low > high {
            return 0;
        }
        let (shift, length) = (self.top - high, high - low + 1);
        let ones = u128::MAX >> (SPAN - length.min(SPAN));
        ones << shift
    }

    /// RFC 9002 §5.3.
    fn sample(&mut self, took: Duration, held: Duration) {
        let held = held.min(MOST_HELD);
        let rtt = took.checked_sub(held).unwrap_or(took);
        self.window.rtt = self.window.rtt * 7 / 8 + rtt / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 160;
    const TICK: Duration = Duration::from_millis(20);
    const HELD: Duration = Duration::ZERO;

    fn flight(now: Instant) -> Flight {
        Flight::new(Window::new(now, 1_200, Duration::from_millis(25)))
    }

    fn ack(flight: &mut Flight, now: Instant, ranges: &[(u64, u64)]) {
        flight.on_ack(now, ranges.iter().copied(), HELD);
    }

    #[test]
    fn what_is_acknowledged_is_not_in_flight_and_what_is_overtaken_is_lost() {
        let now = Instant::now();
        let mut flight = flight(now);
        for number in 0..10 {
            flight.on_sent(now, number, BYTES);
        }
        assert_eq!(flight.open.count_ones(), 10);
        ack(&mut flight, now, &[(9, 9), (4, 6)]);
        // 7 and 8 are less than three behind 9; 0 to 3 are lost.
        assert_eq!(flight.open, 0b110);
        assert_eq!(flight.totals(), (10, 4));
        ack(&mut flight, now, &[(7, 9), (0, 6)]);
        assert_eq!((flight.open, flight.totals()), (0, (10, 4)), "too late for four of them");
    }

    #[test]
    fn numbers_of_others_between_ours_are_nothing_to_us() {
        let now = Instant::now();
        let mut flight = flight(now);
        for number in [3, 5, 200, 203] {
            flight.on_sent(now, number, BYTES);
        }
        ack(&mut flight, now, &[(0, 203)]);
        assert_eq!((flight.open, flight.totals()), (0, (4, 0)));
        flight.on_sent(now, 1_000, BYTES);
        ack(&mut flight, now, &[(999, 999)]);
        assert_eq!(flight.open, 1);
        ack(&mut flight, now, &[(1_003, 1_003)]);
        assert_eq!((flight.open, flight.totals()), (0, (5, 1)));
    }

    #[test]
    fn the_round_trip_is_found_whichever_packets_are_answered() {
        for every in [1u64, 2, 5, 10] {
            let mut now = Instant::now();
            let mut flight = flight(now);
            for number in 0..2_000 {
                flight.on_sent(now, number, BYTES);
                if number % every == every - 1 {
                    flight.on_ack(now + Duration::from_millis(7), std::iter::once((0, number)), HELD);
                }
                now += TICK;
            }
            let rtt = flight.rtt();
            assert!(rtt.abs_diff(Duration::from_millis(7)) < Duration::from_millis(2), "{every}: {rtt:?}");
        }
    }

    #[test]
    fn who_never_answers_gets_a_window_a_second_and_then_next_to_nothing() {
        for others in [0, 1, 5, 200] {
            who_never_answers(others);
        }
    }

    /// With so many packets of others between two of ours.
    fn who_never_answers(others: u64) {
        let mut now = Instant::now();
        let mut flight = flight(now);
        let mut number = 0;
        let mut seconds = Vec::new();
        for _ in 0..20 {
            let mut sent = 0;
            for _ in 0..50 {
                if flight.admits(now, BYTES) {
                    flight.on_sent(now, number, BYTES);
                    number += 1 + others;
                    sent += 1;
                }
                now += TICK;
            }
            seconds.push(sent);
        }
        assert!(seconds[0] >= 50, "{seconds:?}");
        assert!(seconds[10..].iter().sum::<u64>() <= 2 * 2 * 1_200 / BYTES, "{seconds:?}");
        // It answers again: nothing is held against it for long.
        for tick in 0..600 {
            if flight.admits(now, BYTES) {
                number += 1;
                flight.on_sent(now, number, BYTES);
                ack(&mut flight, now, &[(number, number)]);
            } else {
                assert!(tick < 500, "still held up");
            }
            now += TICK;
        }
    }

    #[test]
    fn who_answers_is_never_held_up() {
        for rtt in [1u64, 50, 300, 800] {
            let mut now = Instant::now();
            let mut flight = flight(now);
            flight.set_rtt(Duration::from_millis(rtt));
            let delay = rtt / 20 + 2;
            for number in 0..500u64 {
                assert!(flight.admits(now, BYTES), "{rtt} ms, packet {number}");
                flight.on_sent(now, number, BYTES);
                if number >= delay {
                    // One in twelve is lost: under what trips the breaker.
                    let seen = number - delay;
                    let ranges = if seen % 12 == 0 { (seen + 1, seen + 1) } else { (seen, seen) };
                    ack(&mut flight, now, &[ranges]);
                }
                now += TICK;
            }
        }
    }

    #[test]
    fn random_acknowledgements_leave_nothing_uncounted() {
        let mut seed = 3u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let now = Instant::now();
        let mut flight = flight(now);
        let (mut number, mut sent) = (0, 0);
        for _ in 0..20_000 {
            number += 1 + random(3) / 2 * random(200);
            flight.on_sent(now, number, BYTES);
            sent += 1;
            let high = number.saturating_sub(random(20));
            let low = high.saturating_sub(random(300));
            let older = low.saturating_sub(2 + random(10));
            ack(&mut flight, now, &[(low, high), (older.saturating_sub(5), older)]);
            assert_eq!(flight.totals().0, sent);
            assert!(flight.totals().1 <= sent);
        }
    }
}
