//! What a Space says beside its sound: captions, its state, and what pulses behind that.

use bytes::Bytes;

use super::Space;
use crate::cursor::{ByAdvice, News};
use crate::engine::{Advice, Config, Object, Output, ShardMessage, Track};
use crate::event::{Event, EventKind};
use crate::ids::SeatNo;
use crate::pulse::{self, Beat};
use crate::time::{TICK_SAMPLES, Time};

impl Space {
    /// A line of captions on the stage's shard. False if the seat's row does not allow it.
    pub(crate) fn caption(
        &mut self,
        now: Time,
        seat: SeatNo,
        generation: u32,
        payload: Bytes,
        shards: u16,
        out: &mut Vec<Output>,
    ) -> bool {
        let (space, version) = (self.id, self.version);
        if !self.captionable(seat, generation, version) {
            return false;
        }
        let number = self.stage.group(now).max(self.last_caption.saturating_add(1));
        self.last_caption = number;
        if shards > 1 {
            let payload = payload.clone();
            let message = ShardMessage::Caption { space, version, seat, generation, number, payload };
            out.push(Output::ToShard { shard: None, message });
        }
        self.receive_caption(version, seat, generation, number, payload);
        true
    }

    /// A line of captions that the stage's shard took under the table of `version`.
    pub(crate) fn receive_caption(&mut self, version: u64, seat: SeatNo, generation: u32, number: u64, payload: Bytes) {
        if self.captionable(seat, generation, version) {
            self.captions.push(self.id, seat.bit(), number, payload);
            self.audience.refresh(News::Words);
        }
    }

    /// Takes a state snapshot.
    pub(crate) fn set_state(&mut self, now: Time, version: u64, snapshot: Bytes) {
        let number = self.documents.state.as_ref().map_or(0, |(number, _)| *number).wrapping_add(1).max(1);
        let state = Object {
            space: self.id,
            track: Track::State,
            group: version,
            object: 0,
            end_of_group: false,
            timestamp: self.stage.group(now).saturating_mul(TICK_SAMPLES),
            payload: snapshot,
        };
        // What a pulse said belongs to the group of the snapshot before.
        self.documents.pulse = None;
        self.pulse.owe();
        self.documents.state = Some((number, state));
        self.state_version = Some(version);
        self.audience.refresh(News::Words);
    }

    /// Says what there is to say of people and reactions.
    pub(crate) fn beat(&mut self, now: Time, config: &Config, out: &mut Vec<Output>) {
        let Beat { object, report, forward } = self.pulse.beat(now, self.headcount.total(self.audience.counts()));
        let space = self.id;
        if let Some(payload) = object {
            self.pulses = self.pulses.wrapping_add(1).max(1);
            let number = self.pulses;
            if self.say(now, number, payload.clone()) && config.shards > 1 {
                out.push(Output::ToShard { shard: None, message: ShardMessage::Pulse { space, number, payload } });
            }
        }
        if let Some(tally) = report {
            out.push(Output::Event(Event { at: now, space, kind: EventKind::Reactions(tally) }));
        }
        if let Some(tally) = forward {
            let message = ShardMessage::Reactions { space, tally };
            out.push(Output::ToShard { shard: Some(self.stage_shard), message });
        }
    }

    /// Tells everybody here, behind the snapshot. False if there is none: then there is no group to tell it in.
    pub(crate) fn say(&mut self, now: Time, number: u32, payload: Bytes) -> bool {
        let Some((_, state)) = &self.documents.state else { return false };
        let timestamp = self.stage.group(now).saturating_mul(TICK_SAMPLES).max(state.timestamp);
        let with = |advice: Advice| {
            let payload = pulse::to_hear(&payload, advice);
            Object { object: u64::from(number), timestamp, payload, ..state.clone() }
        };
        let [stage_only, stage, mix] = [Advice::StageOnly, Advice::Stage, Advice::Mix].map(with);
        self.documents.pulse = Some((number, ByAdvice { stage_only, stage, mix }));
        self.audience.refresh(News::Words);
        true
    }
}
