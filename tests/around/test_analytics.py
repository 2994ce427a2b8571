from __future__ import annotations

import asyncio
from typing import Any

import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.engine import Counts
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.analytics import Analytics
from spaces_ctl.service.counters import Counters
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import discovery as store
from spaces_ctl.store import summaries
from spaces_ctl.store.database import Database
from tests.support.projected import Projected

HOST = Principal(account=1)


class World:
    """One process's counters over a database that stays."""

    def __init__(self, db: Database, clock: ManualClock, projected: Projected) -> None:
        self.db = db
        self.clock = clock
        self.projected = projected
        self.live: list[SpaceId] = [5]
        self.restart()

    def restart(self) -> None:
        self.counters = Counters(self.clock)
        self.analytics = Analytics(
            db=self.db, clock=self.clock, counters=self.counters, live=lambda: self.live, get=self.get
        )

    async def get(self, space: SpaceId) -> Space:
        return self.projected.states[space]

    def people(self, named: int, guests: int = 0, space: SpaceId = 5) -> None:
        self.counters.count(Counts(at_us=0, space=space, named=named, anonymous=0, guests=guests, peak=named + guests))


@pytest.fixture
async def world(db: Database, clock: ManualClock) -> World:
    clock.advance(ms=-clock.now_ms() % 60_000)
    projected = Projected(db, clock)
    await projected.live(5, creator=1)
    return World(db, clock, projected)


async def test_a_host_sees_listeners_over_time_peak_retention_and_counts(world: World) -> None:
    for named in (10, 40, 20, 10):
        world.people(named, guests=0)
        world.clock.advance(seconds=10)
    world.counters.react(5, {"joy": 3})
    await world.projected.add(5, e.Requested(account=7), e.Subscribed(account=8))
    await world.db.write(lambda c: summaries.add_plays(c, 5, 4))
    report = await world.analytics.report(HOST, 5)
    assert [moment.named for moment in report.moments] == [10, 40, 20, 10]
    assert [moment.held for moment in report.moments] == [1.0, 1.0, 0.5, 0.25]
    assert report.peak == 40
    assert report.listened_ms == 80 * 10_000
    assert report.reactions == {"joy": 3}
    assert (report.requests, report.replay_plays, report.reminders) == (1, 4, 1)


async def test_people_who_stay_are_counted_though_the_engine_tells_changes_only(world: World) -> None:
    world.people(5)
    world.clock.advance(seconds=35)
    world.people(2)
    world.clock.advance(seconds=20)
    report = await world.analytics.report(HOST, 5)
    assert [moment.named for moment in report.moments] == [5, 5, 5, 5, 2, 2]
    assert report.listened_ms == 24 * 10_000
    world.clock.advance(seconds=10)
    await world.analytics.step()
    world.live = []
    world.clock.advance(seconds=60)
    await world.analytics.step()
    report = await world.analytics.report(HOST, 5)
    assert [moment.named for moment in report.moments] == [5, 5, 5, 5, 2, 2, 2], "nobody is there after the end"


async def test_counts_survive_a_restart_and_are_not_counted_twice(world: World) -> None:
    world.people(30)
    world.counters.react(5, {"joy": 2})
    assert await world.analytics.step()
    assert not await world.analytics.step(), "every ten seconds"
    world.clock.advance(seconds=60)
    assert await world.analytics.step()
    world.restart()
    world.clock.advance(seconds=60)
    world.people(10)
    world.counters.react(5, {"joy": 1, "fist": 1})
    await world.analytics.step()
    report = await world.analytics.report(HOST, 5)
    assert [moment.named for moment in report.moments] == [30] * 6 + [10]
    assert report.peak == 30
    assert report.reactions == {"joy": 3, "fist": 1}


async def test_a_space_that_ended_is_stored_at_once_and_leaves_the_memory_later(world: World) -> None:
    world.people(5)
    await world.analytics.step()
    world.people(9)
    world.live = []
    assert await world.analytics.step(), "at once, not when its time has come"
    stored = await world.db.read(lambda c: store.analytics(c, 5))
    assert stored is not None
    assert stored.peak == 9
    assert not await world.analytics.step(), "nothing else has ended"
    # What the engine told of its last second is not lost, and counts once.
    world.counters.react(5, {"joy": 2})
    world.clock.advance(seconds=10)
    assert await world.analytics.step()
    assert world.counters.of(5).points == []
    report = await world.analytics.report(HOST, 5)
    assert (report.peak, report.reactions) == (9, {"joy": 2})


async def test_what_was_counted_is_told_whole_wherever_it_is(world: World) -> None:
    """An ended Space's attendance had no reactions and no points as soon as its counts had been stored."""
    world.people(5)
    world.counters.react(5, {"joy": 2})
    await world.analytics.step()
    world.counters.react(5, {"joy": 1})
    for _ in range(3):
        counted = await world.analytics.counted(5)
        assert counted is not None
        assert (counted.peak, counted.reactions, len(counted.points)) == (5, {"joy": 3}, 1)
        world.live = []
        world.clock.advance(seconds=10)
        await world.analytics.step()
    assert world.counters.of(5).reactions == {}
    world.restart()
    counted = await world.analytics.counted(5)
    assert counted is not None
    assert counted.reactions == {"joy": 3}


async def test_a_reaction_counts_once_though_two_store_at_the_same_time(world: World) -> None:
    world.people(5)
    world.counters.react(5, {"joy": 3})
    await asyncio.gather(world.analytics.step(), *(world.analytics.report(HOST, 5) for _ in range(4)))
    assert (await world.analytics.report(HOST, 5)).reactions == {"joy": 3}


async def test_counts_of_all_live_spaces_are_one_transaction_every_ten_seconds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[object] = []
    write = world.db.write

    async def counted(unit: Any) -> Any:
        writes.append(unit)
        return await write(unit)

    await world.projected.live(6, creator=2)
    monkeypatch.setattr(world.db, "write", counted)
    world.live = [5, 6]

    async def shown() -> list[int]:
        found = await world.db.read(lambda c: summaries.by_ids(c, [5, 6]))
        return [found[5].participants, found[6].participants]

    world.people(3)
    world.people(4, space=6)
    assert await world.analytics.step()
    assert (await shown(), len(writes)) == ([3, 4], 1)
    world.people(8)
    world.clock.advance(seconds=9)
    assert not await world.analytics.step()
    world.clock.advance(seconds=1)
    assert await world.analytics.step()
    assert (await shown(), len(writes)) == ([8, 4], 2)


async def test_a_long_space_keeps_a_bounded_number_of_points(world: World) -> None:
    for _ in range(3):
        for number in range(600):
            world.people(number % 7)
            world.clock.advance(seconds=10)
        await world.analytics.step()
        world.restart()
    report = await world.analytics.report(HOST, 5)
    assert 360 <= len(report.moments) <= 720
    assert report.bucket_ms == 40_000
    assert report.peak == 6


async def test_only_hosts_and_operators_see_it(world: World) -> None:
    for who in (Principal(account=2), Principal()):
        with pytest.raises(ServiceError) as refused:
            await world.analytics.report(who, 5)
        assert refused.value.code == "role.forbidden"
    assert (await world.analytics.report(Principal(operator=True), 5)).moments == ()
