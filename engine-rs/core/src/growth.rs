//! A shard more while Spaces are live: what it has to know of them, and what the others have to know of it.
//!
//! In this order, without commands in between: [`Engine::set_shards`] on every shard, each of which sends its messages to the
//! new one too from then on; [`Engine::knowledge`] of one that has taken all messages sent before; [`Engine::learn`] on the new
//! one, which then takes the messages that wait for it. Some of these are in what it has learned already: every message may
//! be taken twice.

use crate::admission::{Acls, Revoked};
use crate::command::SpaceTable;
use crate::cursor::Documents;
use crate::engine::Engine;
use crate::ids::{MAX_SEATS, SpaceId};
use crate::space::{SeatInfo, Space};
use crate::time::Time;
use crate::tombstones::Tombstones;

/// All that one shard knows and the control plane told, with who publishes: not its own part of the audience, nor sound.
#[derive(Clone, Debug)]
pub struct Knowledge {
    spaces: Vec<Known>,
    ended: Tombstones,
    revoked: Revoked,
}

#[derive(Clone, Debug)]
struct Known {
    id: SpaceId,
    stage_shard: u16,
    version: u64,
    table: SpaceTable,
    begun: bool,
    acls: Acls,
    documents: Documents,
    state_version: Option<u64>,
    seats: [SeatInfo; MAX_SEATS],
}

impl Knowledge {
    /// Every Space and the shard on which its stage lives.
    pub fn homes(&self) -> impl Iterator<Item = (SpaceId, u16)> + '_ {
        self.spaces.iter().map(|known| (known.id, known.stage_shard))
    }
}

impl Engine {
    /// The shard on which the stage of a Space would live that were made now.
    #[must_use]
    pub fn home(&self, space: SpaceId) -> u16 {
        self.config.home(space)
    }

    /// There are so many shards from now on; never fewer than before. Stages stay where they are.
    pub fn set_shards(&mut self, shards: u16) {
        self.config.shards = self.config.shards.max(shards);
        for space in self.spaces.values_mut() {
            space.headcount.grow(self.config.shards);
        }
    }

    /// What a new shard has to know.
    #[must_use]
    pub fn knowledge(&self) -> Knowledge {
        let known = |space: &Space| Known {
            id: space.id,
            stage_shard: space.stage_shard,
            version: space.version,
            table: space.table.clone(),
            begun: space.begun,
            acls: space.acls.clone(),
            documents: space.documents.clone(),
            state_version: space.state_version,
            seats: space.seats,
        };
        let spaces = self.spaces.values().map(known).collect();
        Knowledge { spaces, ended: self.ended.clone(), revoked: self.revoked.clone() }
    }

    /// Begins with what another shard knew. For an engine to which nothing has happened.
    pub fn learn(&mut self, now: Time, knowledge: Knowledge) {
        self.ended = knowledge.ended;
        self.revoked = knowledge.revoked;
        for known in knowledge.spaces {
            let mut space = Space::new(now, known.id, known.table.started_at_ms, known.stage_shard, &self.config);
            space.set_table(now, known.version, known.table, &self.config, &mut self.fresh);
            space.begun = known.begun;
            space.acls = known.acls;
            space.documents = known.documents;
            space.state_version = known.state_version;
            // Who publishes is on another shard still.
            space.seats = known.seats.map(|seat| SeatInfo { local: None, ..seat });
            self.spaces.insert(known.id, space);
            self.settle(known.id);
        }
    }
}
