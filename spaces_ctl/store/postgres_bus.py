"""The event bus between nodes: NOTIFY says that there is something, the event table says what.

One connection listens. On every wake-up the log is read by sequence from where this node is, so a notification that is
lost, late or merged with others costs nothing but time, and after a lost connection nothing is missed. A look at the
table every `look_s` seconds catches what a node committed but died before it could notify of.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Self

import asyncpg
import sqlalchemy as sa

from spaces_ctl.events import Recorded
from spaces_ctl.model import SpaceId
from spaces_ctl.store import event_log
from spaces_ctl.store.bus import QUEUE, LocalBus
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import StoreError

__all__ = ["PostgresBus"]

_CHANNEL = "spaces_events"
_PAGE = 500
_CONNECT_S = 5
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

_log = logging.getLogger(__name__)


class PostgresBus:
    """Call order: `start`, or as a context manager; then `publish` and `subscribe`; `aclose`."""

    def __init__(self, database: Database, *, queue: int = QUEUE, look_s: float = 5.0) -> None:
        """Of an open PostgreSQL database, which stays the caller's."""
        self._database = database
        self._local = LocalBus(queue)
        self._look_s = look_s
        self._seen = 0
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.reconnects = 0
        """How often the listening connection was lost and made anew."""

    async def start(self) -> None:
        """Begins after the last event of the log. Raises Unavailable."""
        self._seen = await self._database.read(event_log.head)
        listening = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._listen(listening), name="spaces-bus-listen"),
            asyncio.create_task(self._follow(), name="spaces-bus-follow"),
        ]
        await listening.wait()

    async def publish(self, events: Sequence[Recorded]) -> None:
        """Wakes all nodes, this one too. Never waits for a subscriber; a database that is away is no error here."""
        if not events:
            return
        self._woken.set()
        try:
            await self._database.write(lambda c: c.execute(sa.select(sa.func.pg_notify(_CHANNEL, ""))).close())
        except StoreError as error:
            _log.warning("the other nodes were not told of events and will find them by looking: %s", error)

    def subscribe(self, space: SpaceId | None = None) -> AbstractAsyncContextManager[AsyncIterator[Recorded]]:
        """Events from now on, of one Space or of all. A subscriber who is too slow gets its iterator ended."""
        return self._local.subscribe(space)

    @property
    def subscribers(self) -> int:
        """How many listen now, in this process."""
        return self._local.subscribers

    async def aclose(self) -> None:
        """Stops listening and ends all iterators."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._local.aclose()

    async def __aenter__(self) -> Self:
        """Starts."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.aclose()

    async def _listen(self, listening: asyncio.Event) -> None:
        """Keeps a connection on which notifications come, for ever."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                connection = await asyncpg.connect(_dsn(self._database.url), timeout=_CONNECT_S)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                _log.warning("the event bus cannot reach the database: %s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                continue
            lost = asyncio.Event()
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(_CHANNEL, lambda *_: self._woken.set())
                pause = _FIRST_PAUSE_S
                self._woken.set()  # for what was committed while nobody listened
                listening.set()
                await lost.wait()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
            finally:
                # Not `close`, which waits for a server that may be gone.
                connection.terminate()
            self.reconnects += 1

    async def _follow(self) -> None:
        """Hands out what is new in the log, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._hand_out()
            except StoreError as error:
                _log.warning("the event bus cannot read the log: %s", error)
                await asyncio.sleep(_FIRST_PAUSE_S)
                self._woken.set()

    async def _hand_out(self) -> None:
        full = True
        while full:
            page = await self._database.read(partial(event_log.read_all, after_sequence=self._seen, limit=_PAGE))
            self._local.deliver(page)
            if page:
                self._seen = page[-1].sequence
            full = len(page) == _PAGE


def _dsn(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
