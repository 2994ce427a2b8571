from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.discovery import Discovery, ListeningHints
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.trends import Trends, next_trend
from spaces_ctl.store.database import Database
from spaces_ctl.store.discovery import Topic
from tests.support.graph import FakeGraph
from tests.support.projected import Projected

ME = Principal(account=9)
GUEST = Principal()
OPERATOR = Principal(operator=True)


class Engine:
    """Who is connected by name; counts how often it is asked and for how many."""

    def __init__(self) -> None:
        self.here: dict[SpaceId, set[AccountId]] = {}
        self.asked: list[int] = []

    async def present(self, space: SpaceId, accounts: Iterable[AccountId]) -> set[AccountId]:
        wanted = set(accounts)
        self.asked.append(len(wanted))
        return self.here.get(space, set()) & wanted


@pytest.fixture
def graph() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def projected(db: Database, clock: ManualClock) -> Projected:
    return Projected(db, clock)


@pytest.fixture
def discovery(db: Database, clock: ManualClock, graph: FakeGraph, engine: Engine) -> Discovery:
    return Discovery(db=db, clock=clock, graph=graph, presence=engine, hints=ListeningHints(), most_asked=3)


def speaker(account: AccountId) -> e.SpeakerAdded:
    return e.SpeakerAdded(account=account, seat=1, generation=2, how=e.SeatGainedHow.OPEN)


async def test_the_bar_shows_where_followed_people_host_speak_and_listen(
    discovery: Discovery, projected: Projected, graph: FakeGraph, engine: Engine
) -> None:
    graph.follows = {(9, account) for account in (1, 2, 3, 4)}
    await projected.live(101, creator=1)
    await projected.live(102, creator=50)
    await projected.add(102, speaker(2))
    await projected.live(103, creator=51)
    await projected.live(104, creator=52)
    await projected.add(105, e.Created(creator=3))  # a lobby
    discovery.joined(3, 103, False)
    discovery.joined(4, 104, False)
    discovery.joined(1, 104, False)
    engine.here = {103: {3}, 104: set()}
    bar = await discovery.bar(ME)
    assert [(item.space.id, item.hosting, item.speaking, item.listening) for item in bar] == [
        (101, (1,), (), ()),
        (102, (), (2,), ()),
        (103, (), (), (3,)),
    ]


async def test_listening_that_is_hidden_anonymous_or_over_is_not_shown(
    discovery: Discovery, projected: Projected, graph: FakeGraph, engine: Engine, clock: ManualClock
) -> None:
    graph.follows = {(9, 3), (9, 4), (9, 5)}
    graph.hidden_listening = {3}
    await projected.live(103, creator=51)
    engine.here = {103: {3, 4, 5}}
    discovery.joined(3, 103, False)
    discovery.joined(4, 103, False)
    discovery.joined(4, 103, True)
    assert await discovery.bar(ME) == ()
    assert engine.asked == [], "nobody whose listening shows: the engine is not asked"
    discovery.joined(5, 103, False)
    clock.advance(ms=10_000)
    assert [item.listening for item in await discovery.bar(ME)] == [(5,)]
    graph.hidden_listening = {3, 5}
    clock.advance(ms=10_000)
    assert await discovery.bar(ME) == ()


async def test_speaking_and_hosting_show_whatever_the_visibility_of_listening(
    discovery: Discovery, projected: Projected, graph: FakeGraph
) -> None:
    graph.follows = {(9, 1)}
    graph.hidden_listening = {1}
    graph.protected = {1}
    await projected.live(101, creator=1)
    assert [item.hosting for item in await discovery.bar(ME)] == [(1,)]


async def test_the_work_of_a_bar_is_bounded_and_kept_for_some_seconds(
    discovery: Discovery, projected: Projected, graph: FakeGraph, engine: Engine, clock: ManualClock
) -> None:
    graph.follows = {(9, account) for account in range(100, 140)}
    for number, account in enumerate(range(100, 140)):
        discovery.joined(account, 200 + number % 8, False)
    await discovery.bar(ME)
    assert len(engine.asked) == 3, "at most `most_asked` Spaces, one call each"
    await discovery.bar(ME)
    assert len(engine.asked) == 3
    clock.advance(ms=10_000)
    await discovery.bar(ME)
    assert len(engine.asked) == 6


def test_hints_are_bounded() -> None:
    hints = ListeningHints(most=3)
    for account in range(5):
        hints.saw(account, 7)
    assert hints.of(range(5)) == {7: {2, 3, 4}}


async def test_blocks_hide_spaces_both_ways_and_a_guest_sees_all(
    discovery: Discovery, projected: Projected, graph: FakeGraph
) -> None:
    for space, creator in ((101, 1), (102, 2), (103, 3)):
        await projected.live(space, creator=creator, title="jazz")
    graph.follows = {(9, 1), (9, 2), (9, 3)}
    graph.blocks = {(1, 9), (9, 2)}
    for found in (
        await discovery.live(ME, 10),
        await discovery.trending(ME, 10),
        await discovery.search(ME, "jazz", 10),
    ):
        assert [one.id for one in found.spaces] == [103]
    assert [item.space.id for item in await discovery.bar(ME)] == [103]
    assert len((await discovery.live(GUEST, 10)).spaces) == 3


async def test_tabs_page_through_everything_once(
    discovery: Discovery, projected: Projected, clock: ManualClock
) -> None:
    for number in range(5):
        await projected.live(101 + number, creator=1 + number)
        await projected.scheduled(201 + number, creator=1, at_ms=clock.now_ms() + 1000 * (9 - number))
        clock.advance(ms=1)

    async def all_of(tab: Callable[..., Awaitable[Any]]) -> list[SpaceId]:
        ids: list[SpaceId] = []
        after: tuple[int, int] | None = None
        while True:
            found = await tab(ME, 2, after)
            ids += [one.id for one in found.spaces]
            if (after := found.next) is None:
                return ids

    assert await all_of(discovery.live) == [105, 104, 103, 102, 101]
    assert await all_of(discovery.upcoming) == [205, 204, 203, 202, 201]
    assert await all_of(discovery.trending) == [105, 104, 103, 102, 101]


async def test_search_by_word_and_topic(discovery: Discovery, projected: Projected) -> None:
    await projected.live(101, creator=1, title="Jazz night", topics=("music",))
    await projected.live(102, creator=2, title="Jazz history", topics=("education", "music"))
    assert [one.id for one in (await discovery.search(ME, "jazz", 10)).spaces] == [102, 101]
    assert [one.id for one in (await discovery.search(ME, "jazz", 10, topic="education")).spaces] == [102]
    assert [one.id for one in (await discovery.with_topic(ME, "music", 10)).spaces] == [102, 101]
    assert (await discovery.with_topic(ME, "sports", 10)).spaces == ()


async def test_a_profile_lists_live_scheduled_and_recorded(
    discovery: Discovery, projected: Projected, clock: ManualClock
) -> None:
    await projected.add(
        101,
        e.Created(creator=1, record=True),
        e.Started(record=True),
        e.Ended(how=e.EndedHow.HOST),
        e.ReplayReady(duration_ms=5),
    )
    await projected.live(102, creator=1)
    await projected.scheduled(103, creator=1, at_ms=clock.now_ms() + 1)
    await projected.live(104, creator=2)
    found = await discovery.profile(ME, 1)
    assert [one.id for one in found.live] == [102]
    assert [one.id for one in found.scheduled] == [103]
    assert [one.id for one in found.recorded] == [101]


async def test_the_catalogue_is_seeded_once_and_operators_change_it(discovery: Discovery) -> None:
    await discovery.seed_topics()
    seeded = await discovery.topics()
    assert len(seeded) == 20
    await discovery.put_topic(OPERATOR, Topic(id="jazz", name="Jazz", place=99))
    await discovery.drop_topic(OPERATOR, seeded[0].id)
    await discovery.seed_topics()
    assert [topic.id for topic in await discovery.topics()] == [*(topic.id for topic in seeded[1:]), "jazz"]
    for call, code in (
        (discovery.put_topic(ME, Topic(id="x", name="X")), "role.forbidden"),
        (discovery.drop_topic(OPERATOR, "nothing"), "resource.not_found"),
        (discovery.put_topic(OPERATOR, Topic(id="No Good", name="X")), "request.invalid"),
    ):
        with pytest.raises(ServiceError) as refused:
            await call
        assert refused.value.code == code


def test_the_formula_of_trends_is_what_its_description_says() -> None:
    came = next_trend(None, 1, 100, 0)
    assert came.score == 125_000
    assert next_trend(came, 1, 100, 600_000).score == 75_000
    hour = came
    for minute in range(1, 61):
        hour = next_trend(hour, 1, 100, minute * 60_000)
    assert round(hour.score, -3) == 27_000
    assert next_trend(came, 1, 50, 0).score == 112_500, "who leaves takes nothing of the reach"


async def test_what_grows_trends_before_what_is_merely_large(
    db: Database, discovery: Discovery, projected: Projected, clock: ManualClock
) -> None:
    people = {101: 1000, 102: 10}
    for space in (101, 102, 103):
        await projected.live(space, creator=space)
    looked: list[SpaceId] = []

    def count(space: SpaceId) -> int:
        looked.append(space)
        return people.get(space, 0)

    trends = Trends(db=db, clock=clock, live=lambda: people, people=count)
    for _ in range(90):
        assert await trends.step()
        clock.advance(ms=60_000)
    people[102] = 500
    await trends.step()
    assert [one.id for one in (await discovery.trending(ME, 10)).spaces] == [102, 101, 103]
    assert (await discovery.trending(ME, 1)).spaces[0].participants == 500
    assert not await trends.step(), "once a minute"
    assert len(looked) == 2 * 91, "one look a Space, however many listen"
    await projected.add(102, e.Ended(how=e.EndedHow.HOST))
    del people[102]
    clock.advance(ms=60_000)
    await trends.step()
    assert [one.id for one in (await discovery.trending(ME, 10)).spaces] == [101, 103]
