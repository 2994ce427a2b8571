//! What a Space tells the recorder beside its ticks: when it begins and ends, and who sits where.

use super::Space;
use crate::command::{SpaceTable, StageRow};
use crate::engine::Output;
use crate::record::RecordItem;
use crate::table::sits;
use crate::time::Time;

impl Space {
    /// A table has taken the place of `old`: tells the recorder what it means to it.
    pub(super) fn record_table(&mut self, now: Time, old: &SpaceTable, out: &mut Vec<Output>) {
        let record = self.home && self.table.live && self.table.record;
        let (space, group) = (self.id, self.stage.group(now));
        let begins = record && !self.recording;
        if begins {
            out.push(Output::Record(RecordItem::Start { space, started_at_ms: self.table.started_at_ms, group }));
        }
        if record {
            let vacated = |row: &&StageRow| !begins && !self.table.stage.iter().any(|after| after.seat == row.seat);
            for StageRow { seat, generation, .. } in old.stage.iter().filter(vacated).copied() {
                out.push(Output::Record(RecordItem::Seat { space, group, seat, generation, account: 0 }));
            }
            for row in &self.table.stage {
                if begins || !old.stage.iter().any(|before| sits(before, row)) {
                    let (seat, generation, account) = (row.seat, row.generation, row.account.0);
                    out.push(Output::Record(RecordItem::Seat { space, group, seat, generation, account }));
                }
            }
        } else {
            self.end_recording(now, out);
        }
        self.recording = record;
    }

    /// The recording, if there is one, is complete.
    pub(crate) fn end_recording(&mut self, now: Time, out: &mut Vec<Output>) {
        if core::mem::take(&mut self.recording) {
            out.push(Output::Record(RecordItem::End { space: self.id, group: self.fence(now) }));
        }
    }
}
