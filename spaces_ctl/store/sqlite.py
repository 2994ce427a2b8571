"""SQLite: write-ahead log, one writing thread with group commit (`writer.py`), a pool of reading threads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.pool import NullPool, QueuePool

from spaces_ctl.store.database import Database, Synchronous
from spaces_ctl.store.errors import Unavailable, Unreachable
from spaces_ctl.store.writer import Writer

__all__ = ["SqliteDatabase"]

T = TypeVar("T")

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}


class SqliteDatabase(Database):
    """A database file. Made by `Database.open`."""

    dialect = "sqlite"

    def __init__(self, url: sa.URL, synchronous: Synchronous, readers: int, timeout_s: float) -> None:
        """Use `Database.open`."""
        super().__init__(url)
        self._timeout_s = timeout_s
        common = [f"busy_timeout = {round(timeout_s * 1000)}", "foreign_keys = ON", f"synchronous = {synchronous}"]
        self._write_engine = sa.create_engine(url, poolclass=NullPool, connect_args={"check_same_thread": False})
        _configure(self._write_engine, [*common, "journal_mode = WAL", "secure_delete = ON"], "BEGIN IMMEDIATE")
        self._read_engine = sa.create_engine(
            url, poolclass=QueuePool, pool_size=readers, max_overflow=0, connect_args={"check_same_thread": False}
        )
        _configure(self._read_engine, [*common, "query_only = ON"], "BEGIN")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="spaces-db-read")
        self._writer = Writer(self._write_engine, _translated, self._count)
        self._closed = False

    @classmethod
    async def connect(cls, url: sa.URL, *, synchronous: Synchronous, readers: int, timeout_s: float) -> SqliteDatabase:
        """Opens the file, making it if its directory is there. Raises Unreachable."""
        path = Path(cast("str", url.database))
        if not path.parent.is_dir():
            raise Unreachable(f"cannot open the SQLite database {path}: there is no directory {path.parent}")
        database = cls(url, synchronous, readers, timeout_s)
        try:
            await database.write(lambda c: c.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one())
        except (sa.exc.DBAPIError, Unavailable) as error:
            await database.aclose()
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise Unreachable(f"cannot open the SQLite database {path}: {reason}") from None
        return database

    async def read(self, unit: Callable[[sa.Connection], T]) -> T:
        """See `Database.read`."""

        def run() -> T:
            with self._read_engine.connect() as connection, connection.begin():
                return unit(connection)

        if self._closed:
            raise Unavailable("the database was closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except sa.exc.DBAPIError as error:
            unavailable = _translated(error)
            if unavailable is error or _code(error) == sqlite3.SQLITE_READONLY:  # a unit that tried to write
                raise
            raise unavailable from error

    async def write(self, unit: Callable[[sa.Connection], T]) -> T:
        """See `Database.write`."""
        return cast("T", await self._writer.submit(unit))

    async def scrub(self) -> None:
        """See `Database.scrub`. Waits for readers, at most the database's timeout."""
        if self._closed:
            raise Unavailable("the database was closed")
        await asyncio.to_thread(self._empty_log)

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._stop)

    def _empty_log(self) -> None:
        with closing(sqlite3.connect(cast("str", self.url.database), timeout=self._timeout_s)) as connection:
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise Unavailable(f"SQLite: {error}") from error
        if busy:
            raise Unavailable("SQLite: somebody reads an old state of the write-ahead log")

    def _stop(self) -> None:
        self._writer.stop()
        self._readers.shutdown()
        self._write_engine.dispose()
        self._read_engine.dispose()

    def _count(self, units: int) -> None:
        self.units += units
        self.commits += 1


def _configure(engine: sa.Engine, pragmas: list[str], begin: str) -> None:
    """Sets up each connection, and takes transactions out of the driver's hands (it knows no savepoints)."""

    @sa.event.listens_for(engine, "connect")
    def connected(dbapi: sqlite3.Connection, _record: object) -> None:
        dbapi.isolation_level = None
        for pragma in pragmas:
            dbapi.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def _translated(error: BaseException) -> BaseException:
    """`Unavailable` for what is the database's state and not the statement's fault; anything else as it is."""
    if _code(error) & 0xFF not in _UNAVAILABLE:
        return error
    unavailable = Unavailable(f"SQLite: {getattr(error, 'orig', error)}")
    unavailable.__cause__ = error
    return unavailable


def _code(error: BaseException) -> int:
    """SQLite's extended result code; 0 for an error that is not its own."""
    code: int = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
    return code
