"""Everything that somebody can ask of a Space or of the platform, as tagged unions of frozen structs.

A command says what is wanted, never who wants it (`model.Actor`) nor when (`now_ms` is handed to `policy.decide`). The
order is that of the policy catalogue. `SpaceCommand` goes to one Space's log, `AccountCommand` to the social graph and
the platform.
"""

from __future__ import annotations

import msgspec

from spaces_ctl.model import AccountId, Speak, Ticketing


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="command"):
    pass


# Life


class Create(_Command, frozen=True, kw_only=True):
    """A new Space in its lobby, or scheduled if `scheduled_start_ms` is given."""

    title: str = ""
    description: str = ""
    topics: tuple[str, ...] = ()
    """Topic ids, at most `Limits.max_topics`."""
    lang: str = ""
    """BCP 47."""
    record: bool = False
    speak: Speak = Speak.INVITED
    requests_open: bool = True
    clips: bool = True
    captions: bool = True
    ticketing: Ticketing | None = None
    community: int | None = None
    scheduled_start_ms: int | None = None


class Edit(_Command, frozen=True, kw_only=True):
    """Changes what is given; `scheduled_start_ms` only while scheduled."""

    title: str | None = None
    description: str | None = None
    topics: tuple[str, ...] | None = None
    scheduled_start_ms: int | None = None


class Cancel(_Command, frozen=True, kw_only=True):
    """Gives a Space up before it was live."""


class Start(_Command, frozen=True, kw_only=True):
    """Goes live."""


class End(_Command, frozen=True, kw_only=True):
    """Ends a live Space; the cause follows from who ends it."""


class Expire(_Command, frozen=True, kw_only=True):
    """Timer: a scheduled Space whose host never came."""


class RemindHost(_Command, frozen=True, kw_only=True):
    """Timer: a scheduled Space starts in `before_ms` milliseconds (0: now)."""

    before_ms: int


# Settings


class SetSpeak(_Command, frozen=True, kw_only=True):
    """Who may take the mic without asking."""

    speak: Speak


class SetRequests(_Command, frozen=True, kw_only=True):
    """Whether people may request to speak."""

    open: bool


class SetMicAccess(_Command, frozen=True, kw_only=True):
    """Whether speakers are heard at all; closing mutes them."""

    open: bool


class SetClips(_Command, frozen=True, kw_only=True):
    """Whether clips may be made from now on."""

    on: bool


class SetCaptions(_Command, frozen=True, kw_only=True):
    """Whether the Space has captions (of those who consent)."""

    on: bool


class SetRecord(_Command, frozen=True, kw_only=True):
    """Whether it will be recorded; frozen at the start."""

    on: bool


# In and out (named people of the stage and the watch list; listeners are the engine's)


class Join(_Command, frozen=True, kw_only=True):
    """Comes in, or asks whether one may (listeners are admitted by the engine from the same tables)."""


class Leave(_Command, frozen=True, kw_only=True):
    """Goes for good: the role is lost."""


class ConnectionLost(_Command, frozen=True, kw_only=True):
    """Engine: somebody of the stage is gone without having left; the resume window begins."""

    account: AccountId


class Resumed(_Command, frozen=True, kw_only=True):
    """Engine: somebody who was away is back within the window; or the creator is back later."""

    account: AccountId


class ResumeExpired(_Command, frozen=True, kw_only=True):
    """Timer: somebody who was away did not come back; as if they had left."""

    account: AccountId


class HostlessExpired(_Command, frozen=True, kw_only=True):
    """Timer: nobody took the host's place in time; ends the Space."""


# Stage


class Request(_Command, frozen=True, kw_only=True):
    """Raises a hand."""


class Withdraw(_Command, frozen=True, kw_only=True):
    """Takes the own request back."""


class Approve(_Command, frozen=True, kw_only=True):
    """Gives the requester a seat, muted."""

    account: AccountId


class Reject(_Command, frozen=True, kw_only=True):
    """Closes a request."""

    account: AccountId


class Invite(_Command, frozen=True, kw_only=True):
    """Invites somebody to speak, in the Space or outside."""

    account: AccountId


class WithdrawInvite(_Command, frozen=True, kw_only=True):
    """Takes an invitation (to speak or to co-host) back."""

    account: AccountId


class DeclineInvite(_Command, frozen=True, kw_only=True):
    """Says no to the own invitation."""


class InviteExpired(_Command, frozen=True, kw_only=True):
    """Timer: an invitation was not taken up in time."""

    account: AccountId


class TakeMic(_Command, frozen=True, kw_only=True):
    """Takes a seat: invited before, or the Space's permission lets everybody of one's kind."""


class StepDown(_Command, frozen=True, kw_only=True):
    """Back to listening."""


class Revoke(_Command, frozen=True, kw_only=True):
    """Sends a speaker back to the audience."""

    account: AccountId


class AddCohost(_Command, frozen=True, kw_only=True):
    """Invites somebody present to co-host."""

    account: AccountId


class AcceptCohost(_Command, frozen=True, kw_only=True):
    """Becomes co-host."""


class DropCohost(_Command, frozen=True, kw_only=True):
    """Ends somebody's (or the own) co-hosting; they listen."""

    account: AccountId


class Transfer(_Command, frozen=True, kw_only=True):
    """Makes a co-host the primary admin; the roles swap."""

    account: AccountId


class Unmute(_Command, frozen=True, kw_only=True):
    """Opens the own mic. Nobody else's."""


class Mute(_Command, frozen=True, kw_only=True):
    """Closes somebody's mic, or the own."""

    account: AccountId


class MuteAll(_Command, frozen=True, kw_only=True):
    """Closes all speakers' mics; not the hosts'."""


class AskUnmute(_Command, frozen=True, kw_only=True):
    """Asks somebody to open their mic."""

    account: AccountId


# Safety


class Remove(_Command, frozen=True, kw_only=True):
    """Puts somebody out."""

    account: AccountId
    allow_rejoin: bool | None = None
    """None: as `Limits.removal_bars_rejoin` says."""


class Readmit(_Command, frozen=True, kw_only=True):
    """Lets somebody who was removed come in again."""

    account: AccountId


class Blocked(_Command, frozen=True, kw_only=True):
    """The actor has blocked an account; the graph knows already. Removes them if the actor is host or co-host."""

    account: AccountId


class ReportSpace(_Command, frozen=True, kw_only=True):
    """Reports the Space to the moderators."""

    reason: str
    detail: str = ""


class ReportAccount(_Command, frozen=True, kw_only=True):
    """Reports somebody in the Space."""

    account: AccountId
    reason: str
    detail: str = ""


class ReportClip(_Command, frozen=True, kw_only=True):
    """Reports a clip."""

    clip: int
    reason: str
    detail: str = ""


class MarkViolation(_Command, frozen=True, kw_only=True):
    """Moderator: the Space broke the rules; it is kept longer and its replay withheld."""

    note: str = ""


class ClearViolation(_Command, frozen=True, kw_only=True):
    """Moderator: an appeal was right; the replay is no longer withheld."""


class LiveBanned(_Command, frozen=True, kw_only=True):
    """The platform has banned somebody from live features: they leave the stage here."""

    account: AccountId


# Talk


class React(_Command, frozen=True, kw_only=True):
    """Never an event: the engine counts it. The rule is here so that the refusal is the same everywhere."""

    emoji: str


class SharePost(_Command, frozen=True, kw_only=True):
    """Pins a post to the top."""

    post: int


class UnsharePost(_Command, frozen=True, kw_only=True):
    """Unpins: who pinned it, host, co-hosts."""

    post: int


class CreatePoll(_Command, frozen=True, kw_only=True):
    """Asks the room; 2 to 4 options. One poll is open at a time."""

    question: str
    options: tuple[str, ...]


class Vote(_Command, frozen=True, kw_only=True):
    """One vote a person."""

    poll: int
    option: int
    """Index, from 0."""


class ClosePoll(_Command, frozen=True, kw_only=True):
    """No more votes."""

    poll: int


class CaptionConsent(_Command, frozen=True, kw_only=True):
    """Whether the own speech may be captioned."""

    on: bool


class ShowCaptions(_Command, frozen=True, kw_only=True):
    """Never an event: asks whether there is somebody to caption."""


# Record


class StopRecording(_Command, frozen=True, kw_only=True):
    """Stops recording for the rest of the Space."""


class ReplayReady(_Command, frozen=True, kw_only=True):
    """Media: the recording is complete."""

    duration_ms: int


class TrimReplay(_Command, frozen=True, kw_only=True):
    """The replay begins here (milliseconds from the recording's start)."""

    start_ms: int


class PublishDetails(_Command, frozen=True, kw_only=True):
    """Posts the replay's card."""

    text: str = ""


class DeleteReplay(_Command, frozen=True, kw_only=True):
    """Takes the replay and all clips away for good (the review copy follows retention)."""


class PlayReplay(_Command, frozen=True, kw_only=True):
    """Never an event: asks whether it may be played; plays are counted."""


class Export(_Command, frozen=True, kw_only=True):
    """Asks for one's data."""


class Clip(_Command, frozen=True, kw_only=True):
    """The part of the Space before `end_ms` (milliseconds since it started), at most `Limits.clip_ms` long."""

    end_ms: int
    length_ms: int = 30_000
    comment: str = ""


class DeleteClip(_Command, frozen=True, kw_only=True):
    """Its author's alone."""

    clip: int


# Around


class RemindMe(_Command, frozen=True, kw_only=True):
    """Be told when it starts."""


class Unremind(_Command, frozen=True, kw_only=True):
    """Not any more."""


class BuyTicket(_Command, frozen=True, kw_only=True):
    """Payment provider: `account` has paid. An account itself may ask whether it could buy (no `payment`)."""

    account: AccountId
    payment: str
    """The provider's reference."""


class RefundTicket(_Command, frozen=True, kw_only=True):
    """Payment provider or cancelation: the ticket is taken back."""

    account: AccountId
    payment: str


# Retention, by timers


class PurgeAudit(_Command, frozen=True, kw_only=True):
    """Timer: the review copy's time is over (30 days, or 120 after a violation)."""


class ReplayTtl(_Command, frozen=True, kw_only=True):
    """Timer: the replay's time is over (`Limits.replay_ttl_days`)."""


SpaceCommand = (
    Create
    | Edit
    | Cancel
    | Start
    | End
    | Expire
    | RemindHost
    | SetSpeak
    | SetRequests
    | SetMicAccess
    | SetClips
    | SetCaptions
    | SetRecord
    | Join
    | Leave
    | ConnectionLost
    | Resumed
    | ResumeExpired
    | HostlessExpired
    | Request
    | Withdraw
    | Approve
    | Reject
    | Invite
    | WithdrawInvite
    | DeclineInvite
    | InviteExpired
    | TakeMic
    | StepDown
    | Revoke
    | AddCohost
    | AcceptCohost
    | DropCohost
    | Transfer
    | Unmute
    | Mute
    | MuteAll
    | AskUnmute
    | Remove
    | Readmit
    | Blocked
    | ReportSpace
    | ReportAccount
    | ReportClip
    | MarkViolation
    | ClearViolation
    | LiveBanned
    | React
    | SharePost
    | UnsharePost
    | CreatePoll
    | Vote
    | ClosePoll
    | CaptionConsent
    | ShowCaptions
    | StopRecording
    | ReplayReady
    | TrimReplay
    | PublishDetails
    | DeleteReplay
    | PlayReplay
    | Export
    | Clip
    | DeleteClip
    | RemindMe
    | Unremind
    | BuyTicket
    | RefundTicket
    | PurgeAudit
    | ReplayTtl
)


# Accounts and platform


class Block(_Command, frozen=True, kw_only=True):
    """Everywhere; side effects in live Spaces where the actor is host or co-host."""

    account: AccountId


class Unblock(_Command, frozen=True, kw_only=True):
    """Undoes `Block`."""

    account: AccountId


class MuteAccount(_Command, frozen=True, kw_only=True):
    """Hides somebody's clips and posts from the actor."""

    account: AccountId


class UnmuteAccount(_Command, frozen=True, kw_only=True):
    """Undoes `MuteAccount`."""

    account: AccountId


class Follow(_Command, frozen=True, kw_only=True):
    """Follows an account."""

    account: AccountId


class Unfollow(_Command, frozen=True, kw_only=True):
    """Undoes `Follow`."""

    account: AccountId


class SetProtected(_Command, frozen=True, kw_only=True):
    """Protected accounts cannot create Spaces."""

    on: bool


class SetListeningVisibility(_Command, frozen=True, kw_only=True):
    """Whether followers see what the actor listens to."""

    visible: bool


class BanFromLive(_Command, frozen=True, kw_only=True):
    """Moderator: no live features `until_ms` (None: for good)."""

    account: AccountId
    reason: str
    until_ms: int | None = None


class LiftBan(_Command, frozen=True, kw_only=True):
    """Moderator: undoes `BanFromLive`."""

    account: AccountId


class Appeal(_Command, frozen=True, kw_only=True):
    """Against a ban (no `space`) or a violation of an own Space, within `Limits.appeal_days`."""

    text: str
    space: int | None = None


class ResolveAppeal(_Command, frozen=True, kw_only=True):
    """Moderator: grants (lifts what was appealed against) or denies."""

    appeal: int
    grant: bool
    note: str = ""


AccountCommand = (
    Block
    | Unblock
    | MuteAccount
    | UnmuteAccount
    | Follow
    | Unfollow
    | SetProtected
    | SetListeningVisibility
    | BanFromLive
    | LiftBan
    | Appeal
    | ResolveAppeal
)
