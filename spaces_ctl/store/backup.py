"""Backup and restore of the whole database, in one format for both kinds: restoring elsewhere is moving there.

A backup is read in one snapshot while everybody goes on writing; a restore is one transaction, into an empty database.
Both stream: memory is bounded by some hundred rows. On PostgreSQL they work in the caller's event loop, file access
included: run them in a process of their own (`spaces db backup`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock, SystemClock
from spaces_ctl.store import backup_file, migrate
from spaces_ctl.store.backup_file import Header, Rows
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import BadBackup, NotEmpty, WrongSchema
from spaces_ctl.store.tables.all import metadata

__all__ = ["Progress", "Report", "backup", "inspect", "restore"]

_BATCH = 500

Progress = Callable[[str, int, int], None]
"""Is told a table, how many of its rows are done, and how many there are."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was written or read."""

    revision: str
    created_ms: int
    rows: dict[str, int]
    """By table."""


async def backup(url: str, path: Path, *, progress: Progress | None = None, clock: Clock | None = None) -> Report:
    """Writes everything that is committed now into a new file at `path`. It holds secrets: its mode is 0600.

    Raises WrongSchema, BadUrl, Unreachable, Unavailable, FileExistsError, OSError.
    """
    database = await Database.open(url)
    try:
        await migrate.check(database)
        now_ms = (clock or SystemClock()).now_ms()
        return await database.read(lambda c: _write(c, path, now_ms, progress))
    finally:
        await database.aclose()


async def restore(url: str, path: Path, *, progress: Progress | None = None) -> Report:
    """Fills an empty database from a backup; makes the schema if there is none. All of it or nothing.

    Raises BadBackup (no backup, damaged, of another schema), NotEmpty, WrongSchema, BadUrl, Unreachable, Unavailable,
    OSError.
    """
    report = inspect(path)
    with backup_file.reading(path) as reader:  # to the end, so that no row of a damaged file reaches the database
        reader.header()
        for _ in reader.rows():
            pass
    if report.revision != migrate.head():
        raise BadBackup(
            f"the backup is of schema revision {report.revision}, this version of Spaces has {migrate.head()}: restore "
            "it with the version that made it, then run `spaces db migrate`"
        )
    database = await Database.open(url)
    try:
        await database.write(lambda c: _read(c, path, progress))
    finally:
        await database.aclose()
    return report


def inspect(path: Path) -> Report:
    """What a backup says of itself; only its beginning is read. Raises BadBackup, OSError."""
    with backup_file.reading(path) as reader:
        header = reader.header()
    return Report(revision=header.revision, created_ms=header.created_ms, rows=header.rows)


def _write(c: sa.Connection, path: Path, now_ms: int, progress: Progress | None) -> Report:
    counts = {_name(table): _count(c, table) for table in metadata.sorted_tables}
    header = Header(revision=migrate.head(), created_ms=now_ms, columns=_columns(), rows=counts)
    with backup_file.writing(path) as writer:
        writer.write(header)
        for table in metadata.sorted_tables:
            name, done = _name(table), 0
            query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
            for rows in c.execute(query).partitions():
                writer.write(Rows(table=name, rows=[list(row) for row in rows]))
                done += len(rows)
                if progress is not None:
                    progress(name, done, counts[name])
    return Report(revision=header.revision, created_ms=now_ms, rows=counts)


def _read(c: sa.Connection, path: Path, progress: Progress | None) -> None:
    _prepare(c)
    with backup_file.reading(path) as reader:
        header = reader.header()
        if header.columns != _columns():
            raise BadBackup("the backup's tables are not those of its schema revision")
        done = dict.fromkeys(header.rows, 0)
        for batch in reader.rows():
            if batch.table not in done:
                raise BadBackup(f"the backup is damaged: rows of no table of its own, {batch.table!r}")
            _insert(c, metadata.tables[batch.table], batch.rows)
            done[batch.table] += len(batch.rows)
            if progress is not None:
                progress(batch.table, done[batch.table], header.rows[batch.table])
        if done != header.rows:
            raise BadBackup("the backup is damaged: it has not the rows that it says it has")
    if c.dialect.name == "postgresql":
        _set_sequences(c)


def _prepare(c: sa.Connection) -> None:
    """An empty schema of ours; raises NotEmpty, WrongSchema."""
    revision = migrate.revision_of(c)
    if revision is None:
        migrate.upgrade_on(c)
    elif revision != migrate.head():
        raise WrongSchema(f"the database is at revision {revision}, not {migrate.head()}: run `spaces db migrate`")
    for table in metadata.sorted_tables:
        if c.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise NotEmpty(f"the database is not empty: there are rows in {table.name}")


def _insert(c: sa.Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Inserts rows; None is NULL, in JSON columns too."""
    names = table.columns.keys()
    if any(len(row) != len(names) for row in rows):
        raise BadBackup(f"the backup is damaged: a row of {table.name} has not its columns")
    nulls = {
        column.name: sa.bindparam(column.name, type_=sa.JSON(none_as_null=True))
        for column in table.columns
        if isinstance(column.type, sa.JSON)
    }
    insert = sa.insert(table).values(nulls) if nulls else sa.insert(table)
    c.execute(insert, [dict(zip(names, row, strict=True)) for row in rows])


def _set_sequences(c: sa.Connection) -> None:
    """Numbers that PostgreSQL gives out itself go on after those that were restored."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = c.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
        last = c.scalar(sa.select(sa.func.max(column)))
        if sequence is not None and last is not None:
            c.execute(sa.select(sa.func.setval(sequence, last)))


def _columns() -> dict[str, list[str]]:
    return {_name(table): [str(column.name) for column in table.columns] for table in metadata.sorted_tables}


def _name(table: sa.Table) -> str:
    """SQLAlchemy's names may be of a subclass of str, which msgspec does not encode."""
    return str(table.name)


def _count(c: sa.Connection, table: sa.Table) -> int:
    return c.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
