//! How late packets come, and how long playout waits for them.
//!
//! A packet's *offset* is its arrival less its media time. The smallest offset of the last ten seconds of sound is the
//! *base*: the fastest path. What a packet comes later than the base goes into a histogram that forgets; the target is the
//! delay within which 99 % of it lies. Two late packets at once raise the target; it falls as their weight decays, within
//! about twelve seconds. A base that moves (clock drift, another route) moves the histogram with it.
//!
//! A lost tick is measured too, when something makes it playable after all: its redundant copy, or the next packet with
//! in-band FEC. So playout waits for repairs when there are many of them, and only then.

use core::time::Duration;

use crate::time::{TICK, Time};

/// Media times from here on are refused, so that sums of microseconds fit.
const LAST_TICK: u64 = 1 << 46;
/// Likewise for the clock.
const LAST_TIME: u64 = 1 << 60;

const TICK_US: i64 = TICK.as_micros() as i64;

/// Width of a histogram bin.
const BIN_US: i64 = 5_000;
/// Delays from here on are outages, not jitter: no target helps.
const BINS: usize = 120;
const LATEST_US: i64 = BIN_US * BINS as i64;

/// Weight of the whole histogram.
const ONE: u32 = 1 << 30;
/// A packet takes 2⁻⁷ of the weight: a memory of 128 packets, 2.6 s of talking. Less at the start.
const FORGET: u32 = 7;
/// Share of packets that may come after the target, in 1/1024.
const LATE_SHARE: u64 = 10;

/// The base is the smallest of so many seconds of sound.
const WINDOWS: usize = 10;
const WINDOW: Duration = Duration::from_secs(1);
const WINDOW_PACKETS: u32 = 25;

/// Packets closer than this came in one burst.
const BURST: Duration = Duration::from_millis(5);
/// Before this, a lower base means that the first packets were old ones (a joiner's prefill).
const JOINING: Duration = Duration::from_millis(500);
/// Packets in a row behind every target, bursts apart, after which the path has changed.
const OUTAGE_PACKETS: u32 = 10;
/// An offset this far from the base is a broken clock or a broken peer …
const STRANGE_US: i64 = 5_000_000;
/// … unless this many packets in a row say so.
const STRANGE_PACKETS: u32 = 3;

/// What a packet's arrival meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// As usual.
    Measured,
    /// Of a time that cannot be: drop it.
    Refused,
    /// The time jumped: forget every packet before this one.
    Restarted,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct DelayEstimator {
    start_us: i64,
    started: Option<Time>,
    last: Time,
    /// Smallest offset of each window, the current one first; `i64::MAX` where there is none yet.
    lows: [i64; WINDOWS],
    window_from: Time,
    window_packets: u32,
    /// Where the histogram begins; within a bin of the smallest of `lows`.
    base_us: i64,
    weights: [u32; BINS],
    measured: u32,
    /// Newest tick measured, and a bit for each of the 64 up to it.
    newest: u64,
    seen: u64,
    outage: bool,
    behind: u32,
    strange: u32,
    restarts: u64,
}

impl DelayEstimator {
    /// `start_us`: what to assume before anything is measured.
    pub(crate) fn new(start_us: i64) -> Self {
        Self {
            start_us,
            started: None,
            last: Time(0),
            lows: [i64::MAX; WINDOWS],
            window_from: Time(0),
            window_packets: 0,
            base_us: 0,
            weights: [0; BINS],
            measured: 0,
            newest: 0,
            seen: 0,
            outage: false,
            behind: 0,
            strange: 0,
            restarts: 0,
        }
    }

    /// Something of `tick` came at `now`. `recovers`: it makes the tick before playable too, should that be lost.
    pub(crate) fn arrived(&mut self, now: Time, tick: u64, recovers: bool) -> Arrival {
        if tick >= LAST_TICK || now.0 >= LAST_TIME {
            return Arrival::Refused;
        }
        let offset = now.0 as i64 - media_us(tick);
        if self.started.is_none() {
            self.restart(now, tick, offset);
            return Arrival::Measured;
        }
        let burst = now.since(self.last) < BURST;
        self.last = self.last.max(now);
        let late = offset - self.base_us;
        if late.abs() >= STRANGE_US {
            self.strange += 1;
            if self.strange < STRANGE_PACKETS {
                return Arrival::Refused;
            }
            self.restart(now, tick, offset);
            return Arrival::Restarted;
        }
        self.strange = 0;
        if self.is_outage(late, burst) {
            if self.behind >= OUTAGE_PACKETS {
                // The packets in hand are still the right ones; only the measure was wrong.
                self.restart(now, tick, offset);
            }
            return Arrival::Measured;
        }
        if recovers && self.first(tick.saturating_sub(1)) {
            self.measure(offset + TICK_US);
        }
        if self.first(tick) {
            self.measure(offset);
            self.follow(now, offset);
        }
        Arrival::Measured
    }

    /// Ticks that came already count as new when they come again: they come by another way now.
    pub(crate) fn forget_ticks(&mut self) {
        (self.newest, self.seen) = (0, 0);
    }

    /// Whether something of `tick` may come at `now`.
    pub(crate) fn plausible(&self, now: Time, tick: u64) -> bool {
        let known = self.started.is_some() && tick < LAST_TICK && now.0 < LAST_TIME;
        known && (now.0 as i64 - media_us(tick) - self.base_us).abs() < STRANGE_US
    }

    /// Wait this long after the fastest packet's arrival, in microseconds.
    pub(crate) fn target_us(&self) -> i64 {
        if self.started.is_none() {
            return self.start_us;
        }
        let whole: u64 = self.weights.iter().map(|&weight| u64::from(weight)).sum();
        let allowed = whole * LATE_SHARE / 1024;
        let mut later = 0u64;
        let mut bins = BINS;
        for &weight in self.weights.iter().rev() {
            later += u64::from(weight);
            if later > allowed {
                break;
            }
            bins -= 1;
        }
        // A bin more: the base lags behind a path that gets longer.
        (bins as i64 + 1) * BIN_US
    }

    /// When a packet of `tick` comes on the fastest path, in microseconds of the caller's clock.
    pub(crate) fn expected_us(&self, tick: u64) -> i64 {
        self.base_us.saturating_add(media_us(tick.min(LAST_TICK)))
    }

    /// Times that the measurement began anew.
    pub(crate) const fn restarts(&self) -> u64 {
        self.restarts
    }

    fn restart(&mut self, now: Time, tick: u64, offset: i64) {
        let restarts = self.restarts + u64::from(self.started.is_some());
        *self = Self::new(self.start_us);
        self.restarts = restarts;
        self.started = Some(now);
        self.last = now;
        self.window_from = now;
        self.base_us = offset;
        self.newest = tick;
        self.seen = 1;
        self.assume_start();
        self.measure(offset);
        self.follow(now, offset);
    }

    fn assume_start(&mut self) {
        self.weights = [0; BINS];
        self.measured = 0;
        let bin = (self.start_us / BIN_US - 2).clamp(0, BINS as i64 - 1) as usize;
        if let Some(weight) = self.weights.get_mut(bin) {
            *weight = ONE;
        }
    }

    /// Whether a packet belongs to an outage: it comes after every target, or in one burst with one that did.
    fn is_outage(&mut self, late: i64, burst: bool) -> bool {
        let behind = late >= LATEST_US;
        self.outage = behind || (self.outage && burst);
        if !behind {
            self.behind = 0;
        } else if !burst {
            self.behind += 1;
        }
        self.outage
    }

    /// Whether `tick` is met for the first time. Ticks that are too old to tell count as met.
    fn first(&mut self, tick: u64) -> bool {
        if tick > self.newest {
            let ahead = tick - self.newest;
            self.seen = if ahead < 64 { self.seen << ahead } else { 0 } | 1;
            self.newest = tick;
            return true;
        }
        let behind = self.newest - tick;
        let bit = if behind < 64 { 1u64 << behind } else { 0 };
        let first = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        first
    }

    fn measure(&mut self, offset: i64) {
        let bin = ((offset - self.base_us) / BIN_US).clamp(0, BINS as i64 - 1) as usize;
        let forget = match self.measured {
            0..32 => FORGET - 2,
            32..96 => FORGET - 1,
            _ => FORGET,
        };
        self.measured = self.measured.saturating_add(1);
        for weight in &mut self.weights {
            *weight -= (*weight >> forget) + u32::from(*weight >> forget == 0 && *weight > 0);
        }
        if let Some(weight) = self.weights.get_mut(bin) {
            *weight = weight.saturating_add(ONE >> forget);
        }
    }

    /// Keeps the base and moves the histogram with it.
    fn follow(&mut self, now: Time, offset: i64) {
        self.window_packets += 1;
        if now.since(self.window_from) >= WINDOW && self.window_packets >= WINDOW_PACKETS {
            self.lows.rotate_right(1);
            if let Some(low) = self.lows.first_mut() {
                *low = i64::MAX;
            }
            self.window_from = now;
            self.window_packets = 1;
        }
        if let Some(low) = self.lows.first_mut() {
            *low = offset.min(*low);
        }
        let lowest = self.lows.iter().copied().min().unwrap_or(offset);
        let bins = (lowest - self.base_us) / BIN_US - i64::from((lowest - self.base_us) % BIN_US < 0);
        if bins == 0 {
            return;
        }
        self.base_us += bins * BIN_US;
        let joining = self.started.is_some_and(|started| now.since(started) < JOINING);
        if bins < 0 && joining {
            self.assume_start();
        } else {
            self.shift(bins);
        }
    }

    /// Moves every weight `bins` towards zero; what falls off an end stays in its last bin.
    fn shift(&mut self, bins: i64) {
        let mut moved = [0u32; BINS];
        for (at, &weight) in self.weights.iter().enumerate() {
            let to = (at as i64 - bins).clamp(0, BINS as i64 - 1) as usize;
            if let Some(slot) = moved.get_mut(to) {
                *slot = slot.saturating_add(weight);
            }
        }
        self.weights = moved;
    }
}

fn media_us(tick: u64) -> i64 {
    tick as i64 * TICK_US
}
