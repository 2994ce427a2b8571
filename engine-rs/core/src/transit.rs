//! How evenly a speaker's frames arrive.
//!
//! The transit of a frame is its arrival less its place on the speaker's clock (the D of RFC 3550 §6.4.1), relative to the
//! first frame of the stream. Quantiles of the last 64 tell more than the RFC's running mean: the depth of a jitter buffer
//! has to cover the slow ones.

use crate::cadence::{Micros, TICK_MICROS};

const WINDOW: usize = 64;

/// Transits further apart than this are another stream (a restart, a clock that jumped), in microseconds.
const SAME_STREAM: Micros = 2_000_000;

/// A sliding window over the transits of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Transit {
    /// Sequence and arrival that transits are relative to.
    origin: Option<(u64, Micros)>,
    samples: [i32; WINDOW],
    used: usize,
    next: usize,
    slow: i32,
    fast: i32,
}

impl Transit {
    pub(crate) const fn new() -> Self {
        Self { origin: None, samples: [0; WINDOW], used: 0, next: 0, slow: 0, fast: 0 }
    }

    /// Takes a frame's arrival into account.
    pub(crate) fn observe(&mut self, sequence: u64, arrived: Micros) {
        let transit = match self.of(sequence, arrived) {
            Some(transit) => transit,
            None => {
                *self = Self { origin: Some((sequence, arrived)), ..Self::new() };
                0
            }
        };
        if let Some(slot) = self.samples.get_mut(self.next) {
            *slot = transit;
        }
        self.next = (self.next + 1) % WINDOW;
        self.used = (self.used + 1).min(WINDOW);
        self.measure();
    }

    /// Transit of a frame, `None` if it cannot belong to this stream.
    fn of(&self, sequence: u64, arrived: Micros) -> Option<i32> {
        let (first, at) = self.origin?;
        let place = (sequence.wrapping_sub(first) as i64).checked_mul(TICK_MICROS)?;
        let transit = arrived.checked_sub(at)?.checked_sub(place)?;
        if self.used > 0 && transit.checked_sub(Micros::from(self.slow))?.checked_abs()? > SAME_STREAM {
            return None;
        }
        i32::try_from(transit).ok()
    }

    fn measure(&mut self) {
        let mut sorted = self.samples;
        let Some(sorted) = sorted.get_mut(..self.used) else { return };
        sorted.sort_unstable();
        self.fast = sorted.first().copied().unwrap_or_default();
        self.slow = sorted.get(self.used - 1 - self.used / 20).copied().unwrap_or_default();
    }

    /// Spread between the fastest and the 95th of a hundred, in microseconds.
    pub(crate) fn spread(&self) -> Micros {
        Micros::from(self.slow) - Micros::from(self.fast)
    }

    /// When 95 of 100 frames would have arrived, had they been sent with this sequence. `None` for another stream.
    pub(crate) fn expected(&self, sequence: u64, arrived: Micros) -> Option<Micros> {
        let transit = self.of(sequence, arrived)?;
        Some(arrived - Micros::from(transit) + Micros::from(self.slow))
    }
}
