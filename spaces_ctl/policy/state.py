"""A Space as its log tells it: what `evolve` builds and `decide` reads. Immutable, in order of addition.

Big sets (tickets, reminders, votes) are not here: they would grow with the audience. They are projections in the store,
and `Facts` answers for one member.
"""

from __future__ import annotations

import msgspec

from spaces_ctl.model import AccountId, Seat, SpaceId, Speak, StageRole, Status, Ticketing
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention

__all__ = ["ClipInfo", "Invitation", "Poll", "Replay", "ReplayStatus", "Retention", "Space"]


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """Asked to speak or to co-host."""

    role: StageRole
    by: AccountId | None
    since_ms: int
    expires_ms: int | None = None


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """A poll and its counts."""

    question: str
    options: tuple[str, ...]
    votes: tuple[int, ...]
    by: AccountId
    closed: bool = False


class ClipInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that exists; milliseconds since the Space started."""

    by: AccountId
    start_ms: int
    end_ms: int
    comment: str
    created_ms: int


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The public recording."""

    status: ReplayStatus = ReplayStatus.NONE
    duration_ms: int = 0
    start_ms: int = 0
    """Trimmed to begin here."""
    available_ms: int | None = None


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """One Space."""

    id: SpaceId = 0
    version: int = 0
    status: Status = Status.NEW
    creator: AccountId = 0
    """Never changes."""
    admin: AccountId | None = None
    """The primary admin now; None while hostless or over."""
    transferred: bool = False
    """The administration was given away: a returning creator does not reclaim it."""

    title: str = ""
    description: str = ""
    topics: tuple[str, ...] = ()
    lang: str = ""
    ticketing: Ticketing | None = None
    community: int | None = None

    created_ms: int = 0
    scheduled_start_ms: int | None = None
    schedule_set_ms: int = 0
    """When `scheduled_start_ms` was chosen: reminders that would have been earlier are not sent."""
    reminded: frozenset[int] = frozenset()
    """Which of the host's reminders were sent (milliseconds before the start)."""
    started_ms: int | None = None
    ended_ms: int | None = None
    updated_ms: int = 0

    speak: Speak = Speak.INVITED
    requests_open: bool = True
    mic_open: bool = False
    clips_on: bool = True
    captions_on: bool = True
    record: bool = False
    recording_stopped: bool = False

    stage: tuple[Seat, ...] = ()
    """Host first, then co-hosts in order of addition, then speakers in order of addition."""
    reserved: Seat | None = None
    """The absent creator's seat, kept for their return (`creator_reclaims`)."""
    generation: int = 0
    """The last one given to a seat."""
    here: frozenset[AccountId] = frozenset()
    """Inside, of those who are watched (`policy.watched`); other listeners are the engine's to know."""
    away_until: dict[AccountId, int] = {}
    """Lost their connection; until then their place is kept."""
    hosts_at_end: tuple[AccountId, ...] = ()
    """Primary admin (if there was one) and co-hosts when it ended."""
    hostless_until_ms: int | None = None

    requests: dict[AccountId, int] = {}
    """Since when (ms)."""
    invites: dict[AccountId, Invitation] = {}
    invited_ever: tuple[AccountId, ...] = ()
    """Were invited to speak, or spoke, and that was not taken back (revoked, removed, withdrawn, declined, expired,
    dropped by the host): may take the mic again."""
    spoke_ever: tuple[AccountId, ...] = ()
    """Had the mic at any point."""
    removed: frozenset[AccountId] = frozenset()
    """Barred until readmitted."""
    deny_owners: tuple[AccountId, ...] = ()
    """Whose block lists keep people out now."""
    consented: frozenset[AccountId] = frozenset()
    """May be captioned."""

    posts: dict[int, AccountId] = {}
    """Pinned posts and who pinned them."""
    polls: dict[int, Poll] = {}
    clips: dict[int, ClipInfo] = {}
    clips_made: int = 0
    subscribers: int = 0
    tickets: int = 0
    requests_made: int = 0
    """Requests to speak, ever."""

    replay: Replay = Replay()
    retention: Retention = Retention.NONE
    reported: bool = False
    """Somebody reported something here, ever."""
    violation: bool = False
    """A moderator's finding that stands."""

    def seat_of(self, account: AccountId | None) -> Seat | None:
        """The account's seat on stage."""
        return next((seat for seat in self.stage if seat.account == account), None)

    @property
    def cohosts(self) -> tuple[AccountId, ...]:
        """Co-hosts in order of addition."""
        return tuple(seat.account for seat in self.stage if seat.role is StageRole.COHOST)

    @property
    def speakers(self) -> tuple[AccountId, ...]:
        """Speakers (neither host nor co-hosts) in order of addition."""
        return tuple(seat.account for seat in self.stage if seat.role is StageRole.SPEAKER)

    @property
    def hosts(self) -> tuple[AccountId, ...]:
        """Primary admin, then co-hosts."""
        return (*((self.admin,) if self.admin is not None else ()), *self.cohosts)
