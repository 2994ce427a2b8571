"""How Spaces in lists, and ids of things around them, look on the wire."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar.params import PathParameter, QueryParameter

from spaces_ctl.api import wire
from spaces_ctl.api.paging import Cursors
from spaces_ctl.model import Status
from spaces_ctl.service.discovery import Found, Summary
from spaces_ctl.service.errors import ServiceError

__all__ = [
    "IdParam",
    "SpaceLine",
    "SpacePage",
    "TopicParam",
    "TopicQuery",
    "before",
    "next_before",
    "read_id",
    "space_line",
    "space_page",
    "time_of",
]

IdParam = Annotated[str, PathParameter(pattern=wire.ACCOUNT_PATTERN, description="An id, decimal.")]
TopicParam = Annotated[str, PathParameter(pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="A topic's id.")]
TopicQuery = Annotated[
    str | None, QueryParameter(pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="Of this topic only.")
]


class SpaceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A Space in a list. `participants`: people inside now; once it is over, the most who were there at once."""

    id: str
    status: Status
    title: str
    description: str
    topics: list[str]
    lang: str
    creator: str
    hosts: list[str]
    speakers: list[str]
    community: str | None
    ticketed: bool
    record: bool
    replay_available: bool
    participants: int
    subscribers: int
    scheduled_start: str | None
    started: str | None
    ended: str | None


class SpacePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of Spaces. Those that the viewer may not see are left out, so it may be shorter than asked."""

    data: list[SpaceLine]
    next: str | None


def time_of(ms: int | None) -> str | None:
    """A time that may not be there."""
    return None if ms is None else wire.timestamp(ms)


def space_line(space: Summary) -> SpaceLine:
    """As lists show it."""
    return SpaceLine(
        id=wire.space_text(space.id),
        status=space.status,
        title=space.title,
        description=space.description,
        topics=list(space.topics),
        lang=space.lang,
        creator=str(space.creator),
        hosts=[str(account) for account in space.hosts],
        speakers=[str(account) for account in space.speakers],
        community=None if space.community is None else str(space.community),
        ticketed=space.ticketing is not None,
        record=space.record,
        replay_available=space.replay_status == "available",
        participants=space.attendance if space.status is Status.ENDED else space.participants,
        subscribers=space.subscribers,
        scheduled_start=time_of(space.scheduled_start_ms),
        started=time_of(space.started_ms),
        ended=time_of(space.ended_ms),
    )


def space_page(found: Found, cursors: Cursors, name: str) -> SpacePage:
    """With the cursor of the list `name`."""
    following = None if found.next is None else cursors.make(name, found.next)
    return SpacePage(data=[space_line(space) for space in found.spaces], next=following)


def read_id(text: str, code: str = "resource.not_found") -> int:
    """The id in a path. Raises ServiceError (`code`)."""
    try:
        return wire.account_id(text)
    except ValueError as error:
        raise ServiceError(code) from error


def before(cursors: Cursors, name: str, cursor: str | None) -> int | None:
    """Where a list by id goes on. Raises ServiceError (`request.cursor`)."""
    position: Any = cursors.read(name, cursor, int)
    return None if position is None else int(position)


def next_before(cursors: Cursors, name: str, ids: list[int], limit: int) -> str | None:
    """The cursor behind a page of `limit`."""
    return cursors.make(name, ids[-1]) if len(ids) == limit else None
