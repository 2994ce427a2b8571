"""What the API answers, as values: ids of accounts are numbers here, ids of Spaces text, times aware `datetime`s.

What a newer server adds is left out; a newer server's unknown words in `role`, `status` and the like stay text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

__all__ = [
    "Account",
    "Admission",
    "Attendance",
    "Counts",
    "Disclosure",
    "Done",
    "HistoryEntry",
    "Invitation",
    "Invite",
    "Login",
    "Own",
    "Peek",
    "Person",
    "Pinned",
    "Place",
    "Point",
    "Poll",
    "Profile",
    "Replay",
    "Seat",
    "SpaceInfo",
    "SpaceLine",
    "SpeakRequest",
    "Ticketing",
    "You",
]


class _View(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Done(_View, frozen=True, kw_only=True):
    """A command is in force: the engine has applied it before this was answered."""

    space: str
    version: int
    """Of the Space afterwards; the position of its event stream."""
    fence_group: int | None = None
    """No audio of somebody silenced by this lies in a later group. None: the engine had nothing to change."""
    number: int | None = None
    """Of the poll or clip that was made."""


class Profile(_View, frozen=True, kw_only=True):
    """An account as others see it."""

    id: int
    handle: str
    name: str = ""
    picture: str = ""
    protected: bool = False


class Account(_View, frozen=True, kw_only=True):
    """An account as itself sees it."""

    id: int
    handle: str
    name: str = ""
    description: str = ""
    picture: str = ""
    protected: bool = False
    listening_visible: bool = True
    moderator: bool = False
    operator: bool = False
    email: str | None = None
    email_verified: bool = False
    followers: int = 0


class Place(_View, frozen=True, kw_only=True):
    """A live Space in which one is on stage, asks to speak or is invited."""

    space: str
    title: str = ""
    role: str | None = None
    """On stage; None: not there."""
    requested: bool = False
    invited: bool = False


class Own(_View, frozen=True, kw_only=True):
    """Who one is, and where one is wanted now."""

    account: Account
    scopes: tuple[str, ...] = ()
    live: tuple[Place, ...] = ()


class Login(_View, frozen=True, kw_only=True):
    """A session that has begun."""

    account: Account
    session: str
    """Its id, for ending it."""
    token: str
    """Give it to `SpacesClient(url, token=…)`."""
    expires_at: datetime
    """Unless it is used again before."""


class Person(_View, frozen=True, kw_only=True):
    """Somebody in a Space, as one sees them."""

    profile: Profile
    role: str
    seat: int | None = None
    muted: bool = False
    away: bool = False
    blocked: bool = False
    """One blocks them; nobody else is told."""


class Seat(_View, frozen=True, kw_only=True):
    """One seat of the stage."""

    seat: int
    account: int
    role: str
    muted: bool
    muted_by: int | None = None
    """Told to the muted and to the hosts."""
    away: bool = False
    since: datetime | None = None
    blocked: bool = False


class Invitation(_View, frozen=True, kw_only=True):
    """One's own invitation to speak or to co-host."""

    role: str
    by: int | None = None
    since: datetime
    expires: datetime | None = None


class You(_View, frozen=True, kw_only=True):
    """What one is to the Space."""

    role: str
    requested: datetime | None = None
    invited: Invitation | None = None
    may_take_mic: bool = False
    consented: bool = False


class Ticketing(_View, frozen=True, kw_only=True):
    """Price and number of tickets."""

    price_minor: int
    currency: str
    quantity: int
    sold: int = 0


class Poll(_View, frozen=True, kw_only=True):
    """A poll and its counts."""

    poll: int
    question: str
    options: tuple[str, ...]
    votes: tuple[int, ...]
    by: int
    closed: bool


class Pinned(_View, frozen=True, kw_only=True):
    """A pinned post."""

    post: int
    by: int


class Replay(_View, frozen=True, kw_only=True):
    """The public recording."""

    status: str
    duration_ms: int = 0
    start_ms: int = 0


class Disclosure(_View, frozen=True, kw_only=True):
    """What becomes of what is said: to be shown before anybody joins."""

    recorded: bool
    replay_days: int | None = None
    """None: until its creator deletes it."""
    review_days: int | None = None
    """A copy is kept for moderators for so long after the end; None: none is."""
    violation_days: int | None = None
    clips: bool
    captions: bool


class SpaceInfo(_View, frozen=True, kw_only=True):
    """A Space as one sees it."""

    id: str
    version: int
    status: str
    title: str
    description: str = ""
    topics: tuple[str, ...] = ()
    lang: str = ""
    community: int | None = None
    creator: int
    admin: int | None = None
    stage: tuple[Seat, ...] = ()
    speak: str = ""
    requests_open: bool = True
    mic_open: bool = False
    clips: bool = False
    captions: bool = False
    record: bool = False
    recording: bool = False
    ticketing: Ticketing | None = None
    created: datetime
    scheduled_start: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    updated: datetime
    pinned: tuple[Pinned, ...] = ()
    polls: tuple[Poll, ...] = ()
    subscribers: int = 0
    requests: int | None = None
    """Waiting; told to the hosts."""
    replay: Replay
    disclosure: Disclosure
    you: You


class SpaceLine(_View, frozen=True, kw_only=True):
    """A Space in a list."""

    id: str
    status: str
    title: str = ""
    description: str = ""
    topics: tuple[str, ...] = ()
    lang: str = ""
    creator: int
    hosts: tuple[int, ...] = ()
    speakers: tuple[int, ...] = ()
    community: int | None = None
    ticketed: bool = False
    record: bool = False
    replay_available: bool = False
    participants: int = 0
    subscribers: int = 0
    scheduled_start: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None


class Counts(_View, frozen=True, kw_only=True):
    """People connected."""

    named: int
    anonymous: int
    guests: int


class Peek(_View, frozen=True, kw_only=True):
    """A look from outside."""

    space: SpaceInfo
    people: tuple[Person, ...]
    counts: Counts
    notices: tuple[str, ...] = ()


class Admission(_View, frozen=True, kw_only=True):
    """How to connect for the audio: `engine.Listener` and `engine.Speaker` take it."""

    urls: tuple[str, ...]
    certificate_sha256: str | None = None
    """Hex; to be pinned. None if the certificate is one that everybody trusts."""
    token: str
    expires: datetime
    role: str
    seat: int | None = None
    muted: bool = True
    notices: tuple[str, ...] = ()


class SpeakRequest(_View, frozen=True, kw_only=True):
    """A request to speak."""

    profile: Profile
    since: datetime


class Invite(_View, frozen=True, kw_only=True):
    """An open invitation."""

    profile: Profile
    role: str
    by: int | None = None
    since: datetime
    expires: datetime | None = None


class Point(_View, frozen=True, kw_only=True):
    """The most people in one stretch of time."""

    at: datetime
    counts: Counts


class Attendance(_View, frozen=True, kw_only=True):
    """How many came."""

    now: Counts
    peak: int
    reactions: dict[str, int] = {}
    points: tuple[Point, ...] = ()


class HistoryEntry(_View, frozen=True, kw_only=True):
    """Something that happened."""

    event: str
    version: int
    at: datetime
    by: int | None = None
    data: dict[str, Any] = {}
