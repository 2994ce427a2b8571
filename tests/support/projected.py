"""Spaces in the projections of a database: as the service leaves them, by the real `evolve` and `projections.apply`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spaces_ctl import events as e
from spaces_ctl.clock import Clock
from spaces_ctl.events import SpaceEvent
from spaces_ctl.model import SYSTEM, AccountId, SpaceId
from spaces_ctl.policy import evolve
from spaces_ctl.policy.state import Space
from spaces_ctl.store import event_log, projections
from spaces_ctl.store.database import Database

__all__ = ["Projected"]


class Projected:
    """Appends events to the real log and projects them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.states: dict[SpaceId, Space] = {}

    async def add(self, space: SpaceId, *events: SpaceEvent) -> Space:
        now = self._clock.now_ms()
        before = self.states.get(space, Space(id=space))
        state = before
        for event in events:
            state = evolve(state, event, now)

        def write(c: sa.Connection) -> None:
            recorded = event_log.append(c, space, before.version, events, SYSTEM, now)
            projections.apply(c, state, recorded)

        await self._db.write(write)
        self.states[space] = state
        return state

    async def live(self, space: SpaceId, creator: AccountId, title: str = "", **more: Any) -> Space:
        created = e.Created(creator=creator, title=title, **more)
        return await self.add(space, created, e.Started(record=False))

    async def scheduled(self, space: SpaceId, creator: AccountId, at_ms: int, title: str = "") -> Space:
        return await self.add(space, e.Created(creator=creator, title=title, scheduled_start_ms=at_ms))
