//! One shard's place among those that share the port: which packets are another's, and where a new connection shall live.
//!
//! Random first connection IDs spread joins well but not evenly, and who left is not replaced where he was. So the shard that
//! gets a connection's first packet gives it to the one with the fewest; from its answer on the connection ID names that one,
//! and the kernel does the rest. What the first packet's sender repeats before it has heard the answer goes the same way.
//!
//! A peer that must prove its address first (Retry) is counted when it comes back. Hundreds of joins in the same instant were
//! measured to end up uneven, paced ones within a tenth; those that join later even it out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::steering;

/// First packets whose way is remembered, in each of two halves; more at once are a flood, whose rest is taken where it comes.
const REMEMBERED: usize = 4_096;
/// For how long at least: longer than clients repeat themselves before they hear an answer.
const MEMORY: Duration = Duration::from_secs(5);
/// How much longer than the shortest a shard's own list may be, as a part of it: what passing on is not worth.
const SLACK: u32 = 32;

/// A shard's connections, as it said last, and those that it was given and has not taken yet.
#[derive(Debug, Default)]
struct Load {
    has: AtomicU32,
    given: AtomicU32,
}

impl Load {
    fn total(&self) -> u32 {
        self.has.load(Ordering::Relaxed).saturating_add(self.given.load(Ordering::Relaxed))
    }
}

/// How many connections each shard has. More than it would ever have: it is over.
#[derive(Clone, Debug)]
pub(crate) struct Loads(Arc<[Load]>);

impl Default for Loads {
    fn default() -> Self {
        Self((0..256).map(|_| Load::default()).collect())
    }
}

impl Loads {
    /// A shard has so many.
    pub(crate) fn set(&self, shard: u8, connections: usize) {
        if let Some(load) = self.0.get(usize::from(shard)) {
            load.has.store(u32::try_from(connections).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// A shard has taken one that it was given.
    fn took(&self, shard: u8) {
        if let Some(load) = self.0.get(usize::from(shard)) {
            // None are left where its packet was slower than the memory of it.
            let less = |given: u32| given.checked_sub(1);
            let _ = load.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// What a shard was given and never came is forgotten.
    fn forget(&self, shard: u8) {
        if let Some(load) = self.0.get(usize::from(shard)) {
            load.given.store(0, Ordering::Relaxed);
        }
    }

    /// Nobody is to be sent there any more.
    pub(crate) fn retire(&self, shard: u8) {
        self.set(shard, usize::MAX);
    }

    /// The shard that is to have a connection that has come to `own`, which has `connections`; it is counted there.
    fn choose(&self, own: u8, connections: usize, shards: u8) -> u8 {
        let mine = u32::try_from(connections).unwrap_or(u32::MAX);
        let others = (0u8..shards).zip(self.0.iter()).filter(|(shard, _)| *shard != own);
        match others.min_by_key(|(_, load)| load.total()) {
            Some((shard, load)) if mine > load.total().saturating_add(1 + mine / SLACK) => {
                load.given.fetch_add(1, Ordering::Relaxed);
                shard
            }
            _ => own,
        }
    }
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Here.
    Here,
    /// To another shard, which it names.
    Named(u8),
    /// To the shard that its connection was given to.
    Given(u8),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Group {
    own: u8,
    /// How many shards there are.
    pub(crate) shards: u8,
    loads: Loads,
    /// Connections that were given away, by the connection ID of their first packets; the younger half first.
    given: [HashMap<Vec<u8>, u8>; 2],
    turned: Instant,
}

impl Group {
    pub(crate) fn new(own: u8, shards: u8, loads: Loads, now: Instant) -> Self {
        Self { own, shards, loads, given: [HashMap::new(), HashMap::new()], turned: now }
    }

    /// Where a packet that came in belongs.
    pub(crate) fn way(&self, packet: &[u8]) -> Way {
        if self.shards < 2 {
            return Way::Here;
        }
        let shard = steering::shard_of(packet, self.shards).unwrap_or(self.own);
        if shard != self.own {
            return Way::Named(shard);
        }
        if self.given.iter().all(HashMap::is_empty) {
            return Way::Here;
        }
        let given = steering::initial_id(packet).and_then(|id| self.given.iter().find_map(|half| half.get(id)));
        given.map_or(Way::Here, |shard| Way::Given(*shard))
    }

    /// Where the connection shall live whose first packet this is; `connections` are here already. Called once for each.
    pub(crate) fn place(&mut self, packet: &[u8], connections: usize, now: Instant) -> Way {
        if now.saturating_duration_since(self.turned) >= MEMORY {
            self.turned = now;
            self.loads.forget(self.own);
            self.given.swap(0, 1);
            let [younger, _] = &mut self.given;
            younger.clear();
        }
        let [younger, _] = &mut self.given;
        let Some(id) = steering::initial_id(packet).filter(|_| younger.len() < REMEMBERED) else { return Way::Here };
        match self.loads.choose(self.own, connections, self.shards) {
            own if own == self.own => {
                // The others see it at once, not at the end of the turn.
                self.tell(connections + 1);
                Way::Here
            }
            other => {
                younger.insert(id.to_vec(), other);
                Way::Given(other)
            }
        }
    }

    /// A connection that was given to this shard has come, as one more than so many.
    pub(crate) fn take(&self, connections: usize) {
        self.tell(connections + 1);
        self.loads.took(self.own);
    }

    /// This shard has so many connections.
    pub(crate) fn tell(&self, connections: usize) {
        self.loads.set(self.own, connections);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initial(id: [u8; 8]) -> Vec<u8> {
        [&[0xc0, 0, 0, 0, 1, 8], &id[..], &[0; 30]].concat()
    }

    #[test]
    fn new_connections_go_where_the_fewest_are_and_what_is_repeated_goes_after_them() {
        let now = Instant::now();
        let loads = Loads::default();
        let mut group = Group::new(0, 3, loads.clone(), now);
        loads.set(1, 10);
        loads.set(2, 4);
        // Eight here already: four more than the least.
        let packet = initial([0, 0, 9, 9, 9, 9, 9, 9]);
        assert_eq!(group.way(&packet), Way::Here);
        assert_eq!(group.place(&packet, 8, now), Way::Given(2));
        assert_eq!(group.way(&packet), Way::Given(2), "a repetition follows");
        // Two more go there until it is as long as ours, give or take one.
        assert_eq!(group.place(&initial([1, 1, 1, 1, 1, 1, 1, 1]), 8, now), Way::Given(2));
        assert_eq!(group.place(&initial([2, 2, 1, 1, 1, 1, 1, 1]), 8, now), Way::Given(2));
        assert_eq!(group.place(&initial([3, 3, 1, 1, 1, 1, 1, 1]), 8, now), Way::Here);
        // What is forgotten is taken as new.
        let later = now + MEMORY;
        group.place(&initial([4, 4, 1, 1, 1, 1, 1, 1]), 0, later);
        assert_eq!(group.way(&packet), Way::Given(2), "for one time more");
        group.place(&initial([4, 4, 1, 1, 1, 1, 1, 1]), 0, later + MEMORY);
        assert_eq!(group.way(&packet), Way::Here);
    }

    #[test]
    fn a_shard_that_is_over_gets_nobody_and_a_flood_is_taken_where_it_comes() {
        let now = Instant::now();
        let loads = Loads::default();
        let mut group = Group::new(0, 2, loads.clone(), now);
        loads.retire(1);
        assert_eq!(group.place(&initial([0; 8]), 50_000, now), Way::Here);
        loads.set(1, 0);
        let mut given = 0;
        for number in 0..10_000u64 {
            let way = group.place(&initial(number.to_be_bytes()), 50_000, now);
            given += usize::from(way == Way::Given(1));
        }
        assert_eq!(given, REMEMBERED);
    }

    #[test]
    fn what_names_another_shard_goes_there_unless_there_is_only_one() {
        let now = Instant::now();
        let mut group = Group::new(1, 4, Loads::default(), now);
        let short = [0x40, 3 ^ 77, 77, 0, 0, 0, 0, 0, 0];
        assert_eq!(group.way(&short), Way::Named(3));
        group.shards = 2;
        assert_eq!(group.way(&short), Way::Here);
        group.shards = 1;
        assert_eq!(group.way(&[0x40, 0, 0]), Way::Here);
    }
}
