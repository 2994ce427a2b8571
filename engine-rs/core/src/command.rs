//! What the control plane tells the engine: whole values with a version each, so that a command may be repeated, and one
//! that comes late is refused. Nothing here decides; these are the decisions.

use bytes::Bytes;
use thiserror::Error;

use crate::ids::{AccountId, SeatNo, Sid, SpaceId};
use crate::refusal::Refusal;

/// A decision of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The Space and its stage, whole.
    UpsertSpace {
        /// Which Space.
        space: SpaceId,
        /// Grows with every change of this Space's table.
        version: u64,
        /// Flags and stage.
        table: SpaceTable,
    },
    /// One set of accounts of one owner, whole. A set without members drops it.
    SetAcl {
        /// Which Space.
        space: SpaceId,
        /// What the set does.
        kind: AclKind,
        /// Whose set: a host's or co-host's account for [`AclKind::Deny`], 0 for the Space's own.
        owner: AccountId,
        /// Grows with every change of this set.
        version: u64,
        /// Members, ascending, without repetition.
        accounts: Vec<u64>,
    },
    /// What the `state` track says from now on (JSON; opaque to the engine).
    SetState {
        /// Which Space.
        space: SpaceId,
        /// Grows with every change; it is the track's group id.
        version: u64,
        /// The snapshot, at most 64 KiB.
        snapshot: Bytes,
    },
    /// Sessions that may not connect any more, in any Space. Whole.
    SetRevoked {
        /// Grows with every change.
        version: u64,
        /// Members, ascending.
        sids: Vec<Sid>,
        /// Tokens of an older epoch are refused.
        min_epoch: u64,
    },
    /// Closes an account's sessions in a Space; they may come again. Has no version: it is not a value but a moment.
    ///
    /// Several shards: to all but the stage's, then to the stage's, then to the others again, each having taken its mail
    /// first. The first round ends what the sessions send, the second what of it is in the stage, the third what is in ticks.
    Kick {
        /// Which Space.
        space: SpaceId,
        /// Whose sessions.
        account: AccountId,
        /// Only the one with this id.
        sid: Option<Sid>,
        /// What the clients are told.
        reason: Refusal,
    },
    /// The Space is over: everybody leaves, the recording is finished.
    EndSpace {
        /// Which Space.
        space: SpaceId,
        /// Greater than that of every table.
        version: u64,
    },
}

/// What an ACL set does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AclKind {
    /// Removed from this Space.
    Bar,
    /// Blocked by a host or co-host.
    Deny,
    /// Ticket holders: in a ticketed Space only these, and the stage, hear.
    Allow,
    /// Invited people, requesters, the creator: not a rule, but whose coming and going is told beside the stage's
    /// ([`crate::event::EventKind::Joined`]). Anonymous sessions of theirs are not.
    Watch,
}

/// A Space as the engine needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceTable {
    /// Listeners may join and seats are heard.
    pub live: bool,
    /// Write recordings.
    pub record: bool,
    /// Logged-out listeners may join.
    pub guests: bool,
    /// Only [`AclKind::Allow`] and the stage may join.
    pub ticketed: bool,
    /// Speakers (not host and co-hosts) are heard.
    pub mic_open: bool,
    /// Make the mix: the tracks `mix` and `mix.groups`, and the recording's.
    pub mix: bool,
    /// Who is told to hear it instead of the stage.
    pub mix_for: MixFor,
    /// Wall-clock milliseconds since 1970 at which group 0 began.
    pub started_at_ms: u64,
    /// The stage, at most 13 rows, no seat and no account twice.
    pub stage: Vec<StageRow>,
}

/// Which listeners are told, on the track `state`, to hear the mix. Without a mix nobody is, and those on stage never are.
/// Nobody is kept from a track: listeners that know of no tiers stay where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MixFor {
    /// Nobody.
    #[default]
    Nobody,
    /// Those whose own connection loses or refuses too much of the stage, for as long as it does.
    Weak,
    /// Everybody.
    Everybody,
}

/// One seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageRow {
    /// Which seat.
    pub seat: SeatNo,
    /// Who sits there.
    pub account: AccountId,
    /// As what.
    pub role: Role,
    /// Muted seats are not heard.
    pub muted: bool,
    /// Grows when the seat is given to somebody (again); frames of an older generation are dropped.
    pub generation: u32,
    /// Captions of this seat may be made and shown: its sound goes to service sessions, and [`crate::engine::Engine::caption`]
    /// takes its words.
    pub caption: bool,
}

/// A role on stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Primary admin.
    Host,
    /// Co-host.
    Cohost,
    /// Speaker.
    Speaker,
}

/// A command has taken effect on this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// No object of a seat silenced by this command lies in a group after this one, and none is sent after the answer. That
    /// holds for packets of the mix with the seat in it, too. Captions of a seat whose consent the command withdraws, and its
    /// sound to service sessions, are not sent after the answer either.
    pub fence_group: u64,
}

/// Why a command was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// A newer or equal, different value is in force.
    #[error("stale version {got}, have {have}")]
    Stale {
        /// The version in force.
        have: u64,
        /// The version refused.
        got: u64,
    },
    /// No such Space.
    #[error("no such Space")]
    UnknownSpace,
    /// The Space was ended; its id is not used again.
    #[error("the Space has ended")]
    Ended,
    /// The value contradicts itself.
    #[error("invalid table: {0}")]
    Invalid(&'static str),
}
