//! Ids of Spaces that have ended, so that a command that comes late does not bring one back.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::SpaceId;

/// Ids of Spaces that have ended, the last few thousand of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tombstones {
    order: VecDeque<SpaceId>,
    known: BTreeMap<SpaceId, u64>,
}

impl Tombstones {
    const MOST: usize = 4_096;

    /// Remembers a Space and its last group.
    pub(crate) fn insert(&mut self, id: SpaceId, fence: u64) {
        if self.known.insert(id, fence).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, id: SpaceId) -> bool {
        self.known.contains_key(&id)
    }

    pub(crate) fn fence(&self, id: SpaceId) -> Option<u64> {
        self.known.get(&id).copied()
    }
}
