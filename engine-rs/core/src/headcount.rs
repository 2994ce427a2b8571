//! How many people a Space has, told once a second while it changes.
//!
//! Every shard counts its own; all others tell the stage's shard, which knows the sum and the peak, and tells the control
//! plane.

use crate::event::Counts;
use crate::time::Time;

/// Least time between two reports, in microseconds.
const REPORT_EVERY: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Headcount {
    home: bool,
    others: Vec<Counts>,
    told: Counts,
    peak: u32,
    reported: Option<Time>,
}

impl Headcount {
    /// On the stage's shard (`home`), or another one.
    pub(crate) fn new(home: bool, shards: u16) -> Self {
        let others = vec![Counts::default(); if home { usize::from(shards) } else { 0 }];
        Self { home, others, told: Counts::default(), peak: 0, reported: None }
    }

    /// There are so many shards now.
    pub(crate) fn grow(&mut self, shards: u16) {
        if self.home && self.others.len() < usize::from(shards) {
            self.others.resize(usize::from(shards), Counts::default());
        }
    }

    /// What another shard said.
    pub(crate) fn set(&mut self, shard: u16, counts: Counts) {
        if let Some(slot) = self.others.get_mut(usize::from(shard)) {
            *slot = counts;
        }
    }

    /// This shard's people, and on the stage's shard the peak of all.
    pub(crate) const fn here(&self, own: Counts) -> Counts {
        Counts { peak: self.peak, ..own }
    }

    /// This shard's people, with all others' on the stage's shard.
    pub(crate) fn total(&self, own: Counts) -> Counts {
        let mut total = self.others.iter().fold(own, |sum, other| Counts {
            named: sum.named.saturating_add(other.named),
            anonymous: sum.anonymous.saturating_add(other.anonymous),
            guests: sum.guests.saturating_add(other.guests),
            peak: 0,
        });
        if self.home {
            let people = total.named.saturating_add(total.anonymous).saturating_add(total.guests);
            total.peak = self.peak.max(people);
        }
        total
    }

    /// Somebody came or went. When to report, if there is anything to.
    pub(crate) fn count(&mut self, now: Time, own: Counts) -> Option<Time> {
        let total = self.total(own);
        self.peak = total.peak;
        (total != self.told).then(|| self.reported.map_or(now, |last| Time(last.0.saturating_add(REPORT_EVERY))))
    }

    /// What to report now: to the control plane on the stage's shard, else to the stage's shard.
    pub(crate) fn report(&mut self, now: Time, own: Counts) -> Option<Counts> {
        let total = self.total(own);
        let early = self.reported.is_some_and(|last| now.0 < last.0.saturating_add(REPORT_EVERY));
        if early || total == self.told {
            return None;
        }
        self.told = total;
        self.reported = Some(now);
        Some(total)
    }
}
