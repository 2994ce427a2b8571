"""Finding Spaces."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Router, delete, get, put
from litestar.params import JSONBody, QueryParameter

from spaces_ctl.api.around.views import (
    SpaceLine,
    SpacePage,
    TopicParam,
    TopicQuery,
    space_line,
    space_page,
)
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import AccountParam, Asker, Injected, read_account
from spaces_ctl.service.discovery import BarItem, Topic

__all__ = ["router"]

Query = Annotated[
    str, QueryParameter(name="query", min_length=1, max_length=200, description="Words; `*` behind one lets it go on.")
]
Tab = Annotated[Literal["live", "upcoming", "trending"], QueryParameter(description="Which tab.")]
_Place = tuple[int, int]


class BarLine(msgspec.Struct, frozen=True, kw_only=True):
    """A live Space and the people one follows in it."""

    space: SpaceLine
    hosting: list[str]
    speaking: list[str]
    listening: list[str]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Live Spaces of the people one follows."""

    data: list[BarLine]


class TopicView(msgspec.Struct, frozen=True, kw_only=True):
    """A topic."""

    id: str
    name: str
    description: str


class TopicBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a topic is called."""

    name: str
    description: str = ""
    place: int = 0


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """The catalogue."""

    data: list[TopicView]


class AccountSpacesView(msgspec.Struct, frozen=True, kw_only=True):
    """An account's Spaces. `now`: where it hosts, speaks or listens, told to itself and its followers."""

    live: list[SpaceLine]
    scheduled: list[SpaceLine]
    recorded: list[SpaceLine]
    now: list[BarLine]


class Reminded(msgspec.Struct, frozen=True, kw_only=True):
    """Scheduled Spaces of whose start one is told."""

    data: list[SpaceLine]


def _bar_line(item: BarItem) -> BarLine:
    return BarLine(
        space=space_line(item.space),
        hosting=[str(account) for account in item.hosting],
        speaking=[str(account) for account in item.speaking],
        listening=[str(account) for account in item.listening],
    )


@get(
    "/discover/bar",
    operation_id="getBar",
    summary="Live Spaces of the people one follows",
    responses=problems("auth.token_missing"),
)
async def bar(principal: Asker, discovery: Injected) -> Bar:
    """Hosts first, then speakers, then those who let others see what they listen to."""
    return Bar(data=[_bar_line(item) for item in await discovery.bar(principal)])


@get("/discover", operation_id="discoverSpaces", summary="Spaces by tab", responses=problems("request.cursor"))
async def tab(
    principal: Asker,
    discovery: Injected,
    cursors: Injected,
    tab: Tab = "live",
    limit: Limit = 20,
    cursor: CursorText = None,
) -> SpacePage:
    """`live`: the latest first; `upcoming`: the next first; `trending`: what grows first."""
    name = f"discover:{tab}"
    after = cursors.read(name, cursor, _Place)
    read = {"live": discovery.live, "upcoming": discovery.upcoming, "trending": discovery.trending}[tab]
    return space_page(await read(principal, limit, after), cursors, name)


@get(
    "/search/spaces",
    operation_id="findSpaces",
    summary="Spaces by keyword and topic",
    opt={"rate": "search"},
    responses=problems("request.cursor"),
)
async def find(
    principal: Asker,
    discovery: Injected,
    cursors: Injected,
    words: Query,
    topic: TopicQuery = None,
    limit: Limit = 20,
    cursor: CursorText = None,
) -> SpacePage:
    """In title, description, topics and hosts' names; the newest first."""
    after = cursors.read("search", cursor, _Place)
    return space_page(await discovery.search(principal, words, limit, after, topic), cursors, "search")


@get("/topics", operation_id="listTopics", summary="The catalogue of topics")
async def topics(discovery: Injected) -> Topics:
    """Ids, names, descriptions."""
    found = await discovery.topics()
    return Topics(data=[TopicView(id=one.id, name=one.name, description=one.description) for one in found])


@put(
    "/topics/{topic:str}",
    operation_id="putTopic",
    summary="Adds or changes a topic",
    status_code=204,
    responses=problems("role.forbidden"),
)
async def put_topic(topic: TopicParam, data: JSONBody[TopicBody], principal: Asker, discovery: Injected) -> None:
    """Operators only."""
    new = Topic(id=topic, name=data.name, description=data.description, place=data.place)
    await discovery.put_topic(principal, new)


@delete(
    "/topics/{topic:str}",
    operation_id="deleteTopic",
    summary="Takes a topic out",
    responses=problems("role.forbidden", "resource.not_found"),
)
async def drop_topic(topic: TopicParam, principal: Asker, discovery: Injected) -> None:
    """Operators only. Spaces keep its id."""
    await discovery.drop_topic(principal, topic)


@get(
    "/topics/{topic:str}/spaces",
    operation_id="listTopicSpaces",
    summary="Spaces of a topic",
    responses=problems("request.cursor"),
)
async def of_topic(
    topic: TopicParam,
    principal: Asker,
    discovery: Injected,
    cursors: Injected,
    limit: Limit = 20,
    cursor: CursorText = None,
) -> SpacePage:
    """Live and scheduled, the newest first."""
    name = f"topic:{topic}"
    after = cursors.read(name, cursor, _Place)
    return space_page(await discovery.with_topic(principal, topic, limit, after), cursors, name)


@get(
    "/accounts/{account:str}/spaces",
    operation_id="listAccountSpaces",
    summary="An account's Spaces",
    responses=problems("account.not_found"),
)
async def of_account(account: AccountParam, principal: Asker, discovery: Injected) -> AccountSpacesView:
    """Live, scheduled and recorded."""
    found = await discovery.profile(principal, read_account(account))
    return AccountSpacesView(
        live=[space_line(space) for space in found.live],
        scheduled=[space_line(space) for space in found.scheduled],
        recorded=[space_line(space) for space in found.recorded],
        now=[_bar_line(item) for item in found.now],
    )


@get(
    "/me/reminders",
    operation_id="listReminders",
    summary="Spaces of whose start one is told",
    responses=problems("auth.token_missing"),
)
async def own_reminders(principal: Asker, reminders: Injected) -> Reminded:
    """The next one first."""
    return Reminded(data=[space_line(space) for space in await reminders.mine(principal)])


router = Router(
    path="",
    route_handlers=[bar, tab, find, topics, put_topic, drop_topic, of_topic, of_account, own_reminders],
    tags=["Discovery"],
)
