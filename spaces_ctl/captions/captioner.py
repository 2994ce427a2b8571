"""Follows Spaces as the server says, and tells it what is said there. See `spaces_ctl.captions`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from spaces_ctl.captions.messages import Allow, Follow, FromCaptioner, FromServer, Leave, Lost
from spaces_ctl.captions.recogniser import Recogniser
from spaces_ctl.captions.room import Packet, Room
from spaces_ctl.captions.voice import Budget, VoiceLimits

__all__ = ["Captioner", "Connect"]

log = logging.getLogger(__name__)

_LOOK_S = 0.1
_FINISH_S = 8.0
"""What recognising the last words of a Space may take."""


class Connect(Protocol):
    """Opens the way to a Space's captionable seats."""

    def __call__(self, follow: Follow, /) -> AbstractAsyncContextManager[AsyncIterator[Iterable[Packet]]]:
        """Batches of packets until the connection ends."""
        ...


class Captioner:
    """`async with Captioner(...) as captioner:` then `take` every message in order."""

    def __init__(
        self,
        recogniser: Recogniser,
        budget: Budget,
        connect: Connect,
        tell: Callable[[FromCaptioner], None],
        *,
        limits: VoiceLimits | None = None,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        """`tell` must not wait. `now_s` is a clock that never jumps; None: the loop's."""
        self._recogniser = recogniser
        self._budget = budget
        self._connect = connect
        self._tell = tell
        self._limits = limits
        self._clock = now_s
        self._rooms: dict[int, Room] = {}
        self._taps: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Captioner:
        """Begins to look for pauses."""
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Forgets everything and closes the recogniser."""
        tasks = [*self._taps.values(), *self._tasks, *([self._ticker] if self._ticker else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(room.aclose() for room in self._rooms.values()))
        await self._recogniser.aclose()

    @property
    def spaces(self) -> int:
        """How many are followed."""
        return len(self._rooms)

    def take(self, message: FromServer) -> None:
        """Carries out what the server says."""
        match message:
            case Follow():
                self._follow(message)
            case Allow():
                if (room := self._rooms.get(message.space)) is not None:
                    room.allow(message.seats)
            case Leave():
                self._leave(message)

    def _follow(self, follow: Follow) -> None:
        room = self._rooms.get(follow.space)
        if room is None:
            room = Room(follow.space, follow.language, self._recogniser, self._budget, self._tell, limits=self._limits)
            self._rooms[follow.space] = room
        room.allow(follow.seats)
        if (before := self._taps.pop(follow.space, None)) is not None:
            before.cancel()
        self._taps[follow.space] = self._begin(self._listen(follow, room))

    def _leave(self, leave: Leave) -> None:
        room, tap = self._rooms.pop(leave.space, None), self._taps.pop(leave.space, None)
        if tap is not None:
            tap.cancel()
        if room is not None:
            self._begin(_close(room, finish=leave.finish))

    async def _listen(self, follow: Follow, room: Room) -> None:
        why = "ended"
        try:
            async with self._connect(follow) as batches:
                async for batch in batches:
                    now_s = self._now_s()
                    for packet in batch:
                        room.packet(packet, now_s)
        except Exception as error:
            why = getattr(error, "code", None) or type(error).__name__
        if self._taps.get(follow.space) is asyncio.current_task():
            del self._taps[follow.space]
            self._tell(Lost(space=follow.space, why=why))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            for room in self._rooms.values():
                room.look(self._now_s())

    def _now_s(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _close(room: Room, *, finish: bool) -> None:
    try:
        if finish:
            async with asyncio.timeout(_FINISH_S):
                await room.finish()
    except TimeoutError:
        log.warning("the last lines of a Space were not recognised in time")
    finally:
        await room.aclose()
