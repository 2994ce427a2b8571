"""All feeds of this process: made when somebody watches, gone a while after nobody does; one tick a second for all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from spaces_ctl.api.spaces.account_feed import AccountFeed
from spaces_ctl.api.spaces.space_feed import CaptionSource, SpaceFeed, Tally
from spaces_ctl.model import SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import EventBus
from spaces_ctl.service.reading import Reading

__all__ = ["Feeds"]

_TICK_S = 1.0
_LOOKS = 5
"""How often in a tick feeds look whether there is something new to tell."""


class Feeds:
    """`async with feeds:` runs the ticks; leaving it ends every stream."""

    def __init__(
        self,
        *,
        source: Reading,
        bus: EventBus,
        tally: Tally,
        queue: int,
        per_caller: int,
        captions: CaptionSource | None = None,
    ) -> None:
        """`per_caller` streams at most for one account or address."""
        self._source = source
        self._bus = bus
        self._tally = tally
        self._captions = captions
        self._queue = queue
        self._per_caller = per_caller
        self._feeds: dict[SpaceId, asyncio.Task[SpaceFeed]] = {}
        self._callers: Counter[str] = Counter()
        self._ticker: asyncio.Task[None] | None = None
        self.account = AccountFeed(source, bus, queue=queue)

    async def __aenter__(self) -> Feeds:
        """Starts the ticks."""
        self._ticker = asyncio.create_task(self._tick_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends every stream."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await self.account.close()
        for feed in self._open():
            await feed.close()
        self._feeds.clear()

    @property
    def streams(self) -> int:
        """Open streams."""
        return sum(self._callers.values())

    @asynccontextmanager
    async def admitted(self, caller: str) -> AsyncIterator[None]:
        """Counts a stream of a caller while it lasts. Raises ServiceError (`rate.limited`)."""
        if self._callers[caller] >= self._per_caller:
            raise ServiceError("rate.limited", "Too many streams are open.", retry_after_s=5)
        self._callers[caller] += 1
        try:
            yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    async def of(self, space: SpaceId) -> SpaceFeed:
        """The Space's feed, opened if it is not. Raises ServiceError (`space.not_found`, `store.unavailable`)."""
        task = self._feeds.get(space)
        if task is None:
            task = self._feeds[space] = asyncio.create_task(self._opened(space))
            task.add_done_callback(lambda done: self._forget_failed(space, done))
        # Shielded: one who hangs up must not take the feed from the others.
        return await asyncio.shield(task)

    async def close_idle(self) -> None:
        """Feeds that nobody watches are closed."""
        for feed in self._open():
            if feed.idle:
                self._feeds.pop(feed.space, None)
                await feed.close()

    async def _opened(self, space: SpaceId) -> SpaceFeed:
        feed = SpaceFeed(space, self._source, self._bus, self._tally, queue=self._queue, captions=self._captions)
        await feed.open()
        return feed

    def _forget_failed(self, space: SpaceId, done: asyncio.Task[SpaceFeed]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._feeds.get(space) is done:
            del self._feeds[space]

    def _open(self) -> list[SpaceFeed]:
        return [
            task.result()
            for task in list(self._feeds.values())
            if task.done() and not task.cancelled() and task.exception() is None
        ]

    async def _tick_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_LOOKS):
                await asyncio.sleep(_TICK_S / _LOOKS)
                for feed in self._open():
                    feed.look(loop.time())
            await self.close_idle()
