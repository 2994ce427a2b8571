"""What operations use of the worker that they work for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from spaces_ctl.clock import Clock
from spaces_ctl.media.objects import Objects
from spaces_ctl.segments import Contents

__all__ = ["Bench", "Log", "Stores"]


class Log(Protocol):
    """What is used of `media.archive.Archive`."""

    def contents(self, space: int, from_group: int, to_group: int) -> AsyncGenerator[Contents, None]:
        """Files that tell of these groups, in order."""
        ...


class Stores(Protocol):
    """What is used of `media.worker.Worker` by those who only read and write."""

    @property
    def archive(self) -> Log:
        """What was recorded."""
        ...

    @property
    def objects(self) -> Objects:
        """The store."""
        ...


class Bench(Stores, Protocol):
    """What is used of `media.worker.Worker` by those who wait and go on later."""

    @property
    def clock(self) -> Clock:
        """What `sleep` lets pass."""
        ...

    @property
    def sleep(self) -> Callable[[float], Awaitable[None]]:
        """Waits for some seconds."""
        ...

    async def answer(self, operation: str, body: bytes) -> bytes:
        """As if the server had asked."""
        ...
