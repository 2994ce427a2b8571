"""The service's view of the store: Spaces' logs, the timers that follow from them, and rows that rules ask for.

Every method raises `StoreDown` when the database does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa
from msgspec.structs import replace

from spaces_ctl.events import DenySetAttached, Recorded, SpaceEvent
from spaces_ctl.model import AccountId, Actor, SpaceId, Status
from spaces_ctl.policy import timers
from spaces_ctl.policy.facts import Facts, Needs
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.store import event_log, moderation, projections, snapshots, summaries
from spaces_ctl.store import facts as rows
from spaces_ctl.store import timers as timer_store
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Conflict as VersionConflict
from spaces_ctl.store.errors import Unavailable
from spaces_ctl.store.timers import Timer as DueTimer

__all__ = ["DueTimer", "SpaceLog", "StoreDown", "VersionConflict", "store_down_is_unavailable", "store_errors"]

T = TypeVar("T")

_HOUR_MS = 3_600_000

_SNAPSHOT_EVERY = 200
"""Events after which a Space's folded state is kept beside its log."""


class StoreDown(Exception):
    """The database or the graph does not answer."""


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


@contextmanager
def store_down_is_unavailable() -> Iterator[None]:
    """For callers of the service."""
    try:
        yield
    except StoreDown as down:
        raise ServiceError("store.unavailable") from down


class SpaceLog:
    """On an open database."""

    def __init__(self, db: Database, limits: Limits, patience_s: float = 5.0) -> None:
        """`patience_s`: a read that takes longer counts as no answer."""
        self._db = db
        self._limits = limits
        self._patience_s = patience_s
        self.resume_not_before_ms = 0
        """No resume window ends earlier (`policy.timers`): set at boot."""
        self._posts: Callable[[sa.Connection, int], bool] = lambda c, post: True

    def posts_from(self, exists: Callable[[sa.Connection, int], bool]) -> None:
        """Says where posts are looked up; without, every post counts as there (a deployment's own)."""
        self._posts = exists

    async def tail(self, space: SpaceId, after: int) -> tuple[Recorded, ...]:
        """The Space's events after a version."""
        return await self._read(lambda c: event_log.read(c, space, after))

    async def load(self, space: SpaceId) -> Space:
        """The last snapshot, or where folding begins without one."""
        return await self._read(lambda c: snapshots.load(c, space)) or Space(id=space)

    async def commit(
        self, before: Space, after: Space, actor: Actor, at_ms: int, events: Sequence[SpaceEvent]
    ) -> tuple[Recorded, ...]:
        """One unit: events, projections and timers are there together, or not at all.

        Raises VersionConflict if the log is not where `before` is.
        """
        old = {timer.key: timer for timer in self._timers(before)}
        new = {timer.key: timer for timer in self._timers(after)}
        gone = old.keys() - new.keys()
        changed = [timer for key, timer in new.items() if old.get(key) != timer]

        def write(c: sa.Connection) -> tuple[Recorded, ...]:
            # First the log: its lock decides who is first, and a conflict costs nothing more.
            recorded = event_log.append(c, after.id, before.version, events, actor, at_ms)
            projections.apply(c, after, recorded)
            timer_store.delete(c, after.id, gone)
            timer_store.put(c, changed)
            if before.version // _SNAPSHOT_EVERY != after.version // _SNAPSHOT_EVERY:
                snapshots.save(c, after)
            return recorded

        with store_errors():
            return await self._db.write(write)

    async def facts(self, space: SpaceId, asked: Needs, facts: Facts, now_ms: int) -> Facts:
        """`facts`, and what the projections know of what was asked."""

        def look_up(c: sa.Connection) -> Facts:
            found = facts
            if asked.hosting is not None:
                elsewhere = rows.live_elsewhere(c, asked.hosting, space)
                found = replace(found, live_elsewhere=elsewhere, scheduled=rows.scheduled(c, asked.hosting, space))
            if asked.ticket is not None:
                has = rows.has_ticket(c, space, asked.ticket)
                found = replace(found, has_ticket=has, tickets_sold=rows.tickets_sold(c, space))
            if asked.subscribed is not None:
                found = replace(found, subscribed=rows.subscribed(c, space, asked.subscribed))
            if asked.post is not None:
                found = replace(found, post_exists=self._posts(c, asked.post))
            if asked.vote is not None:
                found = replace(found, voted=rows.voted(c, space, *asked.vote))
            if asked.reports is not None:
                lately = moderation.reports_since(c, asked.reports, now_ms - _HOUR_MS)
                found = replace(found, reports_lately=lately)
            if asked.evidence:
                found = replace(found, evidence_needed=moderation.evidence_needed(c, space))
            return found

        return await self._read(look_up)

    async def ticket_holders(self, space: SpaceId) -> frozenset[AccountId]:
        """Who may hear a ticketed Space."""
        return frozenset(await self._read(lambda c: rows.holders(c, space)))

    async def live(self) -> list[SpaceId]:
        """Every live Space."""
        return await self._read(summaries.live_ids)

    async def ended(self, since_ms: int) -> list[SpaceId]:
        """Every Space that ended then or later."""
        return await self._read(lambda c: summaries.ended_ids(c, since_ms))

    async def deny_owners_ever(self, space: SpaceId) -> frozenset[AccountId]:
        """Whose block lists held at any time: an engine that outlived its control loop may still have them."""
        log = await self.tail(space, 0)
        return frozenset(entry.event.owner for entry in log if isinstance(entry.event, DenySetAttached))

    # Timers

    async def set_timers(self, state: Space) -> None:
        """All of a Space's timers anew, with what `resume_not_before_ms` makes of them."""
        wanted = self._timers(state)
        with store_errors():
            await self._db.write(lambda c: timer_store.set_all(c, state.id, wanted))

    async def next_due_ms(self) -> int | None:
        """When the next timer is to be taken."""
        return await self._read(timer_store.next_due)

    async def take_due(self, now_ms: int, *, lease_ms: int, limit: int) -> list[DueTimer]:
        """Timers that are due; for `lease_ms` nobody else gets them."""
        with store_errors():
            return await self._db.write(lambda c: timer_store.take_due(c, now_ms, now_ms + lease_ms, limit))

    async def rung(self, timer: DueTimer) -> None:
        """A timer that was taken is done with."""
        with store_errors():
            await self._db.write(lambda c: timer_store.done(c, timer))

    def _timers(self, state: Space) -> list[DueTimer]:
        if state.status is Status.NEW:
            return []
        found = timers(state, self._limits, not_before_ms=self.resume_not_before_ms)
        return [DueTimer(space=state.id, key=one.key, due_ms=one.due_ms, command=one.command) for one in found]

    async def _read(self, unit: Callable[[sa.Connection], T]) -> T:
        with store_errors():
            async with asyncio.timeout(self._patience_s):
                return await self._db.read(unit)
