//! Reactions: counted where they come in, told in sums.

use crate::budget::Bucket;
use crate::time::Time;

/// Kinds of reactions at most.
pub const MOST_KINDS: usize = 16;

/// How many reactions of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    kinds: u8,
    counts: [u32; MOST_KINDS],
}

impl Tally {
    /// None yet, of so many kinds (16 at most).
    #[must_use]
    pub const fn new(kinds: u8) -> Self {
        Self { kinds: if kinds as usize > MOST_KINDS { MOST_KINDS as u8 } else { kinds }, counts: [0; MOST_KINDS] }
    }

    /// Of each kind, in order.
    pub fn counts(&self) -> impl Iterator<Item = u32> {
        self.counts.into_iter().take(usize::from(self.kinds))
    }

    /// Whether nobody reacted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Counts one. False if there is no such kind.
    pub(crate) fn add(&mut self, kind: u8) -> bool {
        match self.counts.get_mut(usize::from(kind)).filter(|_| kind < self.kinds) {
            Some(count) => *count = count.saturating_add(1),
            None => return false,
        }
        true
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
    }

    /// What was counted; it begins anew.
    pub(crate) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new(self.kinds))
    }
}

/// How often one session may react.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temper(Bucket);

impl Temper {
    /// So many a second, and twice as many at once.
    pub(crate) const fn new(per_second: u16, now: Time) -> Self {
        Self(Bucket::new(per_second as u32, per_second as u32 * 2, now))
    }

    /// Whether it may, now.
    pub(crate) fn admit(&mut self, now: Time) -> bool {
        self.0.refill(now);
        let may = self.0.holds(1);
        self.0.take(u32::from(may));
        may
    }
}
