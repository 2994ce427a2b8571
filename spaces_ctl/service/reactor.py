"""Reads the event log by sequence and turns events into rows: notifications, webhook messages, reports.

What a reaction writes is committed together with the reader's cursor, so a crash at any point neither loses an event
nor shows its effect twice. Whatever is slow (followers, HTTP, mail) is done later by workers from those rows.

Call order: `drain` (as often as you like), or `run` until cancelled. Several processes may run the same reactor: the
cursor moves for one of them only, the other one's transaction is rolled back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.service.ports import EventBus
from spaces_ctl.store import reactors
from spaces_ctl.store.database import Database

__all__ = ["Reaction", "Reactor", "Unit", "Worker"]

Unit = Callable[[sa.Connection], None]
"""Writes what a batch of events leads to."""

_log = logging.getLogger(__name__)
_RESUBSCRIBE_S = 0.1


class Reaction(Protocol):
    """What a reader of the log does with events."""

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """Looks up what the events ask for; the unit returned is committed along with the cursor. May be repeated."""
        ...


class _Overtaken(Exception):
    """Another process has moved the cursor."""


class Reactor:
    """One named reader of the log."""

    def __init__(
        self,
        name: str,
        reaction: Reaction,
        *,
        db: Database,
        clock: Clock,
        log_after: Callable[[sa.Connection, int, int], Sequence[Recorded]],
        done: Callable[[], None] | None = None,
        batch: int = 256,
        attempts: int = 5,
        idle_s: float = 5.0,
    ) -> None:
        """`log_after(connection, sequence, limit)` reads the log; `done` is called after every commit (wakes workers).

        An event that fails `attempts` times alone is put aside (`store.reactors.parked`) and does not hold up the rest.
        `idle_s`: how often the log is looked at without being woken, in seconds.
        """
        self._name = name
        self._reaction = reaction
        self._db = db
        self._clock = clock
        self._log_after = log_after
        self._done = done
        self._batch = batch
        self._attempts = attempts
        self._idle_s = idle_s
        self._failures: dict[int, int] = {}

    async def drain(self) -> int:
        """Deals with everything in the log; returns with how many events. Raises what a reaction raised.

        After an error the cursor stands before the event that failed; call again to try again.
        """
        handled = 0
        while True:
            cursor, events = await self._db.read(self._read)
            if not events:
                return handled
            try:
                await self._commit(cursor, events)
                handled += len(events)
            except _Overtaken:
                continue
            except Exception:
                if len(events) > 1:
                    _log.warning("%s: a batch failed; event by event", self._name, exc_info=True)
                handled += await self._one_by_one(cursor, events)

    async def retry_parked(self) -> int:
        """Tries the events that were put aside once more; returns how many went through."""
        through = 0
        for sequence, _ in await self._db.read(lambda c: reactors.parked(c, self._name)):
            through += await self._retry(sequence)
        return through

    async def _retry(self, sequence: int) -> bool:
        events = await self._db.read(lambda c: self._log_after(c, sequence - 1, 1))
        if not events or events[0].sequence != sequence:
            return False
        try:
            unit = await self._reaction.prepare(events)
            await self._db.write(lambda c: self._unpark(c, unit, sequence))
        except Exception:
            _log.exception("%s: event %d failed again", self._name, sequence)
            return False
        return True

    async def run(self, bus: EventBus) -> None:
        """Drains whenever the bus tells of an event, and every `idle_s` in any case. Until cancelled."""
        wake = asyncio.Event()
        listening = asyncio.create_task(_wake_by(bus, wake))
        try:
            while True:
                wake.clear()
                try:
                    await self.drain()
                except Exception:
                    _log.exception("%s: trying again", self._name)
                    await asyncio.sleep(min(self._idle_s, 1.0))
                    continue
                await _woken(wake, self._idle_s)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _read(self, c: sa.Connection) -> tuple[int, Sequence[Recorded]]:
        cursor = reactors.cursor(c, self._name)
        return cursor, self._log_after(c, cursor, self._batch)

    async def _one_by_one(self, cursor: int, events: Sequence[Recorded]) -> int:
        handled = 0
        for recorded in events:
            try:
                await self._commit(cursor, [recorded])
            except _Overtaken:
                return handled
            except Exception as error:
                tries = self._failures.get(recorded.sequence, 0) + 1
                self._failures[recorded.sequence] = tries
                if tries < self._attempts:
                    raise
                _log.exception("%s: event %d is put aside", self._name, recorded.sequence)
                await self._park(cursor, recorded.sequence, repr(error))
            self._failures.pop(recorded.sequence, None)
            cursor = recorded.sequence
            handled += 1
        return handled

    async def _commit(self, cursor: int, events: Sequence[Recorded]) -> None:
        unit = await self._reaction.prepare(events)

        def write(c: sa.Connection) -> None:
            self._move(c, cursor, events[-1].sequence)
            unit(c)

        await self._db.write(write)
        if self._done is not None:
            self._done()

    async def _park(self, cursor: int, sequence: int, error: str) -> None:
        def write(c: sa.Connection) -> None:
            self._move(c, cursor, sequence)
            reactors.park(c, self._name, sequence, error, self._clock.now_ms())

        await self._db.write(write)

    def _move(self, c: sa.Connection, old: int, new: int) -> None:
        # Before the unit: in PostgreSQL the row lock makes a second process wait here, then see that it is too late.
        if not reactors.advance(c, self._name, old, new):
            raise _Overtaken

    def _unpark(self, c: sa.Connection, unit: Unit, sequence: int) -> None:
        unit(c)
        reactors.unpark(c, self._name, sequence)


async def _woken(wake: asyncio.Event, idle_s: float) -> None:
    # Not `wait_for`: in Python 3.11 it forgets a cancellation that comes together with what it waits for.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(idle_s):
            await wake.wait()


async def _wake_by(bus: EventBus, wake: asyncio.Event) -> None:
    while True:
        async with bus.subscribe() as events:
            wake.set()
            async for _ in events:
                wake.set()
        # The iterator ended because we were too slow; what was missed is in the log. A bus that ends every one at once
        # must not keep the loop busy.
        await asyncio.sleep(_RESUBSCRIBE_S)


class Worker:
    """Repeats `step` while it says that there was work; then waits to be woken, at most `idle_s` seconds."""

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], *, idle_s: float = 1.0) -> None:
        """`step` returns whether it found anything to do."""
        self._name = name
        self._step = step
        self._idle_s = idle_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be work."""
        self._woken.set()

    async def finish(self) -> None:
        """Does all that is to be done now. Raises what `step` raises."""
        while await self._step():
            pass

    async def run(self) -> None:
        """Until cancelled. A step that raises is logged and tried again after the pause."""
        while True:
            self._woken.clear()
            try:
                busy = await self._step()
            except Exception:
                _log.exception("%s: trying again", self._name)
                await asyncio.sleep(self._idle_s)
                continue
            if busy:
                continue
            await _woken(self._woken, self._idle_s)
