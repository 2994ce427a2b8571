"""One account's live events over all Spaces: what it is named in, and what only hosts see of the Spaces it hosts.

Positions are sequences, which ascend over all Spaces in the order of commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from spaces_ctl import events as e
from spaces_ctl.api.spaces.event_frames import Frame, encode
from spaces_ctl.api.spaces.subscribers import Subscriber
from spaces_ctl.events import Recorded
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.event_audience import visible
from spaces_ctl.service.ports import EventBus

__all__ = ["AccountFeed", "AccountSource"]

_log = logging.getLogger("spaces.api")
_PAGE = 1000
_AGAIN_S = 0.05
_MOST_BEHIND = 10_000
"""Events of all Spaces that somebody who resumes may have missed."""
_CREATORS = (e.Started, e.Ended, e.Canceled, e.ReplayReady, e.ReplayExpired)


class AccountSource(Protocol):
    """Where the feed reads from."""

    async def get(self, space: SpaceId) -> Space:
        """The Space now."""
        ...

    async def since(self, sequence: int, limit: int) -> Sequence[Recorded]:
        """Events of all Spaces after a sequence, ascending."""
        ...

    async def head(self) -> int:
        """The newest sequence; 0 for an empty log."""
        ...


class AccountFeed:
    """One for the process: listens to the bus while anybody is subscribed."""

    def __init__(self, source: AccountSource, bus: EventBus, *, queue: int) -> None:
        """`queue` is how many messages a subscriber may lag behind."""
        self._source = source
        self._bus = bus
        self._queue = queue
        self._of: defaultdict[AccountId, set[Subscriber]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def subscribe(self, account: AccountId) -> tuple[Subscriber, int]:
        """From now on; the position from which the log has to be read up to."""
        subscriber = Subscriber(account, self._queue)
        self._of[account].add(subscriber)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        try:
            await self._listening.wait()
            return subscriber, await self._source.head()
        except BaseException:
            self.unsubscribe(subscriber)
            raise

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The reader is gone."""
        if subscriber.account is not None and (own := self._of.get(subscriber.account)) is not None:
            own.discard(subscriber)
            if not own:
                del self._of[subscriber.account]

    @property
    def subscribers(self) -> int:
        """How many watch."""
        return sum(map(len, self._of.values()))

    async def backlog(self, account: AccountId, after: int, upto: int) -> list[Frame]:
        """What the account missed. Raises ServiceError (`stream.position`) if that is too far back."""
        if upto - after > _MOST_BEHIND:
            raise ServiceError("stream.position")
        frames: list[Frame] = []
        while after < upto:
            page = await self._source.since(after, _PAGE)
            if not page:
                break
            for recorded in page:
                if recorded.sequence <= upto and (message := await self._seen_by(account, recorded)) is not None:
                    frames.append(message)
            after = page[-1].sequence
        return frames

    async def close(self) -> None:
        """Ends every stream (`node.capacity`: come again)."""
        for own in list(self._of.values()):
            for subscriber in list(own):
                subscriber.close("node.capacity")
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _listen(self) -> None:
        while True:
            async with self._bus.subscribe() as events:
                self._listening.set()
                async for recorded in events:
                    try:
                        await self._take(recorded)
                    except Exception:
                        _log.exception("the accounts' feed missed an event")
                        self._break_off()
            # We were too slow for the bus, so something is missing: readers resume from what they have.
            self._listening.clear()
            self._break_off()
            await asyncio.sleep(_AGAIN_S)

    def _break_off(self) -> None:
        for own in list(self._of.values()):
            for subscriber in list(own):
                subscriber.close("stream.slow")

    async def _take(self, recorded: Recorded) -> None:
        if not self._of:
            return
        state = await self._source.get(recorded.space)
        for account in _concerned(recorded, state) & self._of.keys():
            message = _message(recorded, state, account)
            for subscriber in self._of.get(account, ()):
                if message is not None:
                    subscriber.offer(message)

    async def _seen_by(self, account: AccountId, recorded: Recorded) -> Frame | None:
        state = await self._source.get(recorded.space)
        return _message(recorded, state, account) if account in _concerned(recorded, state) else None


def _concerned(recorded: Recorded, state: Space) -> frozenset[AccountId]:
    seen = visible(recorded.event, state, state)
    if seen.whole is None:
        return frozenset()
    own = frozenset({state.creator}) if isinstance(recorded.event, _CREATORS) else frozenset()
    return seen.who | seen.named | own


def _message(recorded: Recorded, state: Space, account: AccountId) -> Frame | None:
    seen = visible(recorded.event, state, state)
    fields = seen.whole if account in seen.who else seen.others
    return None if fields is None else encode(recorded, fields, own=True)
