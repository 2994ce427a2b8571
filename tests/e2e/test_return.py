"""Drop and return, over real sockets: of the host, of the only co-host, of the control loop, of the database.

The outcomes are those of docs/recovery.md. Time is moved by hand, so that a window of 30 seconds takes none.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from spaces_ctl import commands as c
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import SpaceId, StageRole, Status
from spaces_ctl.policy.state import Space
from tests.support.patience import PATIENCE_S
from tests.support.rooms import Deployment, Ear, a_deployment, speech, talk
from tests.support.worlds import ANN, BEN, HOST, who


async def until(deployment: Deployment, space: SpaceId, holds: Callable[[Space], bool]) -> Space:
    """What the engine told has become so."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds(state := await deployment.state(space)):
            await asyncio.sleep(0.005)
    return state


class People:
    """Connected people of one Space, by account."""

    def __init__(self, deployment: Deployment, space: SpaceId, stack: AsyncExitStack) -> None:
        self.d = deployment
        self.space = space
        self.stack = stack
        self.connections: dict[int, AsyncExitStack] = {}

    async def come(self, *accounts: int) -> None:
        for account in accounts:
            own = AsyncExitStack()
            await own.enter_async_context(self.d.listener(self.space, account))
            self.stack.push_async_callback(own.aclose)
            self.connections[account] = own

    async def go(self, *accounts: int) -> None:
        """The connection ends; nobody says that they leave."""
        for account in accounts:
            await self.connections.pop(account).aclose()

    async def cohost(self, account: int) -> None:
        await self.come(account)
        await self.d.do(HOST, self.space, c.AddCohost(account=account))
        await self.d.do(account, self.space, c.AcceptCohost())


async def a_space(d: Deployment, stack: AsyncExitStack) -> People:
    space = (await d.spaces.create(who(HOST), c.Create())).space.id
    await d.do(HOST, space, c.Start())
    people = People(d, space, stack)
    await people.come(HOST)
    await d.do(HOST, space, c.SetMicAccess(open=True))
    return people


def real_time() -> ManualClock:
    """Begins now, as tokens and groups are of the real time."""
    return ManualClock(time.time_ns() // 1_000_000)


async def test_a_host_who_comes_back_in_time_is_host_and_stays_muted(tmp_path: Path) -> None:
    async with a_deployment(tmp_path, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        await d.do(HOST, people.space, c.Unmute())
        await d.do(HOST, people.space, c.Mute(account=HOST))
        await people.go(HOST)
        away = await until(d, people.space, lambda state: HOST in state.away_until)
        assert away.admin == HOST
        await people.come(HOST)
        back = await until(d, people.space, lambda state: HOST not in state.away_until)
        assert back.admin == HOST
        seat = back.seat_of(HOST)
        assert seat is not None
        assert (seat.role, seat.muted) == (StageRole.HOST, True)
        d.clock.advance(seconds=60)
        await d.timers.ring()
        assert (await d.state(people.space)).admin == HOST


async def test_without_a_host_the_only_cohost_takes_over_and_gives_back(tmp_path: Path) -> None:
    async with a_deployment(tmp_path, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        await people.cohost(ANN)
        await people.go(HOST)
        await until(d, people.space, lambda state: HOST in state.away_until)
        d.clock.advance(ms=d.limits.resume_window_ms)
        assert await d.timers.ring() == 1
        state = await d.state(people.space)
        assert (state.admin, state.status) == (ANN, Status.LIVE)
        await people.come(HOST)
        state = await until(d, people.space, lambda state: state.admin == HOST)
        assert state.cohosts == (ANN,), "the interim admin is co-host again"


async def test_a_cohost_who_stays_away_loses_the_role_and_the_host_goes_on(tmp_path: Path) -> None:
    async with a_deployment(tmp_path, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        await people.cohost(ANN)
        await people.go(ANN)
        await until(d, people.space, lambda state: ANN in state.away_until)
        d.clock.advance(ms=d.limits.resume_window_ms)
        await d.timers.ring()
        state = await d.state(people.space)
        assert (state.admin, state.cohosts) == (HOST, ())
        await people.come(ANN)
        assert (await d.state(people.space)).cohosts == (), "comes back as a listener"


async def test_host_and_only_cohost_gone_the_space_waits_and_ends(tmp_path: Path) -> None:
    async with a_deployment(tmp_path, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        await people.cohost(ANN)
        await people.come(BEN)
        await people.go(HOST, ANN)
        await until(d, people.space, lambda state: {HOST, ANN} <= state.away_until.keys())
        d.clock.advance(ms=d.limits.resume_window_ms)
        await d.timers.ring()
        state = await d.state(people.space)
        assert (state.status, state.admin) == (Status.LIVE, None)
        d.clock.advance(ms=d.limits.orphan_timeout_ms)
        await d.timers.ring()
        assert (await d.state(people.space)).status is Status.ENDED
        assert await d.engine.counts(people.space) is None, "everybody is out"


async def test_a_hostless_space_goes_on_when_its_creator_returns_in_time(tmp_path: Path) -> None:
    async with a_deployment(tmp_path, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        await people.come(BEN)
        await people.go(HOST)
        await until(d, people.space, lambda state: HOST in state.away_until)
        d.clock.advance(ms=d.limits.resume_window_ms)
        await d.timers.ring()
        assert (await d.state(people.space)).admin is None
        await people.come(HOST)
        await until(d, people.space, lambda state: state.admin == HOST)
        d.clock.advance(ms=d.limits.orphan_timeout_ms)
        await d.timers.ring()
        assert (await d.state(people.space)).status is Status.LIVE


async def test_a_connection_that_is_replaced_is_no_loss(tmp_path: Path) -> None:
    async with a_deployment(tmp_path, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        version = (await d.state(people.space)).version
        for _ in range(3):
            await people.come(HOST)
        await people.cohost(ANN)
        state = await until(d, people.space, lambda state: state.cohosts == (ANN,))
        assert HOST not in state.away_until
        log = await d.spaces.log.tail(people.space, version)
        assert {type(recorded.event).__name__ for recorded in log} <= {
            "Joined",
            "Invited",
            "InviteClosed",
            "CohostAdded",
            "DenySetAttached",
        }


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_with_postgresql_stopped_the_talk_goes_on_and_a_mute_holds(
    tmp_path: Path, database_url: str, request: pytest.FixtureRequest
) -> None:
    cluster = request.getfixturevalue("postgres_cluster")
    packets = await speech()
    async with a_deployment(tmp_path, url=database_url, clock=real_time()) as d, AsyncExitStack() as stack:
        people = await a_space(d, stack)
        await d.do(HOST, people.space, c.Unmute())
        await people.go(HOST)
        speaker = await stack.enter_async_context(d.speaker(people.space, HOST, 0))
        talking = asyncio.create_task(talk(speaker, packets))
        ear = Ear(await stack.enter_async_context(d.listener(people.space)))
        await ear.hears(0, 10)
        await until(d, people.space, lambda state: HOST not in state.away_until)
        cluster.kill()
        try:
            await ear.hears(0, 10)
            with pytest.raises(Exception, match=r"store\.unavailable"):
                await d.do(HOST, people.space, c.Edit(title="No"))
            outcome = await d.do(HOST, people.space, c.Mute(account=HOST))
            assert outcome.fence_group is not None
            silent = len(ear.frames)
            await asyncio.sleep(0.2)
            assert all(frame.group <= outcome.fence_group for frame in ear.frames[silent:])
        finally:
            await asyncio.to_thread(cluster.start)
        await d.spaces.settle()
        seat = (await d.state(people.space)).seat_of(HOST)
        assert seat is not None
        assert seat.muted
        again = await d.spaces.log.tail(people.space, 0)
        assert type(again[-1].event).__name__ == "Muted"
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        await ear.aclose()
