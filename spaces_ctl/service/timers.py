"""Gives the commands that are due, from the table of timers.

A command that could not be carried out rings again when its lease is over; one that changed nothing or was refused is
taken away. Every command looks once more whether it is due, so that ringing twice, or on two nodes, does no harm.
"""

from __future__ import annotations

import asyncio
import logging

from spaces_ctl.model import SYSTEM
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.space_log import DueTimer, StoreDown
from spaces_ctl.service.spaces import Spaces

__all__ = ["TimerLoop"]

logger = logging.getLogger(__name__)

_LEASE_MS = 30_000
"""How long a timer that is being rung is nobody else's."""
_BATCH = 100
_LONGEST_S = 60.0
"""Timers of other processes' commits are found at the latest after this."""
_SHORTEST_S = 0.005
_NOT_NOW = frozenset(
    {"store.unavailable", "graph.unavailable", "engine.unavailable", "version.conflict", "evidence.held"}
)


class TimerLoop:
    """One process's. Catches up after downtime by itself: what is overdue is due."""

    def __init__(self, *, spaces: Spaces) -> None:
        """`run` does it."""
        self._spaces = spaces
        self._woken = asyncio.Event()
        spaces.wakes_timers = self._woken.set

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.ring()
                next_ms = await self._spaces.log.next_due_ms()
            except StoreDown:
                logger.warning("timers: the database does not answer")
                next_ms = self._spaces.clock.now_ms() + 1_000
            except Exception:
                logger.exception("timers")
                next_ms = self._spaces.clock.now_ms() + 1_000
            await self._wait(next_ms)

    async def ring(self) -> int:
        """Gives every command that is due now; answers how many. Raises StoreDown."""
        rung = 0
        while due := await self._spaces.log.take_due(self._spaces.clock.now_ms(), lease_ms=_LEASE_MS, limit=_BATCH):
            for timer in due:
                await self._ring(timer)
            rung += len(due)
        return rung

    async def _ring(self, timer: DueTimer) -> None:
        try:
            await self._spaces.execute(SYSTEM, timer.space, timer.command)
        except ServiceError as refused:
            if refused.code in _NOT_NOW:
                return  # the lease runs out and it rings again
            logger.debug("timer %s of %s was not needed: %s", timer.key, timer.space, refused)
        await self._spaces.log.rung(timer)

    async def _wait(self, next_ms: int | None) -> None:
        """Until something is due, or a commit has set a timer that may be earlier."""
        left_s = _LONGEST_S
        if next_ms is not None:
            left_s = min(_LONGEST_S, max(_SHORTEST_S, (next_ms - self._spaces.clock.now_ms()) / 1000))
        try:
            async with asyncio.timeout(left_s):
                await self._woken.wait()
        except TimeoutError:
            pass
