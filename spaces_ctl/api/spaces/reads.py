"""Reading Spaces: the view, people, requests, invitations, attendance, history."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import QueryParameter

from spaces_ctl.api import wire
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import Cursors, CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.views import (
    CountsView,
    InviteView,
    PersonView,
    RequestView,
    SpaceView,
    counts_view,
    invite_view,
    person_view,
    profile_view,
    space_view,
)
from spaces_ctl.model import Role, SpaceId, Status
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.event_audience import visible
from spaces_ctl.service.event_wire import event_data, event_name
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reading import Look, Reading

__all__ = ["HANDLERS"]

Search = Annotated[str | None, QueryParameter(min_length=1, max_length=50, description="Part of a handle or name.")]

_SCANNED = 5
"""Pages of the roster that one search looks through; `next` leads on."""
_SCANNED_PAGE = 1000


class PeoplePage(msgspec.Struct, frozen=True, kw_only=True):
    """People in a Space: the stage first, then named listeners by id."""

    data: list[PersonView]
    next: str | None


class RequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to speak, oldest first."""

    data: list[RequestView]
    next: str | None


class InvitePage(msgspec.Struct, frozen=True, kw_only=True):
    """Open invitations, oldest first."""

    data: list[InviteView]
    next: str | None


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """A look from outside."""

    space: SpaceView
    people: list[PersonView]
    counts: CountsView
    notices: list[str]


class PointView(msgspec.Struct, frozen=True, kw_only=True):
    """The most people in one stretch of time."""

    at: str
    counts: CountsView


class Attendance(msgspec.Struct, frozen=True, kw_only=True):
    """How many came."""

    now: CountsView
    peak: int
    reactions: dict[str, int]
    points: list[PointView]


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    event: str
    version: int
    at: str
    by: str | None
    """Who did it, where that is an account and no block is behind it."""
    data: dict[str, Any]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the Space's log, as hosts may see it."""

    data: list[HistoryEntry]
    next: str | None


async def _hosting(reading: Reading, principal: Principal, space: SpaceId) -> Look:
    """The Space, for its hosts and moderators. Raises ServiceError."""
    look = await reading.look(principal.actor(), space)
    if not _hosts(look, principal):
        raise ServiceError("role.forbidden")
    return look


def _hosts(look: Look, principal: Principal) -> bool:
    return look.role in (Role.HOST, Role.COHOST) or principal.moderator


@get(
    "/spaces/{space:str}",
    operation_id="getSpace",
    summary="A Space",
    tags=["Spaces"],
    responses=problems("space.not_found"),
)
async def get_space(space: SpaceParam, principal: Asker, reading: Injected) -> SpaceView:
    """As the viewer sees it. A lobby is seen by its creator and by those who are invited."""
    return space_view(await reading.look(principal.actor(), read_space(space)), principal.account)


@get(
    "/spaces/{space:str}/peek",
    operation_id="peekSpace",
    summary="A look from outside",
    tags=["Spaces"],
    responses=problems("space.not_found", "state.lobby", "state.ended", "state.canceled"),
)
async def peek_space(space: SpaceParam, principal: Asker, joins: Injected, reading: Injected) -> Peek:
    """The card, some of those who are there, and how many of those who speak the viewer has blocked."""
    key = read_space(space)
    look = await reading.look(principal.actor(), key)
    view = await joins.peek(principal.account, key)
    return Peek(
        space=space_view(look, principal.account),
        people=[person_view(person) for person in view.people],
        counts=counts_view(view.audience),
        notices=list(view.notices),
    )


@get(
    "/spaces/{space:str}/people",
    operation_id="listPeople",
    summary="Who is there",
    tags=["Spaces"],
    responses=problems("space.not_found", "request.cursor"),
)
async def list_people(
    space: SpaceParam,
    principal: Asker,
    joins: Injected,
    reading: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
    q: Search = None,
) -> PeoplePage:
    """The stage, whole, on the first page; then named listeners, `limit` a page. With `q` a page may be short or empty
    although `next` is given: go on.
    """
    key = read_space(space)
    await reading.visible(principal.actor(), key)
    name = f"people:{space}:{q or ''}"
    after = cursors.read(name, cursor, int) or 0
    if q is None:
        page = await joins.roster(principal.account, key, after=after, limit=limit)
        people, following = list(page.people), page.next
    else:
        people, following = await _search(joins, principal, key, q.casefold(), after, limit)
    return PeoplePage(
        data=[person_view(person) for person in people],
        next=None if following is None else cursors.make(name, following),
    )


async def _search(
    joins: Joins, principal: Principal, space: SpaceId, text: str, after: int, limit: int
) -> tuple[list[Any], int | None]:
    found: list[Any] = []
    following: int | None = after
    for _ in range(_SCANNED):
        page = await joins.roster(principal.account, space, after=following or 0, limit=_SCANNED_PAGE)
        following = page.next
        found += [one for one in page.people if text in one.profile.handle or text in one.profile.name.casefold()]
        listeners = [one for one in found if one.seat is None]
        if len(listeners) > limit:
            stage = [one for one in found if one.seat is not None]
            return stage + listeners[:limit], listeners[limit - 1].profile.id
        if following is None:
            break
    return found, following


@get(
    "/spaces/{space:str}/requests",
    operation_id="listRequests",
    summary="Who asks to speak",
    tags=["Spaces"],
    responses=problems("space.not_found", "role.forbidden", "request.cursor"),
)
async def list_requests(
    space: SpaceParam,
    principal: Asker,
    reading: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> RequestPage:
    """The queue, oldest first. For hosts and moderators."""
    look = await _hosting(reading, principal, read_space(space))
    waiting = sorted((since, account) for account, since in look.space.requests.items())
    page, following = _page(cursors, f"requests:{space}", waiting, cursor, limit)
    profiles = await reading.profiles([account for _, account in page])
    data = [
        RequestView(profile=profile_view(profiles[account]), since=wire.timestamp(since))
        for since, account in page
        if account in profiles
    ]
    return RequestPage(data=data, next=following)


@get(
    "/spaces/{space:str}/invites",
    operation_id="listInvites",
    summary="Who is invited",
    tags=["Spaces"],
    responses=problems("space.not_found", "role.forbidden", "request.cursor"),
)
async def list_invites(
    space: SpaceParam,
    principal: Asker,
    reading: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> InvitePage:
    """Open invitations, oldest first. For hosts and moderators."""
    look = await _hosting(reading, principal, read_space(space))
    waiting = sorted((invitation.since_ms, account) for account, invitation in look.space.invites.items())
    page, following = _page(cursors, f"invites:{space}", waiting, cursor, limit)
    profiles = await reading.profiles([account for _, account in page])
    data = [invite_view(profiles[account], look.space.invites[account]) for _, account in page if account in profiles]
    return InvitePage(data=data, next=following)


def _page(
    cursors: Cursors, name: str, rows: list[tuple[int, int]], cursor: str | None, limit: int
) -> tuple[list[tuple[int, int]], str | None]:
    """A page of ascending rows: those after the cursor's."""
    after = cursors.read(name, cursor, tuple[int, int])
    rest = [row for row in rows if after is None or row > tuple(after)]
    page = rest[:limit]
    return page, cursors.make(name, page[-1]) if len(rest) > limit else None


@get(
    "/spaces/{space:str}/attendance",
    operation_id="getAttendance",
    summary="How many came",
    tags=["Spaces"],
    responses=problems("space.not_found", "role.forbidden"),
)
async def get_attendance(
    space: SpaceParam, principal: Asker, reading: Injected, spaces: Injected, analytics: Injected
) -> Attendance:
    """People now, at most, and over time; reactions. For hosts and moderators; `peak`, once it is over, for all."""
    look = await reading.look(principal.actor(), read_space(space))
    if not _hosts(look, principal):
        if look.space.status is not Status.ENDED:
            raise ServiceError("role.forbidden")
        peak = await analytics.peak(look.space.id)
        return Attendance(now=CountsView(named=0, anonymous=0, guests=0), peak=peak, reactions={}, points=[])
    counted = await analytics.counted(look.space.id)
    return Attendance(
        now=counts_view(spaces.counters.audience(look.space.id)),
        peak=0 if counted is None else counted.peak,
        reactions={} if counted is None else counted.reactions,
        points=[
            PointView(at=wire.timestamp(at_ms), counts=CountsView(named=named, anonymous=anonymous, guests=guests))
            for at_ms, named, anonymous, guests in (() if counted is None else counted.points)
        ],
    )


@get(
    "/spaces/{space:str}/history",
    operation_id="getHistory",
    summary="What happened",
    tags=["Spaces"],
    responses=problems("space.not_found", "role.forbidden", "request.cursor"),
)
async def get_history(
    space: SpaceParam,
    principal: Asker,
    reading: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> History:
    """The log from the beginning, as hosts may see it. For hosts and moderators."""
    look = await _hosting(reading, principal, read_space(space))
    name = f"history:{space}"
    after = cursors.read(name, cursor, int) or 0
    rows = await reading.page(look.space.id, after, limit)
    entries = []
    for recorded in rows:
        fields = _shown_to_hosts(recorded.event, look.space)
        if fields is not None:
            hidden = getattr(recorded.event, "how", "") in ("blocked", "blocked_by_new_host")
            by = None if hidden or recorded.actor.account is None else wire.account_text(recorded.actor.account)
            entries.append(
                HistoryEntry(
                    event=event_name(recorded.event),
                    version=recorded.version,
                    at=wire.timestamp(recorded.at_ms),
                    by=by,
                    data=event_data(fields),
                )
            )
    following = cursors.make(name, rows[-1].version) if len(rows) == limit else None
    return History(data=entries, next=following)


def _shown_to_hosts(event: Any, space: Space) -> dict[str, Any] | None:
    seen = visible(event, space, space)
    return seen.whole if space.creator in seen.who or space.admin in seen.who else seen.others


HANDLERS = [
    get_space,
    peek_space,
    list_people,
    list_requests,
    list_invites,
    get_attendance,
    get_history,
]
