//! What the shards of one process tell each other.

use std::sync::Arc;

use crate::engine::{Engine, Output, ShardMessage, TickBundle};
use crate::ids::{SeatNo, SpaceId};
use crate::refusal::Refusal;
use crate::space::Publisher;
use crate::time::Time;

impl Engine {
    /// A message from another shard. Those of one shard must come in the order in which they were sent.
    pub fn shard_message(&mut self, now: Time, message: ShardMessage) {
        match message {
            ShardMessage::Bundle(bundle) => self.receive(now, bundle),
            ShardMessage::Uplink { space: id, seat, generation, frame } => {
                let Some(space) = self.spaces.get_mut(&id).filter(|space| space.home) else { return };
                let verdict = match space.gate(seat, generation) {
                    Ok(()) => space.uplink(now, seat, frame, &mut self.fresh),
                    Err(verdict) => verdict,
                };
                self.stats.count(verdict);
                self.settle(id);
            }
            ShardMessage::Mix(bundle) => {
                let Some(space) = self.spaces.get_mut(&bundle.space) else { return };
                if !space.receive_mix(now, &bundle) {
                    self.stats.mix_dropped += 1;
                }
                self.ready.insert(bundle.space);
            }
            ShardMessage::Caption { space: id, version, seat, generation, number, payload } => {
                let Some(space) = self.spaces.get_mut(&id) else { return };
                space.receive_caption(version, seat, generation, number, payload);
                self.ready.insert(id);
            }
            ShardMessage::Arrived { sid, at } => {
                let Some(key) = self.sids.get(&sid).copied() else { return };
                let Some(session) = self.sessions.get(key) else { return };
                let (here, space) = ((session.begun, self.config.shard), session.space);
                if here < at {
                    self.close(now, key, Refusal::SessionSuperseded, false);
                } else {
                    let message = ShardMessage::Arrived { sid, at: here };
                    self.fresh.push(Output::ToShard { shard: Some(at.1), message });
                    self.settle(space);
                }
            }
            ShardMessage::Publishing { space: id, seat, generation, on, at } => {
                let Some(space) = self.spaces.get_mut(&id) else { return };
                let newer = space.publishing(seat, Publisher { generation, at }, on);
                let local = space.seats.get(seat.index()).and_then(|info| info.local);
                if let Some(older) = local.filter(|_| on && newer) {
                    self.close(now, older, Refusal::SessionSuperseded, false);
                }
                self.settle(id);
            }
            ShardMessage::Reactions { space: id, tally } => {
                if let Some(space) = self.spaces.get_mut(&id).filter(|space| space.home) {
                    space.pulse.merge(&tally);
                    self.settle(id);
                }
            }
            ShardMessage::Pulse { space: id, number, payload } => {
                if let Some(space) = self.spaces.get_mut(&id) {
                    space.say(now, number, payload);
                    self.ready.insert(id);
                }
            }
            ShardMessage::Counts { space: id, shard, counts } => {
                if let Some(space) = self.spaces.get_mut(&id) {
                    space.set_others(now, shard, counts);
                    self.settle(id);
                }
            }
        }
    }

    fn receive(&mut self, now: Time, bundle: Arc<TickBundle>) {
        let id = bundle.space;
        if let Some(space) = self.spaces.get_mut(&id) {
            space.receive(now, bundle, &mut self.stats);
            self.ready.insert(id);
        }
    }

    /// Tells the other shards who publishes a seat.
    pub(crate) fn tell_publishing(&mut self, space: SpaceId, seat: SeatNo, publisher: Publisher, on: bool) {
        if self.config.shards > 1 {
            let Publisher { generation, at } = publisher;
            let message = ShardMessage::Publishing { space, seat, generation, on, at };
            self.fresh.push(Output::ToShard { shard: None, message });
        }
    }
}
