"""The one thread that writes to SQLite: units that wait together are committed together.

Each unit runs in its own savepoint, so one that fails takes back its own writes only. Nobody gets a result before the
commit that makes it durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from spaces_ctl.store.errors import Unavailable

__all__ = ["Writer"]

_MOST_UNITS = 512
_LONGEST_S = 0.02
"""Bounds of one transaction, so that its first unit does not wait without end for its last."""


@dataclass(eq=False)
class _Job:
    """A unit and who waits for it."""

    unit: Callable[[sa.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    value: Any = field(default=None, init=False)
    error: BaseException | None = field(default=None, init=False)


class _NotOurs(RuntimeError):
    """A unit ended the transaction that it was given a part of."""


class Writer:
    """Call order: `submit` any number of times, from any event loop; `stop` once, from any thread."""

    def __init__(
        self,
        engine: sa.Engine,
        translate: Callable[[BaseException], BaseException],
        on_commit: Callable[[int], None],
    ) -> None:
        """Starts the thread. `translate` turns database errors into ours, `on_commit` is told the units of a commit."""
        self._engine = engine
        self._translate = translate
        self._on_commit = on_commit
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: sa.Connection | None = None
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="spaces-db-write", daemon=True)
        self._thread.start()

    def submit(self, unit: Callable[[sa.Connection], Any]) -> asyncio.Future[Any]:
        """Queues `unit`; the future is done after its commit. Raises Unavailable after `stop`."""
        loop = asyncio.get_running_loop()
        job = _Job(unit, loop, loop.create_future())
        with self._closing:
            if self._closed:
                raise Unavailable("the database was closed")
            self._jobs.put(job)
        return job.future

    def stop(self) -> None:
        """Finishes what is queued, closes the connection and ends the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch, last = self._commit_together(job)
            _settle(batch)
            if last:
                break
        self._disconnect()

    def _commit_together(self, first: _Job) -> tuple[list[_Job], bool]:
        """Runs `first` and all that waits, in one transaction; also whether `stop` was met."""
        batch = [first]
        last = False
        until = time.monotonic() + _LONGEST_S
        try:
            connection = self._connect()
            with connection.begin():
                self._attempt(connection, first)
                while len(batch) < _MOST_UNITS and time.monotonic() < until:
                    try:
                        job = self._jobs.get_nowait()
                    except queue.Empty:
                        break
                    if job is None:
                        last = True
                        break
                    batch.append(job)
                    self._attempt(connection, job)
            self._on_commit(sum(job.error is None for job in batch))
        except BaseException as error:
            # Nothing of the batch is in the database: not those who had run either.
            self._disconnect()
            for job in batch:
                job.error = job.error or self._translate(error)
        return batch, last

    def _attempt(self, connection: sa.Connection, job: _Job) -> None:
        """Runs one unit in its savepoint. Raises only when the whole transaction is lost."""
        if job.future.cancelled():
            return
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("SAVEPOINT unit")
        try:
            job.value = job.unit(connection)
        except Exception as error:
            if not raw.in_transaction:  # SQLite itself rolls everything back on errors such as a full disk
                raise
            job.error = self._translate(error)
            raw.execute("ROLLBACK TO unit")
        if not connection.in_transaction():
            raise _NotOurs("a unit of work must neither commit nor roll back")
        raw.execute("RELEASE unit")

    def _connect(self) -> sa.Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        """Forgets the connection; the next batch makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _settle(batch: list[_Job]) -> None:
    """Tells all waiting callers, waking each event loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in batch:
        loops.setdefault(job.loop, []).append(job)
    for loop, jobs in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.value)
        else:
            job.future.set_exception(job.error)
