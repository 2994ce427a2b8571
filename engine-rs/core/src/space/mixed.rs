//! What the mixer made of a Space on its way back: judged once more by the stage's shard, then by every other by its own table.

use std::sync::Arc;

use super::Space;
use crate::cursor::News;
use crate::engine::{MixBundle, Output, ShardMessage};
use crate::ids::SeatNo;
use crate::mix_feed::Mixed;
use crate::record::RecordItem;
use crate::seat::Gate;
use crate::table::gate;
use crate::time::Time;

impl Space {
    /// The mixer has nothing to do here any more, and what still comes of it is not heard.
    pub(crate) fn end_mix(&mut self, out: &mut Vec<Output>) {
        out.extend(self.feed.end(self.id).map(Output::Mix));
    }

    /// A packet of the mix comes back to the stage's shard. False: somebody in it was silenced meanwhile.
    pub(crate) fn mixed(&mut self, now: Time, mixed: Mixed, shards: u16, out: &mut Vec<Output>) -> bool {
        if !self.feed.accept(&mixed) {
            return false;
        }
        let (packet, last) = (mixed.packet, mixed.last);
        let bundle = Arc::new(MixBundle { space: self.id, version: self.version, packet, last });
        self.push_mix(now, &bundle, Some(out));
        if shards > 1 {
            out.push(Output::ToShard { shard: None, message: ShardMessage::Mix(bundle) });
        }
        true
    }

    /// Makes packets; those of the first phase are recorded, if `out` is there.
    fn push_mix(&mut self, now: Time, bundle: &MixBundle, mut out: Option<&mut Vec<Output>>) {
        let Self { id, mix, audience, recording, .. } = self;
        mix.push(bundle, now, |phase, packet| {
            audience.refresh(News::Mix(phase));
            if let Some(out) = &mut out
                && *recording
                && phase == 0
            {
                out.push(Output::Record(RecordItem::Mix { space: *id, packet }));
            }
        });
    }

    /// A packet of the mix from the stage's shard. False: this shard's table silences somebody in it.
    pub(crate) fn receive_mix(&mut self, now: Time, bundle: &Arc<MixBundle>) -> bool {
        let seats = bundle.packet.seats();
        let audible = |seat: SeatNo| {
            let since = self.seats.get(seat.index()).map_or(u64::MAX, |info| info.audible_since);
            self.row(seat).is_some_and(|row| gate(&self.table, row) == Gate::Open) && bundle.version >= since
        };
        let silenced = (0u8..).map_while(SeatNo::new).any(|seat| seats & seat.bit() != 0 && !audible(seat));
        if self.home || silenced {
            return false;
        }
        self.push_mix(now, bundle, None);
        true
    }
}
