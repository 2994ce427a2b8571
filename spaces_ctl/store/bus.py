"""Tells committed events to whoever listens: in this process (`LocalBus`) or in all nodes (`PostgresBus`).

Both are `service.ports.EventBus`. Subscribers get what is committed after they subscribed (on PostgreSQL possibly some
events from just before), in the order of publishing or of commit. One who lets `QUEUE` events pile up gets those, and
then the iterator ends: read the log from the last version seen, and subscribe again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Self

from spaces_ctl.events import Recorded
from spaces_ctl.model import SpaceId

__all__ = ["QUEUE", "LocalBus"]

QUEUE = 1024
"""Events that a subscriber may be behind."""


class _Subscription:
    """A subscriber's queue. Ends when it overflows or the bus is closed; what is queued is given out before."""

    def __init__(self, space: SpaceId | None, size: int) -> None:
        self.space = space
        self._size = size
        self._queue: deque[Recorded] = deque()
        self._ended = False
        self._woken = asyncio.Event()

    def put(self, event: Recorded) -> bool:
        """Queues an event; False if this subscriber is too slow and has been ended."""
        if not self._ended:
            if len(self._queue) < self._size:
                self._queue.append(event)
            else:
                self._ended = True
            self._woken.set()
        return not self._ended

    def end(self) -> None:
        self._ended = True
        self._woken.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Recorded:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._woken.clear()
            await self._woken.wait()
        return self._queue.popleft()


class LocalBus:
    """For one process. Of one event loop."""

    def __init__(self, queue: int = QUEUE) -> None:
        """`queue`: events that a subscriber may be behind."""
        self._size = queue
        self._of_all: set[_Subscription] = set()
        self._of_space: dict[SpaceId, set[_Subscription]] = {}
        self._closed = False

    async def publish(self, events: Sequence[Recorded]) -> None:
        """After the commit. Never waits for a subscriber."""
        self.deliver(events)

    def deliver(self, events: Iterable[Recorded]) -> None:
        """Puts events into the queues of those who asked for them."""
        for event in events:
            for subscription in [*self._of_all, *self._of_space.get(event.space, ())]:
                if not subscription.put(event):
                    self._forget(subscription)

    @contextlib.asynccontextmanager
    async def subscribe(self, space: SpaceId | None = None) -> AsyncIterator[AsyncIterator[Recorded]]:
        """Events from now on, of one Space or of all. A subscriber who is too slow gets its iterator ended."""
        subscription = _Subscription(space, self._size)
        if self._closed:
            subscription.end()
        elif space is None:
            self._of_all.add(subscription)
        else:
            self._of_space.setdefault(space, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._forget(subscription)
            subscription.end()

    @property
    def subscribers(self) -> int:
        """How many listen now."""
        return len(self._of_all) + sum(map(len, self._of_space.values()))

    async def aclose(self) -> None:
        """Ends all iterators, after what is queued."""
        self._closed = True
        for subscription in [*self._of_all, *(s for of in self._of_space.values() for s in of)]:
            subscription.end()

    async def __aenter__(self) -> Self:
        """Ready at once."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.aclose()

    def _forget(self, subscription: _Subscription) -> None:
        self._of_all.discard(subscription)
        if subscription.space is not None and (of := self._of_space.get(subscription.space)) is not None:
            of.discard(subscription)
            if not of:
                del self._of_space[subscription.space]
