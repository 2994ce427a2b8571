//! Reading a Space's table: who sits where, who is heard, and what a change means for a seat.

use crate::command::{Role, SpaceTable, StageRow};
use crate::ids::SeatNo;
use crate::seat::{self, Gate};

/// The row of a seat, while the Space is live.
pub(crate) fn row(table: &SpaceTable, seat: SeatNo) -> Option<&StageRow> {
    table.stage.iter().find(|row| row.seat == seat && table.live)
}

/// Whether two rows are the same person sitting in the same seat.
pub(crate) fn sits(one: &StageRow, other: &StageRow) -> bool {
    (one.seat, one.account, one.generation) == (other.seat, other.account, other.generation)
}

/// Host and co-hosts are heard regardless of mic access.
pub(crate) fn gate(table: &SpaceTable, row: &StageRow) -> Gate {
    Gate::new(row.muted, !table.mic_open && row.role == Role::Speaker)
}

/// What a change of the table means for one seat.
pub(crate) fn events(before: Option<Gate>, after: Option<Gate>, same: bool) -> Vec<seat::Event> {
    let muted = |gate: Gate| matches!(gate, Gate::Muted | Gate::MutedClosed);
    let closed = |gate: Gate| matches!(gate, Gate::Closed | Gate::MutedClosed);
    let mut events = Vec::new();
    match (before, after) {
        (Some(before), Some(after)) if same => {
            if muted(before) != muted(after) {
                events.push(if muted(after) { seat::Event::Muted } else { seat::Event::Unmuted });
            }
            if closed(before) != closed(after) {
                events.push(if closed(after) { seat::Event::MicClosed } else { seat::Event::MicOpened });
            }
        }
        (before, after) => {
            events.extend(before.map(|_| seat::Event::Taken));
            events.extend(after.map(seat::Event::Given));
        }
    }
    events
}
