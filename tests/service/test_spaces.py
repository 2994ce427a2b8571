"""One command, from the question to the answer."""

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.service.errors import ServiceError
from tests.support.worlds import ANN, HOST, World


async def test_what_is_decided_is_in_the_engine_when_the_answer_comes(world: World) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    assert world.engine.heard(space, ANN)
    outcome = await world.do(HOST, space, c.Mute(account=ANN))
    assert not world.engine.heard(space, ANN)
    assert [type(recorded.event) for recorded in outcome.events] == [e.Muted]
    assert outcome.fence_group is not None
    assert world.bus.published[-1] == outcome.events[0]
    assert (await world.state(space)).version == outcome.space.version


async def test_a_refusal_has_the_policys_code_and_changes_nothing(world: World) -> None:
    space = await world.live()
    before, told = await world.state(space), len(world.engine.applied)
    with pytest.raises(ServiceError) as refused:
        await world.do(ANN, space, c.End())
    assert refused.value.code == "role.forbidden"
    assert await world.state(space) == before
    assert len(world.engine.applied) == told
    with pytest.raises(ServiceError) as unknown:
        await world.do(HOST, 99, c.End())
    assert unknown.value.code == "space.not_found"
