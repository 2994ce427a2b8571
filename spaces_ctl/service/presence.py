"""What the engine tells becomes commands: who of the stage and the watch list is gone or back; counts and reactions.

A connection that ends is never taken for leaving: a page that is loaded anew closes its connection as properly as one
that is closed. Whoever leaves says so by `Leave`; whoever does not come back within the resume window has left.
Listeners cost nothing here: they are in one `Counts` a second and Space.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from spaces_ctl import commands as c
from spaces_ctl.engine import Counts, EngineError, Event, Joined, Left, Reactions, Resync
from spaces_ctl.model import SYSTEM, AccountId, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import MediaEngine
from spaces_ctl.service.spaces import Spaces

__all__ = ["Presence"]

logger = logging.getLogger(__name__)

_SETTLING_MS = 60_000
"""How long somebody on stage may take until their first connection."""
_NOT_NOW = frozenset({"store.unavailable", "graph.unavailable", "engine.unavailable", "version.conflict"})


class Presence:
    """Follows one engine's events."""

    def __init__(self, *, spaces: Spaces, engine: MediaEngine) -> None:
        """`run` does it."""
        self._spaces = spaces
        self._engine = engine
        self.missed: set[SpaceId] = set()
        """Spaces in which something could not be carried out: `reconcile` makes up for it."""

    async def run(self) -> None:
        """Until the engine is closed or the task is cancelled."""
        async for batch in self._engine.events():
            await self.take(batch)

    async def take(self, batch: Iterable[Event]) -> None:
        """One batch, in order."""
        for event in batch:
            match event:
                case Joined():
                    await self._joined(event.space, event.account)
                case Left():
                    await self._left(event.space, event.account)
                case Counts():
                    self._spaces.counters.count(event)
                case Reactions():
                    names = self._spaces.limits.reactions
                    self._spaces.counters.react(event.space, dict(zip(names, event.counts, strict=False)))
                case Resync():
                    for space in list(self._spaces.live):
                        await self.reconcile(space)
                        if counts := await self._engine.counts(space):
                            self._spaces.counters.count(counts)
                case _:
                    pass  # what seats and recordings do is told by metrics

    async def reconcile(self, space: SpaceId) -> None:
        """Compares who the log says is here with who is connected."""
        state = self._spaces.live.get(space)
        if state is None:
            self.missed.discard(space)
            return
        self.missed.discard(space)
        expected = {*state.here, *state.away_until, state.creator, *(seat.account for seat in state.stage)}
        try:
            present = await self._engine.present(space, expected)
        except EngineError:
            self.missed.add(space)
            return
        for account in sorted(expected):
            if account in present:
                await self._joined(space, account)
            elif self._should_be_here(state, account):
                await self._give(space, c.ConnectionLost(account=account))

    def _should_be_here(self, state: Space, account: AccountId) -> bool:
        if account in state.away_until or account not in state.here:
            return False
        seat = state.seat_of(account)
        since_ms = max(state.started_ms or 0, seat.since_ms if seat is not None else 0)
        return self._spaces.clock.now_ms() - since_ms >= _SETTLING_MS

    async def _joined(self, space: SpaceId, account: AccountId) -> None:
        state = self._spaces.live.get(space)
        if state is None or (account in state.here and account not in state.away_until):
            return
        await self._give(space, c.Resumed(account=account))

    async def _left(self, space: SpaceId, account: AccountId) -> None:
        state = self._spaces.live.get(space)
        if state is None or account in state.away_until:
            return
        try:
            if await self._engine.present(space, [account]):
                return  # a newer connection took the place of the one that ended
        except EngineError:
            self.missed.add(space)
            return
        await self._give(space, c.ConnectionLost(account=account))

    async def _give(self, space: SpaceId, command: c.SpaceCommand) -> None:
        try:
            await self._spaces.execute(SYSTEM, space, command)
        except ServiceError as refused:
            if refused.code in _NOT_NOW:
                self.missed.add(space)
            else:
                logger.debug("not needed: %s: %s", command, refused)
