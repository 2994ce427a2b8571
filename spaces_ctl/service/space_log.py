"""The service's view of the store: a Space's log, the timers that follow from it, and the rows that rules ask for.

Everything is one write unit: events, projections and timers are there together or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from spaces_ctl.commands import SpaceCommand
from spaces_ctl.events import DenySetAttached, Recorded, SpaceEvent
from spaces_ctl.model import AccountId, Actor, SpaceId
from spaces_ctl.policy import Timer, timers
from spaces_ctl.policy.facts import Facts, Needs
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.store import event_log
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Conflict as VersionConflict
from spaces_ctl.store.errors import Unavailable
from spaces_ctl.store.tables.tmp_timers import tmp_timers as tt

__all__ = ["DueTimer", "SpaceLog", "StoreDown", "VersionConflict", "store_errors"]

T = TypeVar("T")


class StoreDown(Exception):
    """The database (or the graph) does not answer."""


class DueTimer(msgspec.Struct, frozen=True, kw_only=True):
    space: SpaceId
    key: str
    due_ms: int
    command: SpaceCommand


@contextmanager
def store_errors() -> Iterator[None]:
    """Everything that means "does not answer" as `StoreDown`."""
    try:
        yield
    except (Unavailable, TimeoutError, OSError) as error:
        raise StoreDown(str(error)) from error
    except ServiceError as error:
        if error.code in ("store.unavailable", "graph.unavailable"):
            raise StoreDown(error.detail) from error
        raise


class SpaceLog:
    """On an open database."""

    def __init__(self, db: Database, limits: Limits, patience_s: float = 5.0) -> None:
        self._db = db
        self._limits = limits
        self._patience_s = patience_s
        self.resume_not_before_ms = 0

    async def tail(self, space: SpaceId, after: int) -> tuple[Recorded, ...]:
        return await self._read(lambda c: event_log.read(c, space, after))

    async def commit(self, before: Space, after: Space, actor: Actor, at_ms: int, events: Sequence[SpaceEvent]) -> tuple[Recorded, ...]:
        old = {t.key: t for t in timers(before, self._limits, not_before_ms=self.resume_not_before_ms)}
        new = {t.key: t for t in timers(after, self._limits, not_before_ms=self.resume_not_before_ms)}

        def write(c: sa.Connection) -> tuple[Recorded, ...]:
            recorded = event_log.append(c, after.id, before.version, events, actor, at_ms)
            for key in old:
                if key not in new or new[key] != old[key]:
                    c.execute(sa.delete(tt).where(tt.c.space == after.id, tt.c.key == key))
            for key, t in new.items():
                if old.get(key) != t:
                    c.execute(sa.insert(tt).values(space=after.id, key=key, due_ms=t.due_ms, command=msgspec.msgpack.encode(t.command), leased_ms=0))
            return recorded

        with store_errors():
            return await self._db.write(write)

    async def facts(self, space: SpaceId, asked: Needs, facts: Facts) -> Facts:
        return facts

    async def ticket_holders(self, space: SpaceId) -> frozenset[AccountId]:
        return frozenset()

    async def live(self) -> list[SpaceId]:
        def q(c: sa.Connection) -> list[SpaceId]:
            t = event_log.space_events
            started = set(c.scalars(sa.select(t.c.space).where(t.c.kind == "Started")))
            ended = set(c.scalars(sa.select(t.c.space).where(t.c.kind == "Ended")))
            return sorted(started - ended)
        return await self._read(q)

    async def deny_owners_ever(self, space: SpaceId) -> frozenset[AccountId]:
        log = await self._read(lambda c: event_log.read(c, space))
        return frozenset(r.event.owner for r in log if isinstance(r.event, DenySetAttached))

    async def set_timers(self, state: Space) -> None:
        want = timers(state, self._limits, not_before_ms=self.resume_not_before_ms)
        def w(c: sa.Connection) -> None:
            c.execute(sa.delete(tt).where(tt.c.space == state.id))
            for t in want:
                c.execute(sa.insert(tt).values(space=state.id, key=t.key, due_ms=t.due_ms, command=msgspec.msgpack.encode(t.command), leased_ms=0))
        with store_errors():
            await self._db.write(w)

    async def next_due_ms(self) -> int | None:
        return await self._read(lambda c: c.scalar(sa.select(sa.func.min(tt.c.due_ms))))

    async def take_due(self, owner: str, now_ms: int, *, lease_ms: int, limit: int) -> list[DueTimer]:
        def w(c: sa.Connection) -> list[DueTimer]:
            rows = c.execute(sa.select(tt).where(tt.c.due_ms <= now_ms, tt.c.leased_ms <= now_ms).limit(limit)).all()
            for r in rows:
                c.execute(sa.update(tt).where(tt.c.space == r.space, tt.c.key == r.key).values(leased_ms=now_ms + lease_ms))
            return [DueTimer(space=r.space, key=r.key, due_ms=r.due_ms, command=msgspec.msgpack.decode(r.command, type=SpaceCommand)) for r in rows]
        with store_errors():
            return await self._db.write(w)

    async def rung(self, timer: DueTimer) -> None:
        with store_errors():
            await self._db.write(lambda c: c.execute(sa.delete(tt).where(tt.c.space == timer.space, tt.c.key == timer.key, tt.c.due_ms == timer.due_ms)) and None)

    async def _read(self, unit: Callable[[sa.Connection], T]) -> T:
        with store_errors():
            async with asyncio.timeout(self._patience_s):
                return await self._db.read(unit)
