"""The engine is a copy of the log: whatever goes wrong on the way, it is told again until it is one."""

from collections.abc import Callable

import pytest

from spaces_ctl import commands as c
from spaces_ctl.engine import Command, EnginePanic, EngineTimeout, SetAcl, SetState, StaleVersion, UpsertSpace
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.programming import EPOCH_SHIFT
from tests.support.worlds import ANN, BEN, HOST, World, matches


def once(wrong: Exception, when: Callable[[Command], bool]) -> Callable[[Command], None]:
    """Raises for the first command that is meant."""
    waiting = [wrong]

    def check(command: Command) -> None:
        if waiting and when(command):
            raise waiting.pop()

    return check


def is_table(command: Command) -> bool:
    return isinstance(command, UpsertSpace)


async def test_a_new_space_is_closed_until_its_sets_are_there(world: World) -> None:
    world.graph.blocks.add((HOST, BEN))
    space = await world.live()
    first, *rest = [command for command in world.engine.applied if not isinstance(command, SetState)]
    assert isinstance(first, UpsertSpace)
    assert not first.live
    opened = next(n for n, command in enumerate(rest) if isinstance(command, UpsertSpace) and command.live)
    assert any(isinstance(command, SetAcl) and command.kind == "deny" for command in rest[:opened])
    assert world.engine.connect(space, BEN, 9) == "participant.blocked_by_host"


async def test_only_what_changed_is_told(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    world.engine.applied.clear()
    await world.do(ANN, space, c.Mute(account=ANN))
    assert [type(command) for command in world.engine.applied] == [UpsertSpace, SetState]
    world.engine.applied.clear()
    await world.do(ANN, space, c.Mute(account=ANN))
    assert world.engine.applied == []


async def test_who_is_put_out_is_out_before_the_stage_changes_and_let_in_after(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    world.engine.applied.clear()
    await world.do(HOST, space, c.Remove(account=ANN))
    assert [type(command) for command in world.engine.applied] == [SetAcl, UpsertSpace, SetState]
    assert [command.kind for command in world.engine.applied if isinstance(command, SetAcl)] == ["bar"]
    assert world.engine.connect(space, ANN, ANN) == "participant.removed"
    await world.do(HOST, space, c.Readmit(account=ANN))
    assert world.engine.connect(space, ANN, ANN) is None


@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_timeout_is_answered_by_telling_everything_again(world: World, side: str) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    setattr(world.engine, side, once(EngineTimeout("no answer"), is_table))
    outcome = await world.do(HOST, space, c.Mute(account=ANN))
    assert outcome.fence_group is not None
    assert not world.engine.heard(space, ANN)
    await matches(world, space)


async def test_an_engine_that_does_not_answer_is_an_error_and_is_told_until_it_does(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)

    def never(command: Command) -> None:
        raise EngineTimeout("no answer")

    world.engine.before = never
    with pytest.raises(ServiceError) as error:
        await world.do(HOST, space, c.Mute(account=ANN))
    assert error.value.code == "engine.unavailable"
    state = await world.state(space)
    seat = state.seat_of(ANN)
    assert seat is not None
    assert seat.muted, "decided and recorded"
    assert world.engine.heard(space, ANN), "and not in force, which the error says"
    assert world.bus.published[-1].version == state.version
    assert world.spaces.programmer.doubtful == {space}
    world.engine.before = lambda command: None
    await world.spaces.refresh(space)
    assert not world.engine.heard(space, ANN)
    assert world.spaces.programmer.doubtful == frozenset()
    await matches(world, space)


async def test_a_panic_is_no_success(world: World) -> None:
    space = await world.live()
    world.engine.before = once(EnginePanic("a bug"), is_table)
    with pytest.raises(ServiceError) as error:
        await world.do(HOST, space, c.SetMicAccess(open=False))
    assert error.value.code == "engine.unavailable"
    await world.do(HOST, space, c.MuteAll())
    await matches(world, space)


async def test_a_late_answer_does_not_leave_the_engine_ahead(world: World) -> None:
    """The engine has a higher version than we gave it for the last thing we know: told again, above it."""
    space = await world.live()
    await world.speaks(space, ANN)
    table = world.engine.spaces[space]
    ahead = (world.epoch << EPOCH_SHIFT) + 1_000_000
    await world.engine.apply(UpsertSpace(space=space, version=ahead, started_at_ms=table.started_at_ms, stage=()))
    await world.do(HOST, space, c.Mute(account=ANN))
    await matches(world, space)


async def test_who_lost_the_lease_does_not_undo_what_the_new_holder_says(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    table = world.engine.spaces[space]
    newer = (world.epoch + 1) << EPOCH_SHIFT
    await world.engine.apply(UpsertSpace(space=space, version=newer, started_at_ms=table.started_at_ms, stage=()))
    with pytest.raises(ServiceError) as error:
        await world.do(HOST, space, c.Mute(account=ANN))
    assert error.value.code == "engine.unavailable"
    assert world.engine.spaces[space].stage == ()
    with pytest.raises(StaleVersion):
        await world.engine.apply(UpsertSpace(space=space, version=newer - 1, started_at_ms=table.started_at_ms))


async def test_an_engine_that_forgot_the_space_gets_it_whole(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    world.engine.forget(space)
    await world.do(HOST, space, c.Mute(account=ANN))
    await matches(world, space)


async def test_what_another_process_committed_is_folded_before_deciding(world: World) -> None:
    """The version conflict of a second writer: refolded and decided anew, by both."""
    space = await world.live()
    await world.speaks(space, ANN)
    other = world.again(engine=world.engine)
    await other.do(HOST, space, c.Revoke(account=ANN))
    with pytest.raises(ServiceError) as error:
        await world.do(ANN, space, c.Unmute())
    assert error.value.code == "role.forbidden"


async def test_votes_and_counts_do_not_cost_a_snapshot_each(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN, BEN)
    await world.do(HOST, space, c.CreatePoll(question="?", options=("a", "b")))
    world.engine.applied.clear()
    await world.do(ANN, space, c.Vote(poll=1, option=0))
    await world.do(BEN, space, c.Vote(poll=1, option=0))
    assert world.engine.applied == []
    assert space in world.spaces.changed_counts()
    await world.spaces.flush_snapshot(space)
    assert [type(command) for command in world.engine.applied] == [SetState]
    assert b'"votes":{"1":[2,0]}' in world.engine.snapshot(space)
    assert world.spaces.changed_counts() == frozenset()
