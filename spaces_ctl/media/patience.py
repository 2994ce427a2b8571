"""An object store that is waited for: what it refuses is tried again until it is done.

For uploads, which nobody waits for but the spool. What somebody waits for uses `Objects` itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from spaces_ctl.media.objects import Deleted, Objects, StoreUnavailable

__all__ = ["PatientObjects", "Sleep", "Tally"]

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]
"""`asyncio.sleep`, or a test's."""

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_log = logging.getLogger(__name__)


class Tally:
    """What became of the attempts."""

    def __init__(self) -> None:
        self.failures = 0
        self.down = False
        """The newest attempt failed."""
        self.objects = 0
        self.bytes = 0
        """Put there."""

    def failed(self, error: Exception) -> None:
        """An attempt failed; the first of a row is told."""
        self.failures += 1
        if not self.down:
            _log.warning("the object store does not answer; recordings wait in the spool: %s", error)
        self.down = True

    def done(self) -> None:
        """An attempt went well."""
        if self.down:
            _log.warning("the object store answers again")
        self.down = False


class PatientObjects(Objects):
    """The same store; no call raises StoreUnavailable, however long it takes."""

    def __init__(self, objects: Objects, tally: Tally, *, at_once: int = 8, sleep: Sleep = asyncio.sleep) -> None:
        """`at_once`: uploads under way at the same time, so that an outage's end does not flood store and memory."""
        super().__init__(objects._store, local=objects.local)
        self._objects = objects
        self._tally = tally
        self._slots = asyncio.Semaphore(at_once)
        self._sleep = sleep

    async def put(self, name: str, data: bytes) -> None:
        """Writes an object whole. In a directory it is durable against power loss when this returns.

        What has been put may be deleted from the spool, where it was durable. Raises OSError of the disk.
        """
        async with self._slots:
            await self._again(lambda: self._objects.put(name, data))
            await self._objects.make_durable(name)
        self._tally.objects += 1
        self._tally.bytes += len(data)

    async def get(self, name: str) -> bytes:
        """Reads an object whole. Raises NoObject."""
        return await self._again(lambda: self._objects.get(name))

    async def size(self, name: str) -> int:
        """Length of an object in bytes. Raises NoObject."""
        return await self._again(lambda: self._objects.size(name))

    async def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive), in pieces. Raises NoObject."""
        while start < end:
            try:
                async for piece in self._objects.stream(name, start, end):
                    yield piece
                    start += len(piece)
            except StoreUnavailable:
                await self._sleep(_FIRST_PAUSE_S)

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """Name and size of every object below `prefix`, ascending."""
        return await self._again(lambda: self._objects.list(prefix))

    async def delete(self, prefix: str) -> Deleted:
        """Deletes everything below `prefix`, or the one object of that name."""
        return await self._again(lambda: self._objects.delete(prefix))

    async def _again(self, attempt: Callable[[], Awaitable[T]]) -> T:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                result = await attempt()
            except StoreUnavailable as error:
                self._tally.failed(error)
                # Not all at the same moment when it is back.
                await self._sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                self._tally.done()
                return result
