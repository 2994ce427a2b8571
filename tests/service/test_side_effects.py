"""Blocks and bans in live Spaces."""

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.engine import EngineTimeout
from spaces_ctl.service.errors import ServiceError
from tests.support.worlds import ANN, BEN, CID, HOST, World, matches, who


async def test_a_host_s_block_puts_out_and_keeps_out_and_an_unblock_lets_in(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    world.graph.blocks.add((HOST, ANN))
    await world.effects.react(e.AccountBlocked(by=HOST, account=ANN), who(HOST))
    assert not world.engine.heard(space, ANN)
    assert world.engine.connect(space, ANN, ANN) == "participant.blocked_by_host"
    await matches(world, space)
    world.graph.blocks.discard((HOST, ANN))
    await world.effects.react(e.AccountUnblocked(by=HOST, account=ANN), who(HOST))
    assert world.engine.connect(space, ANN, ANN) is None
    await matches(world, space)


async def test_a_block_of_somebody_who_is_not_here_reaches_the_engine_without_an_event(world: World) -> None:
    space = await world.live()
    version = (await world.state(space)).version
    world.graph.blocks.add((HOST, CID))
    await world.effects.blocked(who(HOST), CID)
    assert (await world.state(space)).version == version
    assert world.engine.connect(space, CID, CID) == "participant.blocked_by_host"


async def test_a_listener_s_block_removes_nobody(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.enter(space, BEN)
    world.graph.blocks.add((BEN, ANN))
    await world.effects.blocked(who(BEN), ANN)
    assert world.engine.heard(space, ANN)


async def test_a_block_holds_in_every_space_of_the_host(world: World) -> None:
    first = await world.live()
    second = (await world.spaces.create(who(BEN), c.Create())).space.id
    await world.do(BEN, second, c.Start())
    await world.enter(second, HOST, BEN)
    await world.do(BEN, second, c.AddCohost(account=HOST))
    await world.do(HOST, second, c.AcceptCohost())
    world.graph.blocks.add((HOST, ANN))
    await world.effects.blocked(who(HOST), ANN)
    assert [world.engine.connect(space, ANN, ANN) for space in (first, second)] == ["participant.blocked_by_host"] * 2


async def test_a_co_host_s_block_of_the_host_changes_nothing_here(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.do(HOST, space, c.AddCohost(account=ANN))
    await world.do(ANN, space, c.AcceptCohost())
    world.graph.blocks.add((ANN, HOST))
    await world.effects.blocked(who(ANN), HOST)
    assert await world.engine.present(space, [HOST]) == {HOST}
    assert world.engine.connect(space, HOST, HOST) is None


async def test_whoever_becomes_co_host_brings_their_blocks(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN, BEN)
    await world.enter(space, CID)
    world.graph.blocks |= {(ANN, BEN), (ANN, CID)}
    await world.do(HOST, space, c.AddCohost(account=ANN))
    await world.do(ANN, space, c.AcceptCohost())
    assert await world.engine.present(space, [HOST, ANN, BEN, CID]) == {HOST, ANN}
    await matches(world, space)


async def test_a_live_ban_steps_down_everywhere(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    world.graph.ban(ANN)
    await world.effects.react(e.LiveBanned(account=ANN, reason="x"), who(9, moderator=True))
    assert (await world.state(space)).seat_of(ANN) is None
    assert not world.engine.heard(space, ANN)


async def test_an_engine_that_does_not_answer_fails_the_block(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)

    def never(command: object) -> None:
        raise EngineTimeout("no answer")

    world.engine.before = never
    world.graph.blocks.add((HOST, ANN))
    with pytest.raises(ServiceError) as error:
        await world.effects.blocked(who(HOST), ANN)
    assert error.value.code == "engine.unavailable"
    world.engine.before = lambda command: None
    await world.spaces.refresh(space)
    assert not world.engine.heard(space, ANN)


async def test_removed_without_a_bar_is_out_and_may_come_again(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.do(HOST, space, c.Remove(account=ANN, allow_rejoin=True))
    assert await world.engine.present(space, [ANN]) == set()
    assert world.engine.connect(space, ANN, ANN) is None
