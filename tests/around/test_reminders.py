from __future__ import annotations

import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reminders import Reminders
from spaces_ctl.store.database import Database
from tests.support.around import FakeLog, FakeSpaces
from tests.support.projected import Projected

ME = Principal(account=9)


async def test_reminders_are_listed_until_the_space_starts(db: Database, clock: ManualClock, log: FakeLog) -> None:
    projected = Projected(db, clock)
    for space, minutes in ((5, 20), (6, 10)):
        await projected.scheduled(space, creator=1, at_ms=clock.now_ms() + minutes * 60_000)
    spaces = FakeSpaces(log, clock)
    for state in projected.states.values():
        spaces.put(state)
    reminders = Reminders(db=db, execute=spaces.execute)
    for space in (5, 6):
        await reminders.set(ME, space)
        await projected.add(space, log.events[-1].event)
    assert [one.id for one in await reminders.mine(ME)] == [6, 5]
    assert await reminders.subscribers(5, 0, 10) == [9]
    assert await reminders.subscribers(5, 9, 10) == []
    await projected.add(6, e.Started(record=False))
    assert [one.id for one in await reminders.mine(ME)] == [5]
    with pytest.raises(ServiceError) as refused:
        await reminders.set(Principal(), 5)
    assert refused.value.code == "role.forbidden"
