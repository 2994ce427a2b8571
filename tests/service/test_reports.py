"""Reports by the commands' own route: how many somebody may make."""

from itertools import count

import pytest

from spaces_ctl import commands as c
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.moderation import ModerationReaction
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.store import event_log
from spaces_ctl.store.database import Database
from spaces_ctl.store.moderation import READER
from tests.support.worlds import ANN, BEN, HOST, World


@pytest.mark.parametrize("queued", [True, False])
async def test_a_reporter_is_limited_by_the_hour_over_all_spaces(database: Database, queued: bool) -> None:
    world = World(database, limits=Limits(reports_an_hour=3))
    reaction = ModerationReaction(new_id=count(1).__next__)
    reactor = Reactor(READER, reaction, db=database, clock=world.clock, log_after=event_log.read_all)
    ended = await world.live()
    await world.enter(ended, ANN, BEN)
    await world.do(HOST, ended, c.End())
    live = await world.live()
    await world.enter(live, ANN, BEN)
    for space, command in (
        (ended, c.ReportSpace(reason="spam")),
        (live, c.ReportAccount(account=HOST, reason="spam")),
        (live, c.ReportSpace(reason="hate")),
    ):
        await world.do(ANN, space, command)
        if queued:
            await reactor.drain()
        world.clock.advance(seconds=60)
    for space in (ended, live):
        with pytest.raises(ServiceError) as refused:
            await world.do(ANN, space, c.ReportSpace(reason="spam"))
        assert refused.value.code == "rate.limited"
        assert refused.value.retry_after_s
    await world.do(BEN, live, c.ReportSpace(reason="spam"))
    await reactor.drain()
    world.clock.advance(seconds=3_600 - 179)
    await world.do(ANN, live, c.ReportSpace(reason="spam"))
