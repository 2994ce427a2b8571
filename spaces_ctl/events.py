"""What has happened: the events of a Space's log and of the account log, as tagged unions of frozen structs.

Events say what changed, whole, so that `policy.evolve` never has to look anything up; who did it and when stands beside
the event in the log (`Recorded`). `how` and `reason` carry the cause. Listeners coming and going, reactions and levels
are never events. Stored as msgpack maps: fields may be added with defaults, never renamed or removed.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from spaces_ctl.model import AccountId, Actor, SpaceId, Speak, StageRole, Ticketing


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event", omit_defaults=True):
    pass


class LeftHow(StrEnum):
    """Why somebody is not in the Space any more."""

    LEFT = "left"
    RESUME_EXPIRED = "resume_expired"


class SeatGainedHow(StrEnum):
    """How a speaker came to the seat."""

    REQUEST = "request"
    INVITE = "invite"
    OPEN = "open"
    """The Space's permission lets them."""


class SeatLostHow(StrEnum):
    """Why a seat was lost."""

    STEPPED_DOWN = "stepped_down"
    REVOKED = "revoked"
    LEFT = "left"
    RESUME_EXPIRED = "resume_expired"
    REMOVED = "removed"
    BLOCKED = "blocked"
    LIVE_BANNED = "live_banned"
    PROMOTED = "promoted"
    """Became co-host."""


class CohostLostHow(StrEnum):
    """Why co-hosting ended."""

    DROPPED_BY_HOST = "dropped_by_host"
    DROPPED_SELF = "dropped_self"
    STEPPED_DOWN = "stepped_down"
    LEFT = "left"
    RESUME_EXPIRED = "resume_expired"
    REMOVED = "removed"
    BLOCKED = "blocked"
    LIVE_BANNED = "live_banned"
    PROMOTED = "promoted"
    """Became the primary admin."""


class CohostGainedHow(StrEnum):
    """How somebody became co-host."""

    ACCEPTED = "accepted"
    TRANSFERRED = "transferred"
    """Gave the administration to a co-host."""
    RECLAIMED = "reclaimed"
    """The creator is back; the interim admin is co-host again."""


class AdminHow(StrEnum):
    """How the primary admin changed."""

    TRANSFERRED = "transferred"
    SUCCEEDED = "succeeded"
    """The host is gone; the co-host first added takes over."""
    RECLAIMED = "reclaimed"
    HOSTLESS = "hostless"
    """Nobody is left to take over; the timer runs."""


class RequestClosedHow(StrEnum):
    """What became of a request to speak."""

    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    LEFT = "left"
    REMOVED = "removed"
    BLOCKED = "blocked"
    LIVE_BANNED = "live_banned"
    TOOK_MIC = "took_mic"
    CLOSED = "closed"
    """The host takes no requests any more."""


class InviteClosedHow(StrEnum):
    """What became of an invitation."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REMOVED = "removed"
    BLOCKED = "blocked"
    LIVE_BANNED = "live_banned"
    REVOKED = "revoked"


class MutedHow(StrEnum):
    """Why a mic was closed."""

    SELF = "self"
    BY_HOST = "by_host"
    """By host or co-host, the one named in `by`."""
    MUTE_ALL = "mute_all"
    MIC_CLOSED = "mic_closed"


class RemovedHow(StrEnum):
    """Why somebody was put out."""

    REMOVED = "removed"
    BLOCKED = "blocked"
    """Blocked by a host or co-host live."""
    BLOCKED_BY_NEW_HOST = "blocked_by_new_host"
    """Was blocked already by somebody who became host or co-host."""
    MODERATOR = "moderator"


class EndedHow(StrEnum):
    """Why a Space ended."""

    HOST = "host"
    VIOLATION = "violation"
    HOSTLESS = "hostless"


class CanceledHow(StrEnum):
    """Why a Space was given up."""

    HOST = "host"
    MODERATOR = "moderator"
    NO_SHOW = "no_show"


class ReplayGoneHow(StrEnum):
    """Why a clip went."""

    AUTHOR = "author"
    SPACE = "space"
    """With the Space's recording."""


# Life


class Created(_Event, frozen=True, kw_only=True):
    """The Space exists: in its lobby, or scheduled."""

    creator: AccountId
    title: str = ""
    description: str = ""
    topics: tuple[str, ...] = ()
    lang: str = ""
    record: bool = False
    speak: Speak = Speak.INVITED
    requests_open: bool = True
    clips: bool = True
    captions: bool = True
    ticketing: Ticketing | None = None
    community: int | None = None
    scheduled_start_ms: int | None = None


class Edited(_Event, frozen=True, kw_only=True):
    """What was changed; None is as before."""

    title: str | None = None
    description: str | None = None
    topics: tuple[str, ...] | None = None
    scheduled_start_ms: int | None = None


class Canceled(_Event, frozen=True, kw_only=True):
    """Given up before it was live."""

    how: CanceledHow


class Started(_Event, frozen=True, kw_only=True):
    """Live from `Recorded.at_ms` on; `record` is frozen from here."""

    record: bool


class Ended(_Event, frozen=True, kw_only=True):
    """Over; everybody is out."""

    how: EndedHow
    audit: bool = True
    """A copy is kept for review (`Limits.audit_copy`, or something was reported)."""


class HostReminded(_Event, frozen=True, kw_only=True):
    """The time has come to remind the host of a scheduled Space, `before_ms` milliseconds before its start."""

    before_ms: int


class SettingChanged(_Event, frozen=True, kw_only=True):
    """Settings that changed; None is as before."""

    speak: Speak | None = None
    requests_open: bool | None = None
    mic_open: bool | None = None
    clips: bool | None = None
    captions: bool | None = None
    record: bool | None = None


# In and out


class Joined(_Event, frozen=True, kw_only=True):
    """Somebody of the stage or the watch list came in."""

    account: AccountId


class Left(_Event, frozen=True, kw_only=True):
    """Somebody of the stage or the watch list is gone."""

    account: AccountId
    how: LeftHow


class Away(_Event, frozen=True, kw_only=True):
    """The connection is lost; the seat is kept until `until_ms`."""

    account: AccountId
    until_ms: int


class Back(_Event, frozen=True, kw_only=True):
    """Came back in time."""

    account: AccountId


# Stage


class Requested(_Event, frozen=True, kw_only=True):
    """Raised a hand."""

    account: AccountId


class RequestClosed(_Event, frozen=True, kw_only=True):
    """The request is settled."""

    account: AccountId
    how: RequestClosedHow


class Invited(_Event, frozen=True, kw_only=True):
    """Asked to speak, or to co-host."""

    account: AccountId
    role: StageRole
    by: AccountId | None = None
    expires_ms: int | None = None
    """None: until the Space ends."""


class InviteClosed(_Event, frozen=True, kw_only=True):
    """The invitation is settled."""

    account: AccountId
    role: StageRole
    how: InviteClosedHow


class SpeakerAdded(_Event, frozen=True, kw_only=True):
    """Has a seat, muted."""

    account: AccountId
    seat: int
    generation: int
    how: SeatGainedHow


class SpeakerRemoved(_Event, frozen=True, kw_only=True):
    """Has no seat as speaker any more."""

    account: AccountId
    how: SeatLostHow


class CohostAdded(_Event, frozen=True, kw_only=True):
    """Is co-host, on `seat` (the one held before, if any), muted state unchanged if they had a seat."""

    account: AccountId
    seat: int
    generation: int
    how: CohostGainedHow


class CohostRemoved(_Event, frozen=True, kw_only=True):
    """Is no co-host any more; off the stage unless PROMOTED."""

    account: AccountId
    how: CohostLostHow


class AdminChanged(_Event, frozen=True, kw_only=True):
    """Who is primary admin; None: nobody (the hostless timer runs until `until_ms`)."""

    account: AccountId | None
    how: AdminHow
    seat: int | None = None
    generation: int | None = None
    until_ms: int | None = None
    reserved: bool = False
    """The former admin is the creator, and their seat is kept for their return."""


class Muted(_Event, frozen=True, kw_only=True):
    """The mic is closed."""

    account: AccountId
    how: MutedHow
    by: AccountId | None = None


class Unmuted(_Event, frozen=True, kw_only=True):
    """Opened the own mic."""

    account: AccountId


class AskedToUnmute(_Event, frozen=True, kw_only=True):
    """Was asked to open the mic."""

    account: AccountId
    by: AccountId


# Safety


class Removed(_Event, frozen=True, kw_only=True):
    """Put out; `bar`: may not come in again."""

    account: AccountId
    how: RemovedHow
    bar: bool


class Readmitted(_Event, frozen=True, kw_only=True):
    """May come in again."""

    account: AccountId


class DenySetAttached(_Event, frozen=True, kw_only=True):
    """Whom `owner` blocks may not be here while they are host or co-host."""

    owner: AccountId


class DenySetDetached(_Event, frozen=True, kw_only=True):
    """`owner` is neither host nor co-host any more."""

    owner: AccountId


class Reported(_Event, frozen=True, kw_only=True):
    """To the moderators; shown to nobody in the Space."""

    by: AccountId
    reason: str
    detail: str = ""
    account: AccountId | None = None
    clip: int | None = None


class ViolationFound(_Event, frozen=True, kw_only=True):
    """A moderator's finding; retention grows, the replay is withheld."""

    note: str = ""


class ViolationCleared(_Event, frozen=True, kw_only=True):
    """The finding was undone on appeal."""


# Talk


class PostShared(_Event, frozen=True, kw_only=True):
    """Pinned."""

    post: int
    by: AccountId


class PostUnshared(_Event, frozen=True, kw_only=True):
    """Unpinned."""

    post: int


class PollOpened(_Event, frozen=True, kw_only=True):
    """A poll began; its id is its number in the Space."""

    poll: int
    by: AccountId
    question: str
    options: tuple[str, ...]


class PollVoted(_Event, frozen=True, kw_only=True):
    """A vote."""

    poll: int
    account: AccountId
    option: int


class PollClosed(_Event, frozen=True, kw_only=True):
    """No more votes."""

    poll: int


class ConsentChanged(_Event, frozen=True, kw_only=True):
    """Whether somebody's speech may be captioned."""

    account: AccountId
    on: bool


# Record


class RecordingStopped(_Event, frozen=True, kw_only=True):
    """The rest is not recorded."""


class ReplayReady(_Event, frozen=True, kw_only=True):
    """The replay may be played."""

    duration_ms: int


class ReplayTrimmed(_Event, frozen=True, kw_only=True):
    """Begins here."""

    start_ms: int


class ReplayPosted(_Event, frozen=True, kw_only=True):
    """The replay's card was posted."""

    text: str = ""


class ReplayDeleted(_Event, frozen=True, kw_only=True):
    """By its creator."""


class ReplayExpired(_Event, frozen=True, kw_only=True):
    """Its time was over."""


class ExportRequested(_Event, frozen=True, kw_only=True):
    """The creator asked for their data."""


class ClipCreated(_Event, frozen=True, kw_only=True):
    """Milliseconds since the Space started; the clip's id is its number in the Space."""

    clip: int
    by: AccountId
    start_ms: int
    end_ms: int
    comment: str = ""


class ClipDeleted(_Event, frozen=True, kw_only=True):
    """A clip is gone."""

    clip: int
    how: ReplayGoneHow


# Around


class Subscribed(_Event, frozen=True, kw_only=True):
    """Wants to be told when it starts."""

    account: AccountId


class Unsubscribed(_Event, frozen=True, kw_only=True):
    """Does not any more."""

    account: AccountId


class TicketBought(_Event, frozen=True, kw_only=True):
    """Holds a ticket."""

    account: AccountId
    payment: str


class TicketRefunded(_Event, frozen=True, kw_only=True):
    """Holds it no more."""

    account: AccountId
    payment: str


class AuditPurged(_Event, frozen=True, kw_only=True):
    """The review copy is gone everywhere; `after_days` 30 or 120."""

    after_days: int


SpaceEvent = (
    Created
    | Edited
    | Canceled
    | Started
    | Ended
    | HostReminded
    | SettingChanged
    | Joined
    | Left
    | Away
    | Back
    | Requested
    | RequestClosed
    | Invited
    | InviteClosed
    | SpeakerAdded
    | SpeakerRemoved
    | CohostAdded
    | CohostRemoved
    | AdminChanged
    | Muted
    | Unmuted
    | AskedToUnmute
    | Removed
    | Readmitted
    | DenySetAttached
    | DenySetDetached
    | Reported
    | ViolationFound
    | ViolationCleared
    | PostShared
    | PostUnshared
    | PollOpened
    | PollVoted
    | PollClosed
    | ConsentChanged
    | RecordingStopped
    | ReplayReady
    | ReplayTrimmed
    | ReplayPosted
    | ReplayDeleted
    | ReplayExpired
    | ExportRequested
    | ClipCreated
    | ClipDeleted
    | Subscribed
    | Unsubscribed
    | TicketBought
    | TicketRefunded
    | AuditPurged
)


class AccountBlocked(_Event, frozen=True, kw_only=True):
    """`by` blocks `account`."""

    by: AccountId
    account: AccountId


class AccountUnblocked(_Event, frozen=True, kw_only=True):
    """Not any more."""

    by: AccountId
    account: AccountId


class Followed(_Event, frozen=True, kw_only=True):
    """`by` follows `account`, or (`on` False) does not any more."""

    by: AccountId
    account: AccountId
    on: bool = True


class Protected(_Event, frozen=True, kw_only=True):
    """The account's posts are protected, or not any more."""

    account: AccountId
    on: bool


class ListeningVisibility(_Event, frozen=True, kw_only=True):
    """Whether followers see what the account listens to."""

    account: AccountId
    visible: bool


class LiveBanned(_Event, frozen=True, kw_only=True):
    """No live features until then (None: for good)."""

    account: AccountId
    reason: str
    until_ms: int | None = None


class BanLifted(_Event, frozen=True, kw_only=True):
    """Live features again."""

    account: AccountId


class AppealFiled(_Event, frozen=True, kw_only=True):
    """Against a ban, or a violation in `space`."""

    appeal: int
    account: AccountId
    text: str
    space: SpaceId | None = None


class AppealResolved(_Event, frozen=True, kw_only=True):
    """Granted or not."""

    appeal: int
    account: AccountId
    granted: bool
    note: str = ""


AccountEvent = (
    AccountBlocked
    | AccountUnblocked
    | Followed
    | Protected
    | ListeningVisibility
    | LiveBanned
    | BanLifted
    | AppealFiled
    | AppealResolved
)


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event in a Space's log."""

    space: SpaceId
    version: int
    """1 for the first event of a Space, without gaps."""
    sequence: int
    """Over all Spaces, ascending in the order of commit; with gaps."""
    at_ms: int
    actor: Actor
    event: SpaceEvent
