"""One Space's live events for all who watch it in this process.

A feed listens to the bus once, folds the Space's state (who is host decides who sees what), makes each message once and
puts it into the queues of the subscribers. What the bus leaves out is read from the log, so that versions arrive
without gap and without repetition. The newest messages are kept, so that many who resume at once do not ask the log.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

from spaces_ctl.api import wire
from spaces_ctl.api.spaces.event_frames import Frame, encode, frame
from spaces_ctl.api.spaces.subscribers import Subscriber
from spaces_ctl.events import CohostAdded, Recorded, Removed, SpeakerAdded, TicketRefunded
from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.policy import evolve
from spaces_ctl.policy.state import Space
from spaces_ctl.service.captions import CaptionLine
from spaces_ctl.service.event_audience import visible
from spaces_ctl.service.ports import EventBus

__all__ = ["CaptionSource", "SpaceFeed", "SpaceSource", "Tally"]

_log = logging.getLogger("spaces.api")
_RETRY_S = 1.0
_AGAIN_S = 0.05
_LEAST_S = 0.4
"""Between two messages of counts. The engine counts once a second, but people, reactions and votes not in step: were it
a second, a reaction that came just after another message would be told two seconds late."""
_KEPT = 512
"""Messages kept a Space, for those who resume."""
_NOTICE = "An account you blocked has joined as a speaker."


class Tally(Protocol):
    """What is counted and never an event."""

    def message(self, space: SpaceId) -> dict[str, Any]:
        """People now and reactions since the stream began to count."""
        ...


class SpaceSource(Protocol):
    """Where a feed reads from."""

    async def get(self, space: SpaceId) -> Space:
        """The Space now."""
        ...

    async def tail(self, space: SpaceId, after: int) -> Sequence[Recorded]:
        """Its events after a version, ascending without gaps."""
        ...

    async def blocking(self, account: AccountId, viewers: Iterable[AccountId]) -> set[AccountId]:
        """Which of the viewers block the account."""
        ...


class CaptionSource(Protocol):
    """What is said, as text. Never an event: not in the log, and nobody resumes it."""

    def watch(self, space: SpaceId, tell: Callable[[CaptionLine], None]) -> Callable[[], None]:
        """Calls `tell` with every line from now on, until what it answers is called."""
        ...


class SpaceFeed:
    """Made for the first subscriber, closed after the last."""

    def __init__(
        self,
        space: SpaceId,
        source: SpaceSource,
        bus: EventBus,
        tally: Tally,
        *,
        queue: int,
        captions: CaptionSource | None = None,
    ) -> None:
        """Use `open`. `queue` is how many messages a subscriber may lag behind."""
        self.space = space
        self._source = source
        self._bus = bus
        self._tally = tally
        self._queue = queue
        self._captions = captions
        self._unwatch: Callable[[], None] = lambda: None
        self._state = Space(id=space)
        self._subscribers: set[Subscriber] = set()
        self._known = asyncio.Event()
        self._recent: deque[_Entry] = deque(maxlen=_KEPT)
        self._tasks: list[asyncio.Task[None]] = []
        self._last_tally: dict[str, Any] = {}
        self._told_s = -math.inf

    async def open(self) -> None:
        """Begins to listen. Raises ServiceError (`space.not_found`, `store.unavailable`)."""
        listening = asyncio.Event()
        self._tasks = [asyncio.create_task(self._listen(listening))]
        waiter = asyncio.create_task(listening.wait())
        await asyncio.wait([waiter, self._tasks[0]], return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if self._tasks[0].done():
            await self._tasks[0]
        try:
            self._state = await self._source.get(self.space)
        except BaseException:
            await self.close()
            raise
        self._known.set()
        if self._captions is not None:
            self._unwatch = self._captions.watch(self.space, self._caption)

    async def close(self) -> None:
        """Ends every stream (`node.capacity`: come again) and stops listening."""
        self._unwatch()
        self._unwatch = lambda: None
        for subscriber in self._subscribers:
            subscriber.close("node.capacity")
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    @property
    def state(self) -> Space:
        """The Space as its subscribers know it."""
        return self._state

    @property
    def idle(self) -> bool:
        """Whether nobody watches."""
        return not self._subscribers

    @property
    def subscribers(self) -> int:
        """How many watch."""
        return len(self._subscribers)

    def subscribe(self, account: AccountId | None, *, captions: bool = False) -> tuple[Subscriber, int]:
        """From now on: what comes after the version that is answered goes into the queue; lines of text, if wanted."""
        subscriber = Subscriber(account, self._queue, captions=captions)
        self._subscribers.add(subscriber)
        if self._last_tally:
            subscriber.offer(_tally_frame(self._last_tally))
        return subscriber, self._state.version

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The reader is gone."""
        self._subscribers.discard(subscriber)

    async def backlog(self, account: AccountId | None, after: int, upto: int) -> list[Frame]:
        """What somebody who has seen version `after` missed until version `upto` (as `subscribe` answered)."""
        if after >= upto:
            return []
        entries: Iterable[_Entry] = self._recent
        if not self._recent or self._recent[0].version > after + 1:
            entries = await self._from_log(upto)
        frames = [entry.seen_by(account) for entry in entries if after < entry.version <= upto]
        return [frame for frame in frames if frame is not None]

    async def _from_log(self, upto: int) -> list[_Entry]:
        """The whole log as messages; the newest are kept if they join what is kept already."""
        entries: list[_Entry] = []
        state = Space(id=self.space)
        for recorded in await self._source.tail(self.space, 0):
            if recorded.version > upto:
                break
            before, state = state, evolve(state, recorded.event, recorded.at_ms)
            entries.append(_entry(recorded, before, state))
        first = self._recent[0].version if self._recent else self._state.version + 1
        older = [entry for entry in entries if entry.version < first]
        if older and older[-1].version == first - 1:
            room = _KEPT - len(self._recent)
            self._recent.extendleft(reversed(older[-room:] if room > 0 else []))
        return entries

    def look(self, now_s: float) -> None:
        """Ticks, unless it has just told something; seconds of any clock that does not jump."""
        if now_s - self._told_s >= _LEAST_S and self.tick():
            self._told_s = now_s

    def tick(self) -> bool:
        """People, reactions and votes, if they changed; one message for all. Whether there was one."""
        now = self._tally.message(self.space)
        now["polls"] = {str(poll): list(it.votes) for poll, it in self._state.polls.items() if not it.closed}
        if now == self._last_tally:
            return False
        self._last_tally = now
        message = _tally_frame(now)
        for subscriber in self._subscribers:
            subscriber.offer(message)
        return True

    async def _listen(self, listening: asyncio.Event) -> None:
        while True:
            async with self._bus.subscribe(self.space) as events:
                listening.set()
                await self._known.wait()
                async for recorded in events:
                    await self._safely(partial(self._take, recorded))
            # We were too slow for the bus (the log has what it dropped), or it is being closed.
            await asyncio.sleep(_AGAIN_S)
            await self._safely(self._catch_up)

    async def _safely(self, step: Callable[[], Awaitable[None]]) -> None:
        """A database that is down for a moment delays the feed and does not end it."""
        while True:
            try:
                await step()
            except Exception:
                _log.exception("feed of Space %s", wire.space_text(self.space))
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _take(self, recorded: Recorded) -> None:
        if recorded.version > self._state.version + 1:
            await self._catch_up()
        if recorded.version == self._state.version + 1:
            await self._deliver(recorded)

    async def _catch_up(self) -> None:
        for recorded in await self._source.tail(self.space, self._state.version):
            if recorded.version == self._state.version + 1:
                await self._deliver(recorded)

    async def _deliver(self, recorded: Recorded) -> None:
        before = self._state
        after = self._state = evolve(before, recorded.event, recorded.at_ms)
        entry = _entry(recorded, before, after)
        self._recent.append(entry)
        for subscriber in self._subscribers:
            if (message := entry.seen_by(subscriber.account)) is not None:
                subscriber.offer(message)
        if isinstance(recorded.event, Removed | TicketRefunded):
            # Whoever may not hear any more does not read on.
            for subscriber in self._subscribers:
                subscriber.captions = subscriber.captions and subscriber.account != recorded.event.account
        if isinstance(recorded.event, SpeakerAdded | CohostAdded):
            await self._notice(recorded.event.account)
        if after.status in (Status.ENDED, Status.CANCELED) and before.status is not after.status:
            self.tick()

    def _caption(self, line: CaptionLine) -> None:
        message = _caption_frame(line)
        for subscriber in self._subscribers:
            if subscriber.captions:
                subscriber.offer(message)

    async def _notice(self, speaker: AccountId) -> None:
        """Tells those who block the new speaker, and nobody else."""
        viewers = {one.account for one in self._subscribers if one.account is not None} - {speaker}
        blocking = await self._source.blocking(speaker, viewers) if viewers else set()
        if blocking:
            data = {"account": str(speaker), "text": _NOTICE}
            message = frame("blocked_speaker", {"event": "blocked_speaker", "data": data})
            for subscriber in self._subscribers:
                if subscriber.account in blocking:
                    subscriber.offer(message)


class _Entry(NamedTuple):
    """An event as those see it who may."""

    version: int
    who: frozenset[AccountId]
    whole: Frame | None
    others: Frame | None

    def seen_by(self, account: AccountId | None) -> Frame | None:
        return self.whole if account in self.who else self.others


def _entry(recorded: Recorded, before: Space, after: Space) -> _Entry:
    seen = visible(recorded.event, before, after)
    whole = None if seen.whole is None else encode(recorded, seen.whole)
    same = seen.others is seen.whole
    others = whole if same else None if seen.others is None else encode(recorded, seen.others)
    return _Entry(recorded.version, seen.who, whole, others)


def _caption_frame(line: CaptionLine) -> Frame:
    data = {
        "n": line.n,
        "account": wire.account_text(line.account),
        "start_ms": line.start_ms,
        "end_ms": line.end_ms,
        "text": line.text,
        "final": line.final,
    }
    return frame("caption", {"event": "caption", "data": data})


def _tally_frame(data: dict[str, Any]) -> Frame:
    return frame("counts", {"event": "counts", "data": data})
