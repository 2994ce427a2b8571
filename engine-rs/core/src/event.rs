//! What the engine tells the control plane. Nothing here grows with the audience: joins of listeners, reactions and levels
//! are counted, never told one by one.

use crate::ids::{AccountId, SeatNo, Sid, SpaceId};
use crate::reactions::Tally;
use crate::time::Time;

/// Something the control plane may want to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, on the engine's clock.
    pub at: Time,
    /// Where.
    pub space: SpaceId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Somebody of the stage or the watch list connected, or came on one of them while being connected.
    Joined {
        /// Who.
        account: AccountId,
        /// By which session.
        sid: Sid,
    },
    /// The connection of somebody of the stage or the watch list ended.
    Left {
        /// Who.
        account: AccountId,
        /// By which session.
        sid: Sid,
        /// It was lost rather than closed by the peer.
        lost: bool,
    },
    /// A seat's first frame since it was given, unmuted or silent for long.
    SeatSpeaking {
        /// Which seat.
        seat: SeatNo,
    },
    /// A seat sends more than its rate budget; the excess is dropped. Told once a second at most.
    SeatOverBudget {
        /// Which seat.
        seat: SeatNo,
        /// Frames dropped since the last such event.
        dropped: u32,
    },
    /// Audience size, once a second while it changes.
    Counts(Counts),
    /// Reactions since the last such event, once a second at most.
    Reactions(Tally),
    /// The recording has a hole: the disk was full, slow or failing.
    RecordingGap {
        /// First group missing.
        from_group: u64,
        /// Groups missing so far.
        groups: u64,
    },
}

/// People connected to a Space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Named listeners and stage.
    pub named: u32,
    /// Anonymous listeners.
    pub anonymous: u32,
    /// Logged-out listeners.
    pub guests: u32,
    /// Most at once of all three together.
    pub peak: u32,
}
