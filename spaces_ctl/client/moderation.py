"""The moderators' queue, appeals and actions: `client.moderation`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from types import NoneType
from typing import Literal

import msgspec

from spaces_ctl.client.executing import API
from spaces_ctl.client.paging import items
from spaces_ctl.client.transport import Transport

__all__ = [
    "Action",
    "Appeal",
    "CaptionLine",
    "Case",
    "Deletion",
    "Moderation",
    "Read",
    "Report",
    "Review",
    "ReviewTrack",
    "Stretch",
    "WholeCase",
]

_BASE = f"{API}/moderation"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What was reported of one subject."""

    id: int
    space: str
    kind: str
    """`space`, `account` or `clip`."""
    subject: str
    state: str
    """`open`, `claimed` or `resolved`."""
    reporters: int
    opened: datetime
    latest: datetime
    moderator: int | None = None
    outcome: str = ""
    resolved: datetime | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report."""

    by: int
    reason: str
    detail: str = ""
    at: datetime


class WholeCase(msgspec.Struct, frozen=True, kw_only=True):
    """A case with its reports."""

    case: Case
    reports: tuple[Report, ...]


class Appeal(msgspec.Struct, frozen=True, kw_only=True):
    """Against a ban, or a violation in `space`."""

    id: int
    account: int
    space: str | None = None
    text: str
    filed: datetime
    resolved: datetime | None = None
    granted: bool | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the trail."""

    id: int
    of: int
    """The line in which it was asked for."""
    at: datetime
    moderator: int | None = None
    action: str
    case: int | None = None
    space: str | None = None
    account: int | None = None
    why: str = ""
    outcome: str
    """`asked`, `done`, `logged` or the code of the refusal."""


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """Something of a recording that was deleted, or is to be."""

    id: int
    space: str
    what: str
    """`replay`, `clip`, `export`, `source` (the review copy), `spool`, `captions`, `key`."""
    number: int | None = None
    why: str
    state: str
    """`pending`, `done` or `withdrawn`."""
    asked: datetime
    done: datetime | None = None
    tries: int = 0
    """In vain."""
    objects: int = 0
    bytes: int = 0
    error: str = ""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds since the Space's start."""

    from_ms: int
    to_ms: int


class ReviewTrack(msgspec.Struct, frozen=True, kw_only=True):
    """Ogg Opus of a stretch."""

    account: int | None = None
    """None: the mix."""
    spoke_ms: int
    url: str


class CaptionLine(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said."""

    account: int
    from_ms: int
    to_ms: int
    text: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What may be heard until `expires`."""

    read: int
    space: str
    stretch: Stretch
    evidence: Stretch
    """All that the case is about."""
    expires: datetime
    tracks: tuple[ReviewTrack, ...]
    captions: tuple[CaptionLine, ...]


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody listened to what was kept."""

    id: int
    at: datetime
    moderator: int | None = None
    case: int
    space: str
    stretch: Stretch
    why: str
    fetched: int = 0


class Moderation:
    """For moderators; everybody else is refused (Forbidden). Bans and appeals' outcomes: `client.me`."""

    def __init__(self, transport: Transport) -> None:
        """One server, one set of credentials."""
        self._transport = transport

    def cases(
        self, state: Literal["open", "claimed", "resolved"] = "open", *, page_size: int | None = None
    ) -> AsyncIterator[Case]:
        """The queue, oldest first."""
        return items(self._transport, f"{_BASE}/cases", Case, query={"state": state}, page_size=page_size)

    async def case(self, case: int) -> WholeCase:
        """A case and its reports. Raises NotFound."""
        return await self._transport.request("GET", f"{_BASE}/cases/{case}", WholeCase)

    async def claim(self, case: int) -> Case:
        """Takes a case, so that others see that somebody is at it."""
        return await self._transport.request("POST", f"{_BASE}/cases/{case}/claim", Case)

    async def release(self, case: int) -> Case:
        """Gives a case back to the queue."""
        return await self._transport.request("POST", f"{_BASE}/cases/{case}/release", Case)

    async def resolve(self, case: int, outcome: Literal["dismissed", "upheld"], why: str) -> Case:
        """Ends a case; what was held for it is free."""
        body = {"outcome": outcome, "why": why}
        return await self._transport.request("POST", f"{_BASE}/cases/{case}/resolve", Case, body=body)

    async def end(self, space: str, why: str) -> None:
        """Ends a live Space for breaking the rules."""
        await self._transport.request("POST", f"{_BASE}/spaces/{space}/end", NoneType, body={"why": why})

    def trail(
        self, *, space: str | None = None, account: int | None = None, page_size: int | None = None
    ) -> AsyncIterator[Action]:
        """What moderators did, latest first."""
        about = {"space": space, "account": None if account is None else str(account)}
        query = {name: value for name, value in about.items() if value is not None}
        return items(self._transport, f"{_BASE}/trail", Action, query=query, page_size=page_size)

    def appeals(self, *, unresolved: bool = True, page_size: int | None = None) -> AsyncIterator[Appeal]:
        """Appeals, oldest first."""
        query = {"unresolved": unresolved}
        return items(self._transport, f"{_BASE}/appeals", Appeal, query=query, page_size=page_size)

    async def review(self, case: int, why: str, *, from_ms: int | None = None, to_ms: int | None = None) -> Review:
        """Links to what was reported, or to another stretch (15 minutes at most). Who listens, and why, is kept."""
        body = {"why": why, "from_ms": from_ms, "to_ms": to_ms}
        return await self._transport.request("POST", f"{_BASE}/cases/{case}/review", Review, body=body)

    def reviews(self, *, space: str | None = None, page_size: int | None = None) -> AsyncIterator[Read]:
        """Who listened to what, latest first. For operators."""
        query = {} if space is None else {"space": space}
        return items(self._transport, f"{_BASE}/reviews", Read, query=query, page_size=page_size)

    def deletions(
        self,
        *,
        space: str | None = None,
        state: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[Deletion]:
        """What was deleted of recordings, latest first; `state` as in `Deletion`."""
        query = {name: value for name, value in (("space", space), ("state", state)) if value is not None}
        return items(self._transport, f"{_BASE}/deletions", Deletion, query=query, page_size=page_size)
