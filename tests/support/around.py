"""Fakes for what is around a Space: an event log in memory, Spaces folded by hand, a bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.commands import SpaceCommand
from spaces_ctl.events import Recorded, SpaceEvent, TicketBought, TicketRefunded
from spaces_ctl.model import SYSTEM, AccountId, Actor, SpaceId
from spaces_ctl.policy import AccountFacts, Denied, Facts, Limits, Needs, decide, evolve, needs
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError


class FakeLog:
    """Recorded events by sequence, and the Spaces that tests put beside them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.events: list[Recorded] = []
        self.spaces: dict[SpaceId, Space] = {}

    def add(self, space: SpaceId, event: SpaceEvent, actor: Actor = SYSTEM) -> Recorded:
        version = 1 + sum(recorded.space == space for recorded in self.events)
        # With a gap each: sequences have them.
        recorded = Recorded(
            space=space,
            version=version,
            sequence=2 * len(self.events) + 1,
            at_ms=self._clock.now_ms(),
            actor=actor,
            event=event,
        )
        self.events.append(recorded)
        return recorded

    def after(self, c: sa.Connection, sequence: int, limit: int) -> Sequence[Recorded]:
        return [recorded for recorded in self.events if recorded.sequence > sequence][:limit]

    async def get(self, space: SpaceId) -> Space:
        if space not in self.spaces:
            raise ServiceError("space.not_found")
        return self.spaces[space]


class FakeSpaces:
    """Commands decided by the real rules on Spaces in memory; `facts` is what tests say of the world."""

    def __init__(self, log: FakeLog, clock: Clock, limits: Limits | None = None) -> None:
        self._log = log
        self._clock = clock
        self._limits = limits or Limits()
        self.facts = Facts()
        self.fails: ServiceError | None = None
        self.after: Callable[[], None] = lambda: None

    def put(self, space: Space) -> None:
        self._log.spaces[space.id] = space

    async def get(self, space: SpaceId) -> Space:
        return await self._log.get(space)

    async def execute(self, actor: Actor, space: SpaceId, command: SpaceCommand) -> Space:
        if self.fails is not None:
            raise self.fails
        state = await self.get(space)
        tickets = self._tickets(space)
        wanted = needs(state, command, actor, self._limits)
        facts = msgspec.structs.replace(
            self.facts, has_ticket=wanted.ticket in tickets, tickets_sold=len(tickets), accounts=self._everybody(wanted)
        )
        decided = decide(state, command, actor, facts, self._limits, self._clock.now_ms())
        if isinstance(decided, Denied):
            raise ServiceError(decided.code, decided.detail)
        for event in decided:
            self._log.add(space, event, actor)
            state = evolve(state, event, self._clock.now_ms())
        self.put(state)
        self.after()
        return state

    def _everybody(self, wanted: Needs) -> dict[AccountId, AccountFacts]:
        return {account: self.facts.accounts.get(account, AccountFacts()) for account in wanted.accounts}

    def _tickets(self, space: SpaceId) -> set[AccountId]:
        held: set[AccountId] = set()
        for recorded in self._log.events:
            if recorded.space == space and isinstance(recorded.event, TicketBought):
                held.add(recorded.event.account)
            elif recorded.space == space and isinstance(recorded.event, TicketRefunded):
                held.discard(recorded.event.account)
        return held


class FakeBus:
    """Hands what is published to all who listen."""

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue[Recorded | None]] = []

    async def publish(self, events: Sequence[Recorded]) -> None:
        for queue in self._queues:
            for recorded in events:
                queue.put_nowait(recorded)

    def end_all(self) -> None:
        """As for subscribers that were too slow."""
        for queue in self._queues:
            queue.put_nowait(None)

    @asynccontextmanager
    async def subscribe(self, space: SpaceId | None = None) -> AsyncIterator[AsyncIterator[Recorded]]:
        queue: asyncio.Queue[Recorded | None] = asyncio.Queue()
        self._queues.append(queue)
        try:
            yield self._read(queue)
        finally:
            self._queues.remove(queue)

    async def _read(self, queue: asyncio.Queue[Recorded | None]) -> AsyncIterator[Recorded]:
        while (recorded := await queue.get()) is not None:
            yield recorded
