//! Request ids (draft-18 §10.1): even ones are the client's, odd ones the server's, each used once.

use std::collections::BTreeSet;

use crate::error::Violation;
use crate::seam::End;

/// Ids that may be missing because their streams are late.
const LATE: usize = 256;

/// The ids that a peer has used.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Every id below is used.
    next: u64,
    above: BTreeSet<u64>,
}

impl RequestIds {
    pub(crate) const fn of(peer: End) -> Self {
        Self { next: first(peer), above: BTreeSet::new() }
    }

    /// Books `id`. Streams arrive in any order, so ids may too.
    pub(crate) fn take(&mut self, id: u64) -> Result<(), Violation> {
        if id & 1 != self.next & 1 || id < self.next {
            return Err(Violation::RequestId);
        }
        if id == self.next && self.above.is_empty() {
            // Nearly always; a set that was never used has no memory.
            self.next = self.next.saturating_add(2);
            return Ok(());
        }
        if !self.above.insert(id) {
            return Err(Violation::RequestId);
        }
        if self.above.len() > LATE
            && let Some(oldest) = self.above.first()
        {
            self.next = *oldest;
        }
        while self.above.remove(&self.next) {
            self.next = self.next.saturating_add(2);
        }
        Ok(())
    }

    /// The smallest id that has not been used.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }
}

/// The first id of an end.
pub(crate) const fn first(end: End) -> u64 {
    match end {
        End::Client => 0,
        End::Server => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_once_and_in_any_order() {
        let mut ids = RequestIds::of(End::Client);
        for id in [0, 4, 2, 8] {
            assert_eq!(ids.take(id), Ok(()));
        }
        assert_eq!(ids.next(), 6);
        for id in [0, 2, 4, 8, 1, 7] {
            assert_eq!(ids.take(id), Err(Violation::RequestId));
        }
        assert_eq!(RequestIds::of(End::Server).take(0), Err(Violation::RequestId));
    }

    #[test]
    fn gaps_are_not_remembered_for_ever() {
        let mut ids = RequestIds::of(End::Server);
        for number in 0..10_000u64 {
            assert_eq!(ids.take(number * 4 + 1), Ok(()));
            assert!(ids.above.len() <= LATE);
        }
        assert_eq!(ids.take(u64::MAX), Ok(()));
        assert_eq!(ids.take(u64::MAX), Err(Violation::RequestId));
    }
}
