"""What is tried again until it is done; which process may tell the engine; what becomes of recordings."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.engine import Counts, EngineTimeout, UpsertSpace
from spaces_ctl.policy.state import ReplayStatus
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.fakes import FakeRecordings
from spaces_ctl.service.journal import BlockEntry, Journal
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.node_lease import NodeLease
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.upkeep import Upkeep, Watchdog
from spaces_ctl.store import event_log
from spaces_ctl.store.database import Database
from tests.support.worlds import ANN, HOST, Flaky, World, matches, who


def upkeep_of(world: World, watchdog: Watchdog, **more: Any) -> Upkeep:
    async def record(entry: BlockEntry) -> None:
        await world.graph.apply(e.AccountBlocked(by=entry.by, account=entry.account), who(entry.by), entry.at_ms)

    return Upkeep(
        spaces=world.spaces,
        presence=world.presence,
        effects=world.effects,
        record_block=record,
        watchdog=watchdog,
        **more,
    )


async def test_a_round_mends_engine_journal_and_presence(database: Database, tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal")
    try:
        await mends(World(Flaky(database), journal=journal), journal)
    finally:
        await journal.aclose()


async def mends(world: World, journal: Journal) -> None:
    watchdog = Watchdog()
    upkeep = upkeep_of(world, watchdog)
    space = await world.live()
    await world.speaks(space, ANN)
    world.db.down = world.graph.down = True
    await world.do(HOST, space, c.Mute(account=ANN))
    await world.effects.block_unrecorded(who(HOST), 77)
    await world.lose(space, ANN)
    await upkeep.round()
    assert watchdog.failures >= 1
    assert len(journal.entries) == 2, "a mute and a block"
    world.db.down = world.graph.down = False

    def never(command: object) -> None:
        raise EngineTimeout("no answer")

    world.engine.before = never
    await upkeep.round()
    world.engine.before = lambda command: None
    world.clock.advance(seconds=61)
    await upkeep.round()
    await upkeep.round()
    assert not journal.entries
    assert (HOST, 77) in world.graph.blocks
    assert ANN in (await world.state(space)).away_until
    assert world.spaces.programmer.doubtful == frozenset()
    await matches(world, space)
    assert watchdog.rounds == 4
    assert watchdog.last_ms == world.clock.now_ms()


async def test_what_is_over_is_forgotten_once_an_hour_and_tried_again_if_it_fails(world: World) -> None:
    calls: list[str] = []
    fails = True

    async def first() -> None:
        calls.append("first")

    async def second() -> None:
        if fails:
            raise ServiceError("store.unavailable")
        calls.append("second")

    watchdog = Watchdog()
    upkeep = upkeep_of(world, watchdog, forget=(first, second))
    await upkeep.round()
    assert (calls, watchdog.failures) == (["first"], 1)
    fails = False
    await upkeep.round()
    assert calls == ["first", "first", "second"]
    world.clock.advance(seconds=3_599)
    await upkeep.round()
    assert len(calls) == 3
    world.clock.advance(seconds=1)
    await upkeep.round()
    assert calls[3:] == ["first", "second"]


async def test_one_process_at_a_time_and_each_life_a_greater_epoch(database: Database) -> None:
    world = World(database)
    one = NodeLease(db=database, clock=world.clock, node="one")
    two = NodeLease(db=database, clock=world.clock, node="two")
    first = await one.take()
    with pytest.raises(ServiceError) as refused:
        await two.take()
    assert refused.value.code == "node.capacity"
    assert refused.value.retry_after_s is not None
    again = await NodeLease(db=database, clock=world.clock, node="one").take()
    assert again > first, "a new life of the same node begins at once, as a new holder"
    world.clock.advance(seconds=20)
    await one.renew()
    world.clock.advance(seconds=20)
    with pytest.raises(ServiceError):
        await two.take()
    world.clock.advance(seconds=31)
    assert await two.take() > again
    with pytest.raises(ServiceError, match="taken over"):
        await one.renew()


async def test_a_recording_becomes_a_replay_and_clips_follow_the_log(world: World) -> None:
    recordings = FakeRecordings(duration_ms=5_000)
    reactor = Reactor(
        "media",
        MediaReaction(spaces=world.spaces, recordings=recordings, clock=world.clock),
        db=world.db,
        clock=world.clock,
        log_after=event_log.read_all,
    )
    space = await world.live(record=True)
    world.clock.advance(seconds=60)
    await world.do(HOST, space, c.Clip(end_ms=40_000))
    await world.do(HOST, space, c.End())
    await reactor.drain()
    state = await world.state(space)
    assert (state.replay.status, state.replay.duration_ms) == (ReplayStatus.AVAILABLE, 5_000)
    assert [name for name, _, _ in recordings.calls] == ["cut", "finalize", "complete"]
    unrecorded = await world.live()
    await reactor.drain()
    await world.do(HOST, unrecorded, c.End())
    await reactor.drain()
    of_it = [name for name, space, _ in recordings.calls if space == unrecorded]
    assert of_it == ["follow", "finalize"], "what was kept for review is completed, too"
    assert (await world.state(unrecorded)).replay.status is ReplayStatus.NONE


async def test_a_large_audience_is_told_to_hear_the_mix_and_a_small_one_the_stage(world: World) -> None:
    upkeep = upkeep_of(world, Watchdog())
    space = await world.live()
    world.spaces.limits = msgspec.structs.replace(world.spaces.limits, mix_above=100, mix_hold_ms=30_000)

    async def told_with(people: int, seconds: int) -> str:
        await world.presence.take([Counts(0, space, people, 0, 0, people)])
        for _ in range(seconds):
            world.clock.advance(seconds=1)
            await upkeep.round()
        return world.engine.spaces[space].mix_for

    assert await told_with(100, 2) == "weak"
    assert await told_with(101, 1) == "everybody"
    assert await told_with(71, 60) == "everybody"
    assert await told_with(70, 30) == "everybody"
    commands = len(world.engine.applied)
    assert await told_with(70, 1) == "weak"
    assert [type(command) for command in world.engine.applied[commands:]].count(UpsertSpace) == 1
    await world.do(HOST, space, c.SetMicAccess(open=False))
    assert world.engine.spaces[space].mix_for == "weak"
