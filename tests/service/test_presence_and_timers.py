"""What the engine and the clock tell becomes commands."""

import asyncio

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.engine import Counts, Resync
from spaces_ctl.model import SYSTEM, SpaceId, Status
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.fakes import FakeEngine
from spaces_ctl.service.recovery import BOOT_GRACE_MS, boot
from tests.support.patience import PATIENCE_S
from tests.support.worlds import ANN, BEN, HOST, World, matches, who


async def kinds(world: World, space: SpaceId, after: int) -> list[str]:
    return [type(recorded.event).__name__ for recorded in await world.spaces.log.tail(space, after)]


async def test_a_lost_connection_keeps_its_seat_until_the_window_closes(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.lose(space, ANN)
    assert ANN in (await world.state(space)).away_until
    world.clock.advance(ms=world.limits.resume_window_ms - 1)
    assert await world.timers.ring() == 0
    world.clock.advance(ms=1)
    assert await world.timers.ring() == 1
    assert (await world.state(space)).seat_of(ANN) is None
    assert await world.timers.ring() == 0


async def test_who_comes_back_in_time_keeps_the_seat_and_the_timer_is_gone(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.lose(space, ANN)
    await world.enter(space, ANN)
    state = await world.state(space)
    assert (state.away_until, state.seat_of(ANN) is not None) == ({}, True)
    assert await world.spaces.log.next_due_ms() is None


async def test_listeners_and_counts_cost_no_command(world: World) -> None:
    space = await world.live()
    before = await world.state(space)
    for listener in range(100, 200):
        assert world.engine.connect(space, listener, listener) is None
    await world.hear()
    for named in (10, 90, 40):
        await world.presence.take([Counts(0, space, named, 5, 3, named + 8)])
        world.clock.advance(seconds=1)
    assert await world.state(space) == before
    counters = world.spaces.counters.of(space)
    assert (counters.audience.named, counters.peak) == (40, 98)
    assert [point.people for point in counters.points] == [98], "the most of each stretch of time"


async def test_points_over_time_stay_bounded_and_keep_the_peaks(world: World) -> None:
    space = await world.live()
    for second in range(0, 40_000, 10):
        await world.presence.take([Counts(0, space, 1_000 if second == 20_000 else 10, 0, 0, 0)])
        world.clock.advance(seconds=10)
    counters = world.spaces.counters.of(space)
    assert 360 <= len(counters.points) <= 720
    assert max(point.people for point in counters.points) == 1_000
    assert [point.at_ms for point in counters.points] == sorted({point.at_ms for point in counters.points})


async def test_after_lost_events_everybody_is_looked_up(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN, BEN)
    world.clock.advance(seconds=61)
    world.engine.disconnect(space, ANN)
    world.engine.take_events()
    await world.presence.take([Resync(0, 0)])
    assert set((await world.state(space)).away_until) == {ANN}
    assert world.engine.connect(space, ANN, ANN) is None
    world.engine.take_events()
    await world.presence.take([Resync(0, 0)])
    assert (await world.state(space)).away_until == {}


async def test_the_loop_of_timers_wakes_early_and_catches_up(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    running = asyncio.create_task(world.timers.run())
    await asyncio.sleep(0.05)
    await world.lose(space, ANN)
    world.clock.advance(days=3)
    world.spaces.wakes_timers()
    async with asyncio.timeout(PATIENCE_S):
        while (await world.state(space)).seat_of(ANN) is not None:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_timer_that_is_not_needed_any_more_is_taken_away(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.lose(space, ANN)
    world.clock.advance(ms=world.limits.resume_window_ms)
    other = world.again(engine=world.engine)
    assert await world.timers.ring() == 1
    assert await other.timers.ring() == 0
    refused = await world.spaces.execute(SYSTEM, space, c.ResumeExpired(account=ANN))
    assert refused.events == (), "rung twice it does nothing"


async def test_a_restart_demotes_nobody(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.lose(space, ANN)
    world.clock.advance(days=1)  # the process was down meanwhile
    again = world.again()
    await boot(again.spaces, again.engine)
    booted_ms = again.clock.now_ms()
    assert await again.timers.ring() == 0
    assert await again.spaces.log.next_due_ms() == booted_ms + BOOT_GRACE_MS + again.limits.resume_window_ms
    assert (await again.state(space)).seat_of(ANN) is not None
    # Those who were here and have not come back are missed after a minute, and have their window then.
    again.clock.advance(ms=BOOT_GRACE_MS)
    await again.enter(space, ANN)
    await again.presence.reconcile(space)
    state = await again.state(space)
    assert set(state.away_until) == {HOST}
    again.clock.advance(ms=again.limits.resume_window_ms)
    assert await again.timers.ring() == 1
    assert (await again.state(space)).admin is None


async def test_scheduled_spaces_are_given_up_when_nobody_comes(world: World) -> None:
    start_ms = world.clock.now_ms() + 3_600_000
    space = (await world.spaces.create(who(HOST), c.Create(scheduled_start_ms=start_ms))).space.id
    world.clock.advance(ms=3_600_000 + world.limits.no_show_ms)
    assert await world.timers.ring() >= 1
    assert (await world.state(space)).status is Status.CANCELED
    reminded = [
        recorded.event
        for recorded in await world.spaces.log.tail(space, 0)
        if isinstance(recorded.event, e.HostReminded)
    ]
    assert reminded, "what was overdue was caught up with"


async def test_boot_leaves_an_engine_that_outlived_the_loop_its_people(world: World) -> None:
    world.graph.blocks.add((ANN, BEN))
    space = await world.live()
    await world.speaks(space, ANN)
    await world.do(HOST, space, c.AddCohost(account=ANN))
    await world.do(ANN, space, c.AcceptCohost())
    assert world.engine.acls(space)["deny", ANN] == {BEN}
    # The loop dies between the commit that ends ANN's co-hosting and the engine.
    dead = world.again(engine=FakeEngine())
    await dead.spaces.adopt(space)
    dead.engine.connect(space, ANN, ANN)
    await dead.do(HOST, space, c.DropCohost(account=ANN))
    again = world.again(engine=world.engine)
    again.spaces.programmer._epoch += 1
    await boot(again.spaces, world.engine, attached=True)
    assert ("deny", ANN) not in world.engine.acls(space), "a set of an owner who is no host any more is dropped"
    assert await world.engine.present(space, [HOST, ANN]) == {HOST, ANN}
    await matches(again, space)


async def test_reactions_are_counted_and_are_no_events(world: World) -> None:
    space = await world.live()
    await world.enter(space, ANN)
    version = (await world.state(space)).version
    for emoji in ("wave", "joy", "wave"):
        assert (await world.do(ANN, space, c.React(emoji=emoji))).events == ()
    await world.hear()
    assert world.spaces.counters.of(space).reactions == {"wave": 2, "joy": 1, "100": 0, "fist": 0, "peace": 0}
    assert (await world.state(space)).version == version
    for account, emoji, code in ((ANN, "heart", "reaction.unknown"), (BEN, "joy", "role.forbidden")):
        with pytest.raises(ServiceError) as refused:
            await world.do(account, space, c.React(emoji=emoji))
        assert refused.value.code == code
