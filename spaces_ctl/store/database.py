"""One face for SQLite and PostgreSQL: units of work are plain functions on a connection.

    await database.write(lambda c: accounts.insert(c, account))

SQLite: writes run one after the other in one thread, which commits those that wait together (group commit); reads run
in a pool of threads (WAL). PostgreSQL: asyncpg, a transaction each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import sqlalchemy as sa

T = TypeVar("T")


class Database:
    """An open database. Made by `open`."""

    def __init__(self, engine: sa.Engine) -> None:
        """Use `open`."""
        self._engine = engine
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="spaces-db-write")
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="spaces-db-read")

    @classmethod
    async def open(cls, url: str) -> Self:
        """Opens `sqlite:///PATH` or `postgresql://...`."""
        return cls(sa.create_engine(url, connect_args={"check_same_thread": False}))

    async def create_tables(self) -> None:
        """All tables at once, for tests; deployments migrate."""
        from spaces_ctl.store.tables.all import metadata

        await self.write(lambda c: metadata.create_all(c))

    async def read(self, unit: Callable[[sa.Connection], T]) -> T:
        """Runs `unit` on a connection that only reads."""

        def run() -> T:
            with self._engine.connect() as connection:
                return unit(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(self, unit: Callable[[sa.Connection], T]) -> T:
        """Runs `unit` in a transaction, committed when this returns. `unit` may run again after a conflict."""

        def run() -> T:
            with self._engine.begin() as connection:
                return unit(connection)

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)

    async def aclose(self) -> None:
        """Closes every connection."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()
