"""A clock and a sleep that belong together: time passes when a test says so, and everything that waited goes on."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from spaces_ctl.clock import ManualClock

__all__ = ["VirtualTime"]


class VirtualTime(ManualClock):
    """`sleep` in the place of `asyncio.sleep`."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._busy = 0

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Inside the block something real is waited for: no time passes."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        due_ms = self.now_ms() + max(1, round(seconds * 1000))
        heapq.heappush(self._sleepers, (due_ms, next(self._numbers), event))
        await event.wait()

    async def pass_(self, seconds: float) -> None:
        """Lets so much time pass; whatever becomes due is done in its turn, with its input and output."""
        until_ms = self.now_ms() + round(seconds * 1000)
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= until_ms:
            due_ms, _, event = heapq.heappop(self._sleepers)
            self.advance(ms=max(0, due_ms - self.now_ms()))
            event.set()
            await self._settle()
        self.advance(ms=until_ms - self.now_ms())

    async def _settle(self) -> None:
        """Until what is under way has come as far as it can."""
        idle = 0
        while idle < 10:
            await asyncio.sleep(0.001 if self._busy else 0)
            idle = 0 if self._busy else idle + 1
