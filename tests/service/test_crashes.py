"""Random commands, and a crash at any step: between commit and engine, between two commands to the engine, after it.

Whatever died (the process with its engine, or the control loop alone), after recovery the engine holds exactly what the
log says, and the log holds every command that was answered.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces_ctl import commands as c
from spaces_ctl.engine import Command, EngineTimeout
from spaces_ctl.model import SpaceId, Status
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.fakes import FakeEngine
from spaces_ctl.service.recovery import boot
from spaces_ctl.store.database import Database
from tests.support.databases import sqlite_with_tables
from tests.support.worlds import ANN, BEN, CID, HOST, World, matches, who

PEOPLE = (1, 2, 3, 4, 5)


class Crash(BaseException):
    """The end of a process, or of its control loop."""


targeted = st.sampled_from(
    [c.Invite, c.Mute, c.Revoke, c.AddCohost, c.DropCohost, c.Transfer, c.Remove, c.Readmit, c.Approve, c.Blocked]
)
plain = st.sampled_from(
    [
        c.TakeMic(),
        c.Unmute(),
        c.MuteAll(),
        c.AcceptCohost(),
        c.StepDown(),
        c.Request(),
        c.Leave(),
        c.SetMicAccess(open=True),
        c.SetMicAccess(open=False),
        c.Edit(title="Other"),
        c.End(),
    ]
)
people = st.sampled_from(PEOPLE)
commands = st.one_of(plain, st.builds(lambda make, account: make(account=account), targeted, people))
troubles = st.sampled_from(["none"] * 6 + ["committed", "told", "timeout", "published"])
steps = st.lists(st.tuples(people, commands, troubles, st.integers(0, 3), st.booleans()), min_size=5, max_size=40)


class Run:
    """One life after another."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.world = World(db)
        self.space: SpaceId = 0
        self.answered = 0
        """The version that was last answered."""
        self.crashes = 0

    async def begin(self) -> None:
        self.space = await self.world.live()
        await self.world.enter(self.space, *PEOPLE[1:])
        for account in (2, 3):
            await self.world.do(HOST, self.space, c.Invite(account=account))
            await self.world.do(account, self.space, c.TakeMic())

    async def step(self, account: int, command: c.SpaceCommand, trouble: str, nth: int, engine_dies: bool) -> None:
        if isinstance(command, c.Blocked):
            self.world.graph.blocks.add((account, command.account))
        self.arm(trouble, nth)
        try:
            outcome = await self.world.spaces.execute(who(account), self.space, command)
            self.answered = outcome.space.version
        except ServiceError:
            pass
        except Crash:
            await self.recover(engine_dies)
        self.disarm()
        await self.world.hear()

    def arm(self, trouble: str, nth: int) -> None:
        """Something goes wrong at the `nth` occasion."""
        left = [nth]

        def bang(command: Command) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise EngineTimeout("no answer") if trouble == "timeout" else Crash

        log, bus = self.world.spaces.log, self.world.bus
        if trouble == "committed":
            commit = log.commit

            async def commit_and_die(*args: Any) -> None:
                await commit(*args)
                raise Crash

            log.commit = commit_and_die  # type: ignore[method-assign,assignment]  # until `disarm`
        elif trouble in ("told", "timeout"):
            self.world.engine.after = bang
        elif trouble == "published":

            async def die(events: object) -> None:
                raise Crash

            bus.publish = die  # type: ignore[method-assign]  # until `disarm`

    def disarm(self) -> None:
        self.world.engine.after = lambda command: None
        for owner, name in ((self.world.spaces.log, "commit"), (self.world.bus, "publish")):
            vars(owner).pop(name, None)

    async def recover(self, engine_dies: bool) -> None:
        self.crashes += 1
        self.disarm()
        there = {sid for sid in PEOPLE if await self.world.engine.present(self.space, [sid])}
        engine = FakeEngine() if engine_dies else self.world.engine
        self.world = self.world.again(engine=engine)
        await boot(self.world.spaces, engine, attached=not engine_dies)
        await self.check()
        if engine_dies:
            for account in there:
                engine.connect(self.space, account, account)
        await self.world.hear()

    async def check(self) -> None:
        await matches(self.world, self.space)
        assert (await self.world.state(self.space)).version >= self.answered, "what was answered is in the log"

    async def finish(self) -> None:
        for space in self.world.spaces.programmer.doubtful:
            await self.world.spaces.refresh(space)
        state = await self.world.state(self.space)
        if state.status is Status.LIVE:
            await self.check()
        else:
            assert self.space not in self.world.engine.spaces


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plan=steps)
def test_after_any_crash_the_engine_is_what_the_log_says(
    tmp_path: Path, plan: list[tuple[int, c.SpaceCommand, str, int, bool]]
) -> None:
    async def main() -> None:
        for old in tmp_path.glob("crashes.db*"):
            old.unlink()
        db = await Database.open(await sqlite_with_tables(tmp_path / "crashes.db"), synchronous="normal")
        try:
            run = Run(db)
            await run.begin()
            for step in plan:
                await run.step(*step)
            await run.finish()
        finally:
            await db.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("died", ["commit", "tables"])
@pytest.mark.parametrize("minutes", [0, 60])
async def test_who_was_removed_is_out_after_the_loop_died_before_the_kick(
    world: World, monkeypatch: pytest.MonkeyPatch, died: str, minutes: int
) -> None:
    """Nobody who may rejoin is in a set that would close their sessions."""
    space = await world.live()
    await world.speaks(space, ANN)
    await world.enter(space, BEN, CID)
    await world.do(HOST, space, c.Remove(account=CID, allow_rejoin=True))
    await world.enter(space, CID)
    await world.do(HOST, space, c.Invite(account=CID))
    await world.do(CID, space, c.TakeMic())
    run = Run(world.db)
    run.world = world
    if died == "commit":
        run.arm("committed", 1)
    else:
        monkeypatch.setattr(world.engine, "kick", dying)
    for account in (ANN, BEN) if died == "tables" else (BEN,):
        with pytest.raises(Crash):
            await world.do(HOST, space, c.Remove(account=account, allow_rejoin=True))
    run.disarm()
    monkeypatch.undo()
    assert await world.engine.present(space, [BEN]), "the engine has not heard of it"
    world.clock.advance(seconds=60 * minutes)
    again = world.again(engine=world.engine)
    await boot(again.spaces, again.engine, attached=True)
    assert not await again.engine.present(space, [BEN])
    assert bool(await again.engine.present(space, [ANN])) is (died == "commit")
    assert await again.engine.present(space, [CID]), "came back since"
    await again.enter(space, BEN)
    assert await again.engine.present(space, [BEN]), "may rejoin"


@pytest.mark.parametrize("answers", [True, False])
async def test_a_space_that_ended_is_closed_after_the_loop_died_before_the_engine_was_told(
    world: World, answers: bool
) -> None:
    over, on = await world.live(), (await world.spaces.create(who(BEN), c.Create())).space.id
    await world.do(BEN, on, c.Start())
    await world.enter(over, ANN)
    await world.enter(on, ANN)
    run = Run(world.db)
    run.world = world
    run.arm("committed", 1)
    with pytest.raises(Crash):
        await world.do(HOST, over, c.End())
    run.disarm()
    assert await world.engine.present(over, [ANN]), "the engine has not heard of it"
    again = world.again(engine=world.engine)
    if not answers:
        first = iter([EngineTimeout("no answer")])

        def once(command: Command) -> None:
            for error in first:
                raise error

        world.engine.before = once
    await boot(again.spaces, again.engine, attached=True)
    assert over not in again.engine.spaces
    assert not await again.engine.present(over, [ANN])
    assert await again.engine.present(on, [ANN])


async def dying(space: SpaceId, account: int) -> None:
    raise Crash


async def test_a_kick_that_the_engine_did_not_confirm_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = await world.live()
    await world.enter(space, BEN)

    async def silent(space: SpaceId, account: int) -> None:
        raise EngineTimeout("no answer")

    monkeypatch.setattr(world.engine, "kick", silent)
    with pytest.raises(ServiceError) as refused:
        await world.do(HOST, space, c.Remove(account=BEN, allow_rejoin=True))
    assert refused.value.code == "engine.unavailable"
    assert space in world.spaces.programmer.doubtful
    monkeypatch.undo()
    await world.spaces.refresh(space)
    assert not await world.engine.present(space, [BEN])
    assert world.spaces.programmer.doubtful == frozenset()
