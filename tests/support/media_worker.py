"""A media worker in the test's own loop: plain logs, virtual time, a store that fails when it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from spaces_ctl.media.objects import Deleted, Objects, StoreUnavailable
from spaces_ctl.media.packaging import ReplaySummary
from spaces_ctl.media.requests import Open
from spaces_ctl.media.worker import Worker
from spaces_ctl.segments import Contents, MixPacket
from tests.support.log_files import PlainLogs
from tests.support.virtual_time import VirtualTime

__all__ = ["KEY", "SPACE", "Breaking", "ListPackager", "a_worker", "ask", "named"]

T = TypeVar("T")
SPACE = 4711
KEY = bytes(range(32))


class Breaking(Objects):
    """A store that can be away. While it answers, no virtual time passes."""

    def __init__(self, objects: Objects, time: VirtualTime) -> None:
        super().__init__(objects._store, local=objects.local)
        self.time = time
        self.down = False

    async def put(self, name: str, data: bytes) -> None:
        with self._answering():
            await super().put(name, data)

    async def make_durable(self, name: str) -> None:
        with self.time.busy():
            await super().make_durable(name)

    async def get(self, name: str) -> bytes:
        with self._answering():
            return await super().get(name)

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        with self._answering():
            return await super().list(prefix)

    async def size(self, name: str) -> int:
        with self._answering():
            return await super().size(name)

    async def delete(self, prefix: str) -> Deleted:
        with self._answering():
            return await super().delete(prefix)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self.down:
            raise StoreUnavailable("connection refused")
        with self.time.busy():
            yield


class ListPackager:
    """Writes the packets down, a file for each call; an object says what the replay consists of."""

    def __init__(self, objects: Objects, prefix: str, *, first_group: int) -> None:
        self._objects = objects
        self._prefix = prefix
        self.packets: list[MixPacket] = []
        self._next = first_group

    async def add(self, contents: Contents) -> None:
        new = [packet for packet in contents.mix if packet.group >= self._next]
        self.packets += new
        self._next = max(self._next, contents.last_group + 1)
        await self._objects.put(f"{self._prefix}/hls/{contents.sequence}.m4s", b"".join(one.opus for one in new))

    async def finish(self, end_group: int) -> ReplaySummary:
        groups = [packet.group for packet in self.packets]
        await self._objects.put(f"{self._prefix}/audio.opus", msgspec.json.encode(groups))
        return ReplaySummary(duration_ms=end_group * 20, loudness_lufs=-16.0, gain_db=1.0, segments=len(groups))


@asynccontextmanager
async def a_worker(
    spool: Path, objects: Objects, time: VirtualTime, *, packager: Any = ListPackager, **more: Any
) -> AsyncIterator[Worker]:
    opened = Open(spool=str(spool), store="", **more)
    worker = Worker(
        opened, objects=objects, files=PlainLogs(), packager=packager, clock=time, sleep=time.sleep
    )  # fmt: skip
    async with worker:
        yield worker


async def ask(worker: Worker, operation: str, request: msgspec.Struct, answer: type[T]) -> T:
    """As the server asks, without the process in between."""
    return msgspec.msgpack.decode(await worker.answer(operation, msgspec.msgpack.encode(request)), type=answer)


async def named(objects: Objects, prefix: str) -> list[str]:
    return [name for name, _ in await objects.list(prefix)]
