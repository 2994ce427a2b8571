"""What recordings have still to do, as rows: an outage of the store or the worker, however long, loses nothing.

`MediaQueue` is the reader of the log that writes the rows; `MediaWork` has them carried out. Rows of one Space are
taken in the order of the log, cuts of clips side by side; one that failed waits longer each time and may be overtaken,
as everything looks at the Space as it is when it is done. Spaces do not wait for each other.

Call order: `run` until cancelled; tests: `finish`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import sqlalchemy as sa

from spaces_ctl import events as e
from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.media.errors import MediaError
from spaces_ctl.model import SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.media import concerns
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import event_log
from spaces_ctl.store import recordings as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable
from spaces_ctl.store.recordings import Work

__all__ = ["MediaQueue", "MediaWork"]

_log = logging.getLogger(__name__)
_FIRST_PAUSE_MS = 1_000
_LONGEST_PAUSE_MS = 60_000
_IDLE_S = 1.0
_CUT = event_log.kind_of(e.ClipCreated)


class MediaQueue:
    """A `service.reactor.Reaction`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """A row for each event that concerns recordings."""
        wanted = [recorded for recorded in events if concerns(recorded.event)]
        return lambda c: store.add_work(c, wanted, self._clock.now_ms())


class MediaWork:
    """Carries out the rows; one process of a deployment does."""

    def __init__(
        self, take: Callable[[Recorded], Awaitable[None]], *, db: Database, clock: Clock, at_once: int = 32
    ) -> None:
        """`take` does what an event asks for (`MediaReaction.take`); `at_once`: so many of all Spaces together."""
        self._take = take
        self._db = db
        self._clock = clock
        self._at_once = at_once
        self._running: dict[int, tuple[Work, asyncio.Task[None]]] = {}
        self._settled: set[int] = set()
        """Rows that came to an end while the rows were read: what was read of them is old."""
        self._reading = asyncio.Lock()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be work."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled, and then what is under way is left."""
        try:
            while True:
                self._woken.clear()
                try:
                    await self._start_due()
                except Unavailable as error:
                    _log.warning("recordings: %s", error)
                except Exception:
                    _log.exception("recordings: trying again")
                # Not `wait_for`, which in Python 3.11 forgets a cancellation that comes with what it waits for.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_S):
                        await self._woken.wait()
        finally:
            tasks = [task for _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self) -> None:
        """Does all that is due now."""
        while await self._start_due():
            if self._running:
                await asyncio.wait([task for _, task in self._running.values()], return_when=asyncio.FIRST_COMPLETED)

    async def _start_due(self) -> bool:
        """Begins what may begin; whether anything is under way. Raises Unavailable."""
        async with self._reading:
            self._settled.clear()
            rows = await self._db.read(store.pending)
            return self._start(row for row in rows if row.sequence not in self._settled)

    def _start(self, rows: Iterable[Work]) -> bool:
        now_ms = self._clock.now_ms()
        behind: set[SpaceId] = set()
        for work in rows:
            if work.sequence in self._running or work.due_ms > now_ms:
                continue
            if len(self._running) >= self._at_once:
                break
            if work.space in behind or not self._may_begin(work):
                behind.add(work.space)
                continue
            task = asyncio.create_task(self._carry_out(work), name=f"{work.kind} {work.space}")
            self._running[work.sequence] = work, task
        return bool(self._running)

    def _may_begin(self, work: Work) -> bool:
        others = [other.kind for other, _ in self._running.values() if other.space == work.space]
        return not others or work.kind == _CUT == max(others) == min(others)

    async def _carry_out(self, work: Work) -> None:
        try:
            error = await self._try(work)
            if error is None:
                await self._db.write(lambda c: store.work_done(c, work.sequence))
            else:
                due_ms = self._clock.now_ms() + min(_FIRST_PAUSE_MS << min(work.tries, 16), _LONGEST_PAUSE_MS)
                await self._db.write(lambda c: store.put_off(c, work, due_ms, error))
        except Unavailable as down:
            _log.warning("recordings: %s", down)  # it is done again
        finally:
            self._running.pop(work.sequence, None)
            self._settled.add(work.sequence)
            self._woken.set()

    async def _try(self, work: Work) -> str | None:
        """Why it did not succeed; None if it did."""
        try:
            found = await self._db.read(lambda c: _event(c, work.sequence))
            if found is not None:
                await self._take(found)
        except (MediaError, ServiceError, Unavailable) as error:
            _log.warning("%s of %d has to wait: %s", work.kind, work.space, error, extra={"tries": work.tries})
            return str(error)
        except Exception as error:
            _log.exception("%s of %d failed", work.kind, work.space)
            return repr(error)
        return None


def _event(c: sa.Connection, sequence: int) -> Recorded | None:
    found = event_log.read_all(c, sequence - 1, 1)
    return found[0] if found and found[0].sequence == sequence else None
