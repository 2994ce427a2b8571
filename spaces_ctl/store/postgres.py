"""PostgreSQL through asyncpg: a transaction per unit, units run by SQLAlchemy's `run_sync`.

Writes are READ COMMITTED: a unit that checks something and then writes, where others may write the same, must hold a
lock while it does (`event_log.append` is one; a unique constraint and `FOR UPDATE` are others). With
SERIALIZABLE, waiting for the log's lock would make every waiter fail, as its snapshot is older than its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable, Unreachable

__all__ = ["PostgresDatabase"]

T = TypeVar("T")

_ATTEMPTS = 8
_BACKOFF_S = 0.002
_SERVER_SETTINGS = {
    "application_name": "spaces",
    # A node that hangs within a unit must not hold the log's lock for ever.
    "idle_in_transaction_session_timeout": "15000",
    "lock_timeout": "15000",
}
_COMMAND_TIMEOUT_S = 60
"""Bounds every statement, also where the network swallows the answer."""


class _Kind(Enum):
    """What an error says about trying again."""

    CONFLICT = auto()
    """Two transactions were in each other's way (PostgreSQL class 40); trying again helps."""
    LOST = auto()
    """The connection broke; the next one may be good, as after a restart of the server."""
    DOWN = auto()
    """The server cannot do it now."""
    OTHER = auto()


class PostgresDatabase(Database):
    """A database on a PostgreSQL server, 15 or newer. Made by `Database.open`."""

    dialect = "postgresql"

    def __init__(self, url: sa.URL, connections: int, timeout_s: float) -> None:
        """Use `Database.open`."""
        super().__init__(url)
        self._engine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=max(timeout_s, 10),
            connect_args={
                "timeout": timeout_s,
                "command_timeout": _COMMAND_TIMEOUT_S,
                "server_settings": _SERVER_SETTINGS,
            },
        )
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._closed = False

    @classmethod
    async def connect(cls, url: sa.URL, *, connections: int, timeout_s: float) -> PostgresDatabase:
        """Makes a first connection. Raises Unreachable."""
        database = cls(url, connections, timeout_s)
        try:
            async with database._engine.connect():
                pass
        except Exception as error:
            await database.aclose()
            where = url.set(drivername="postgresql").render_as_string(hide_password=True)
            raise Unreachable(f"cannot reach the database {where}: {_reason(error)}") from None
        return database

    async def read(self, unit: Callable[[sa.Connection], T]) -> T:
        """See `Database.read`."""
        return await self._run(self._snapshots, unit, commit=False)

    async def write(self, unit: Callable[[sa.Connection], T]) -> T:
        """See `Database.write`."""
        value = await self._run(self._engine, unit, commit=True)
        self.units += 1
        self.commits += 1
        return value

    async def scrub(self) -> None:
        """See `Database.scrub`."""

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        self._closed = True
        await self._engine.dispose()

    async def _run(self, engine: AsyncEngine, unit: Callable[[sa.Connection], T], *, commit: bool) -> T:
        if self._closed:
            raise Unavailable("the database was closed")
        lost = False
        for attempt in range(_ATTEMPTS):
            committing = False
            try:
                async with engine.connect() as connection:
                    value = await connection.run_sync(unit)
                    committing = commit
                    if commit:
                        await connection.commit()
                    return value
            except Exception as error:
                kind = _kind(error, writing=commit)
                if kind is _Kind.OTHER:
                    raise
                if kind is _Kind.DOWN or (kind is _Kind.LOST and (committing or lost)):
                    raise Unavailable(
                        f"PostgreSQL: {_reason(error)}", uncertain=committing and kind is _Kind.LOST
                    ) from error
                lost = lost or kind is _Kind.LOST
            await asyncio.sleep(_BACKOFF_S * 2**attempt if not lost else 0)
        raise Unavailable("PostgreSQL: too many transactions are in each other's way")


def _kind(error: Exception, *, writing: bool) -> _Kind:
    if isinstance(error, sa.exc.TimeoutError):
        return _Kind.DOWN  # no free connection in the pool
    if isinstance(error, sa.exc.DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in ("40001", "40P01"):
            return _Kind.CONFLICT
        if error.connection_invalidated or state[:2] == "08" or state in ("57P01", "57P02", "25P03"):
            return _Kind.LOST
        if state[:2] in ("53", "57", "58") or state in ("55000", "55P03"):
            return _Kind.DOWN
        if state == "25006" and writing:
            return _Kind.DOWN  # the server has become a standby
        if isinstance(error, sa.exc.InterfaceError) and not state:
            return _Kind.LOST  # asyncpg's own: "connection is closed", "the underlying connection is closed"
        return _Kind.OTHER
    # From the driver's `connect`, unwrapped.
    if isinstance(error, OSError | TimeoutError) or type(error).__module__.startswith("asyncpg."):
        return _Kind.DOWN
    return _Kind.OTHER


def _reason(error: BaseException) -> str:
    """One line without SQL or parameters."""
    original = getattr(error, "orig", None) or error
    cause = original.__cause__ or original
    text = str(cause).strip().splitlines()
    return text[0] if text else type(cause).__name__
