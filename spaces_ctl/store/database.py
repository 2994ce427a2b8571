"""One face for SQLite and PostgreSQL: units of work are plain functions on a connection.

    await database.write(lambda c: accounts.insert(c, account))

SQLite (`sqlite.py`): writes run one after the other in one thread, which commits those that wait together; reads run in
a pool of threads (WAL). PostgreSQL (`postgres.py`): asyncpg, a transaction each. Units are the same for both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, TypeVar

import sqlalchemy as sa

from spaces_ctl.store.errors import BadUrl

__all__ = ["Database", "Synchronous", "parse_url"]

T = TypeVar("T")

Synchronous = Literal["normal", "full"]
"""SQLite: what an acknowledged write survives. `full`: loss of power; `normal`: the death of the process only."""

_BACKENDS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql+asyncpg": "postgresql",
}


def parse_url(url: str) -> tuple[Literal["sqlite", "postgresql"], sa.URL]:
    """Which database the URL means. Raises BadUrl."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise BadUrl("the database URL is not of the form sqlite:///PATH or postgresql://USER@HOST/NAME") from None
    backend = _BACKENDS.get(parsed.drivername)
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise BadUrl("the SQLite URL names no file: use sqlite:///PATH")
        return "sqlite", parsed.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return "postgresql", parsed.set(drivername="postgresql+asyncpg")
    raise BadUrl(f"no database of kind {parsed.drivername!r} is supported: use sqlite:///PATH or postgresql://...")


class Database(ABC):
    """An open database, for one event loop. Made by `open`.

    A unit gets a connection inside a transaction. It must neither commit nor roll back, keeps what it returns free of
    open results, and may run again from its start (after a conflict or a lost connection), so it changes nothing but
    the database. Whatever it raises undoes its writes, alone, and is raised to the caller.
    A statement that fails aborts the unit on PostgreSQL: guard what may fail by `c.begin_nested()`.
    """

    dialect: Literal["sqlite", "postgresql"]

    def __init__(self, url: sa.URL) -> None:
        """Use `open`."""
        self.url = url
        self.units = 0
        """Write units that were committed."""
        self.commits = 0
        """Transactions that committed them."""

    @staticmethod
    async def open(
        url: str, *, synchronous: Synchronous = "full", readers: int = 4, connections: int = 10, timeout_s: float = 5
    ) -> Database:
        """Opens `sqlite:///PATH` (made if it is not there) or `postgresql://USER@HOST/NAME`.

        `synchronous` and `readers` (threads) are SQLite's, `connections` PostgreSQL's. `timeout_s` bounds the wait for
        a connection and for SQLite's lock. Raises BadUrl, Unreachable.
        """
        backend, parsed = parse_url(url)
        if backend == "sqlite":
            from spaces_ctl.store.sqlite import SqliteDatabase

            return await SqliteDatabase.connect(parsed, synchronous=synchronous, readers=readers, timeout_s=timeout_s)
        from spaces_ctl.store.postgres import PostgresDatabase

        return await PostgresDatabase.connect(parsed, connections=connections, timeout_s=timeout_s)

    async def create_tables(self) -> None:
        """All tables at once, for tests; deployments migrate."""
        from spaces_ctl.store.tables.all import metadata

        await self.write(lambda c: metadata.create_all(c))

    @abstractmethod
    async def read(self, unit: Callable[[sa.Connection], T]) -> T:
        """Runs `unit` on one snapshot of what is committed; it can write nothing. Raises Unavailable."""

    @abstractmethod
    async def write(self, unit: Callable[[sa.Connection], T]) -> T:
        """Runs `unit` in a transaction, committed when this returns. Raises Unavailable, and what `unit` raises.

        A caller who is cancelled while waiting does not know whether the unit was committed.
        """

    @abstractmethod
    async def scrub(self) -> None:
        """Overwrites what deleted rows have left in the files that we write, as far as this kind of database can.

        SQLite: the write-ahead log is emptied; the file was overwritten with zeros when the row was deleted.
        PostgreSQL: nothing (docs/retention.md). Raises Unavailable: ask again.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Finishes what was begun and closes every connection. Idempotent."""
