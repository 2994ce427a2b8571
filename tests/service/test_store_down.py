"""The database is down: what protects people is carried out first and goes into the log later; all else is refused."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.model import SpaceId, Status
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.fakes import FakeEngine
from spaces_ctl.service.journal import BlockEntry, Journal, SpaceEntry
from spaces_ctl.service.recovery import boot
from spaces_ctl.store.database import Database
from tests.support.worlds import ANN, BEN, CID, HOST, Flaky, World, matches, who


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = await Journal.open(tmp_path / "journal")
    yield journal
    await journal.aclose()


@pytest.fixture
async def world(database: Database, journal: Journal) -> World:
    return World(Flaky(database), journal=journal)


async def a_talk(world: World) -> SpaceId:
    space = await world.live()
    await world.speaks(space, ANN, BEN)
    return space


def down(world: World) -> None:
    world.db.down = world.graph.down = True


def up(world: World) -> None:
    world.db.down = world.graph.down = False


PROTECTING: list[c.SpaceCommand] = [
    c.Mute(account=ANN),
    c.MuteAll(),
    c.Revoke(account=ANN),
    c.Remove(account=ANN),
    c.SetMicAccess(open=False),
    c.Blocked(account=ANN),
    c.End(),
]


@pytest.mark.parametrize("command", PROTECTING, ids=lambda command: type(command).__name__)
async def test_what_protects_is_in_force_at_once_and_in_the_log_later(world: World, command: c.SpaceCommand) -> None:
    space = await a_talk(world)
    before = await world.state(space)
    down(world)
    outcome = await world.do(HOST, space, command)
    assert outcome.fence_group is not None
    assert not world.engine.heard(space, ANN)
    assert (await world.state(space)).version == outcome.space.version > before.version
    up(world)
    if isinstance(command, c.Blocked):
        world.graph.blocks.add((HOST, ANN))
    assert len(await world.spaces.log.tail(space, before.version)) == 0
    world.clock.advance(seconds=60)
    await world.spaces.settle()
    log = await world.spaces.log.tail(space, before.version)
    assert [recorded.event for recorded in log] == [recorded.event for recorded in outcome.events]
    assert {recorded.at_ms for recorded in log} == {outcome.events[0].at_ms}, (
        "when it happened, not when it was written"
    )
    assert world.journal is not None
    assert world.journal.entries == ()
    assert world.bus.published[-len(log) :] == list(log)
    await matches(world, space)


@pytest.mark.parametrize(
    "command", [c.Unmute(), c.Invite(account=CID), c.SetMicAccess(open=True), c.Edit(title="x"), c.Readmit(account=CID)]
)
async def test_everything_else_is_refused_and_changes_nothing(world: World, command: c.SpaceCommand) -> None:
    space = await a_talk(world)
    told = len(world.engine.applied)
    down(world)
    with pytest.raises(ServiceError) as refused:
        await world.do(HOST, space, command)
    assert refused.value.code == "store.unavailable"
    assert len(world.engine.applied) == told
    assert (await world.state(space)).status is Status.LIVE, "live Spaces go on"


async def test_rules_hold_while_the_database_is_down(world: World) -> None:
    space = await a_talk(world)
    down(world)
    for account, command, code in (
        (ANN, c.Mute(account=BEN), "role.forbidden"),
        (ANN, c.End(), "role.forbidden"),
        (HOST, c.Mute(account=CID), "target.not_on_stage"),
    ):
        with pytest.raises(ServiceError) as refused:
            await world.do(account, space, command)
        assert refused.value.code == code


async def test_several_decisions_go_into_the_log_in_their_order_and_before_new_ones(world: World) -> None:
    space = await a_talk(world)
    before = (await world.state(space)).version
    down(world)
    await world.do(HOST, space, c.Mute(account=ANN))
    await world.do(HOST, space, c.Revoke(account=BEN))
    await world.do(HOST, space, c.SetMicAccess(open=False))
    up(world)
    await world.do(HOST, space, c.Edit(title="After"))
    kinds = [type(recorded.event) for recorded in await world.spaces.log.tail(space, before)]
    assert kinds == [e.Muted, e.SpeakerRemoved, e.SettingChanged, e.Edited]
    await matches(world, space)


async def test_without_a_journal_they_are_refused_too(database: Database) -> None:
    world = World(Flaky(database))
    space = await a_talk(world)
    down(world)
    with pytest.raises(ServiceError) as refused:
        await world.do(HOST, space, c.Mute(account=ANN))
    assert refused.value.code == "store.unavailable"
    assert world.engine.heard(space, ANN)


async def test_a_commit_whose_answer_was_lost_is_not_made_twice(world: World) -> None:
    space = await a_talk(world)
    before = (await world.state(space)).version
    world.db.lose_answers = True
    await world.do(HOST, space, c.Mute(account=ANN))
    world.db.lose_answers = False
    await world.spaces.settle()
    log = await world.spaces.log.tail(space, before)
    assert [type(recorded.event) for recorded in log] == [e.Muted]


async def test_a_refused_command_that_was_committed_all_the_same_reaches_the_engine(world: World) -> None:
    space = await a_talk(world)
    world.db.lose_answers = True
    with pytest.raises(ServiceError):
        await world.do(HOST, space, c.Edit(title="Was it?"))
    world.db.lose_answers = False
    assert world.spaces.programmer.doubtful == {space}
    await world.spaces.refresh(space)
    assert b"Was it?" in world.engine.snapshot(space)


async def test_what_another_process_did_meanwhile_is_respected(world: World) -> None:
    space = await a_talk(world)
    down(world)
    await world.do(HOST, space, c.Revoke(account=ANN))
    up(world)
    other = world.again()
    other.journal = None
    other.spaces._journal = None
    await other.do(HOST, space, c.Edit(title="Elsewhere"))
    await world.spaces.settle()
    state = await world.state(space)
    assert state.title == "Elsewhere"
    assert state.seat_of(ANN) is None, "decided anew on what the log had become"
    await matches(world, space)


async def test_a_block_without_a_database_holds_here_and_reaches_the_graph_later(world: World) -> None:
    space = await a_talk(world)
    down(world)
    assert await world.effects.block_unrecorded(who(HOST), ANN)
    assert not world.engine.heard(space, ANN)
    assert world.engine.connect(space, ANN, 77) == "participant.blocked_by_host"
    assert not await world.effects.block_unrecorded(who(CID), ANN), "nobody's host: nothing to protect here"
    up(world)
    recorded: list[BlockEntry] = []

    async def record(entry: BlockEntry) -> None:
        recorded.append(entry)
        world.graph.blocks.add((entry.by, entry.account))

    await world.effects.record_blocks(record)
    await world.spaces.settle()
    assert [(entry.by, entry.account) for entry in recorded] == [(HOST, ANN)]
    await matches(world, space)


async def test_what_was_journaled_survives_the_process(world: World, tmp_path: Path) -> None:
    space = await a_talk(world)
    down(world)
    await world.do(HOST, space, c.Remove(account=ANN))
    up(world)
    journal = await Journal.open(tmp_path / "journal")
    again = world.again(journal=journal)
    await boot(again.spaces, again.engine)
    state = await again.state(space)
    assert ANN in state.removed
    assert again.engine.connect(space, ANN, ANN) == "participant.removed"
    await matches(again, space)
    assert (tmp_path / "journal").stat().st_size == 0
    await journal.aclose()


WRITES_AND_DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from spaces_ctl import commands as c, events as e
from spaces_ctl.model import Actor
from spaces_ctl.service.journal import Journal, SpaceEntry

async def main():
    journal = await Journal.open(Path(sys.argv[1]))
    event = e.Muted(account=2, how=e.MutedHow.BY_HOST, by=1)
    for n in range(3):
        await journal.append(SpaceEntry(space=5, base=n, at_ms=n, actor=Actor(account=1), command=c.Mute(account=2),
                                        events=(event,)))
    print("answered", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_killed_process_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    command = [sys.executable, "-c", WRITES_AND_DIES, str(file)]
    child = await asyncio.to_thread(lambda: subprocess.run(command, capture_output=True, text=True, check=False))
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, "answered\n"), child.stderr
    with file.open("ab") as tail:
        tail.write(os.urandom(11))  # the record that was being written
    journal = await Journal.open(file)
    assert [entry.base for entry in journal.entries if isinstance(entry, SpaceEntry)] == [0, 1, 2]
    await journal.append(BlockEntry(by=1, account=2, at_ms=9))
    await journal.aclose()
    again = await Journal.open(file)
    assert len(again.entries) == 4, "what was cut off does not hide what follows"
    for entry in again.entries:
        await again.settled(entry)
    assert file.stat().st_size == 0
    await again.aclose()


async def test_timers_and_presence_wait_for_the_database(world: World) -> None:
    space = await a_talk(world)
    down(world)
    await world.lose(space, ANN)
    assert world.presence.missed == {space}
    up(world)
    world.clock.advance(seconds=61)
    await world.presence.reconcile(space)
    assert ANN in (await world.state(space)).away_until
    assert isinstance(world.engine, FakeEngine)
