"""Backup and restore, from either kind of database into either kind."""

from __future__ import annotations

import asyncio
import gzip
import random
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from spaces_ctl import events as ev
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import SYSTEM, Status
from spaces_ctl.store import backup, event_log, migrate, search
from spaces_ctl.store.backup import Report
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import BadBackup, NotEmpty, WrongSchema
from spaces_ctl.store.tables.all import metadata
from tests.store.happenings import random_life
from tests.support.databases import PostgresCluster
from tests.support.patience import PATIENCE_S

Fresh = Callable[[str], Awaitable[str]]


@pytest.fixture
async def fresh(tmp_path: Path, postgres_cluster: PostgresCluster) -> AsyncIterator[Fresh]:
    """Makes URLs of new databases without tables, of the kind asked for."""
    made: list[str] = []

    async def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'{random.randrange(10**9)}.db'}"
        made.append(await postgres_cluster.create(tables=False))
        return postgres_cluster.url(made[-1])

    yield make
    for name in made:
        await postgres_cluster.drop(name)


async def fill(url: str, *, spaces: int = 3) -> None:
    """Some Spaces with all that belongs to them, and one row with odd values in every other table."""
    await migrate.upgrade(url)
    database = await Database.open(url, synchronous="normal")
    for space in range(1, spaces + 1):
        await database.write(partial(random_life, rng=random.Random(space), space=space, commits=60))
        await database.write(partial(search.put_names, space=space, names=["Ünïcödé"]))

    def everything_else(c: sa.Connection) -> None:
        for table in metadata.sorted_tables:
            if c.execute(sa.select(table).limit(1)).first() is None:
                c.execute(sa.insert(table).values({column.name: odd(column) for column in table.columns}))

    await database.write(everything_else)
    await database.aclose()


def odd(column: sa.Column[Any]) -> Any:
    """A value that a careless format would lose."""
    if column.foreign_keys:
        return None if column.nullable else 1
    match column.type:
        case sa.Boolean():
            return True
        case sa.BigInteger():
            return 2**63 - 1
        case sa.Integer():
            return 2**31 - 1
        case sa.Float():
            return 0.1 + 0.2
        case sa.LargeBinary():
            return bytes(range(256))
        case sa.JSON():
            return sa.null() if column.nullable else {"a": [1, None, "ü", 1.5], "ü": {}}
        case sa.String(length=length):
            return None if column.nullable else "ü'\"\\\n\t🐎"[: length or 99]
    raise AssertionError(f"{column} is of a type that backups do not know: {column.type!r}")


async def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows; of JSON that may be missing, whether it is: a JSON null is not."""

    def unit(c: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
        found = {}
        for table in metadata.sorted_tables:
            columns = [
                sa.cast(x, sa.Text).is_(None) if isinstance(x.type, sa.JSON) and x.nullable else x
                for x in table.columns
            ]
            found[table.name] = [tuple(row) for row in c.execute(sa.select(*columns).order_by(*table.primary_key))]
        return found

    database = await Database.open(url)
    try:
        return await database.read(unit)
    finally:
        await database.aclose()


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
async def test_everything_comes_back_in_either_kind(fresh: Fresh, tmp_path: Path, source: str, target: str) -> None:
    old, new, path = await fresh(source), await fresh(target), tmp_path / "spaces.backup"
    await fill(old)
    told: list[tuple[str, int, int]] = []
    report = await backup.backup(old, path, progress=lambda *a: told.append(a), clock=ManualClock(77))
    before = await contents(old)
    assert all(before.values())
    assert report == Report(
        revision=migrate.head(), created_ms=77, rows={name: len(rows) for name, rows in before.items()}
    )
    assert {name: done for name, done, total in told if done == total} == report.rows
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    assert await backup.restore(new, path) == report
    assert await contents(new) == before
    # What is not in the tables works too: the full-text index, and the log goes on where it was.
    database = await Database.open(new)
    assert await database.read(partial(search.search, query="unicode", states=list(Status))) == [3, 2, 1]
    assert await database.read(migrate.differences) == []
    last = await database.read(event_log.head)
    appended = await database.write(lambda c: event_log.append(c, 99, 0, [ev.Unmuted(account=1)], SYSTEM, 0))
    assert appended[0].sequence == last + 1
    await database.aclose()


def test_every_column_is_of_a_type_that_backups_carry() -> None:
    for table in metadata.sorted_tables:
        assert table.primary_key.columns, f"{table} has no primary key to be read by"
        for column in table.columns:
            odd(column)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_backup_is_one_moment_while_writing_goes_on(fresh: Fresh, tmp_path: Path, kind: str) -> None:
    """Writes are committed between two tables: none of them is in the file, for any table."""
    url, path = await fresh(kind), tmp_path / f"{kind}.backup"
    await fill(url)
    before = await contents(url)
    other = await Database.open(url)
    loop = asyncio.get_running_loop()
    written: list[str] = []

    def meanwhile(table: str, _done: int, _total: int) -> None:
        work = other.write(lambda c: random_life(c, random.Random(1), 1_000 + len(written), 2))
        if kind == "sqlite":
            asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)
        else:
            sa.util.await_only(work)
        written.append(table)

    await backup.backup(url, path, progress=meanwhile)
    await other.aclose()
    assert len(written) >= len(metadata.tables)
    assert await contents(url) != before
    new = await fresh("sqlite")
    await backup.restore(new, path)
    assert await contents(new) == before


async def test_a_database_with_anything_in_it_is_refused(fresh: Fresh, tmp_path: Path) -> None:
    url, path = await fresh("sqlite"), tmp_path / "spaces.backup"
    await fill(url)
    await backup.backup(url, path)
    for kind in ("sqlite", "postgresql"):
        target = await fresh(kind)
        await migrate.upgrade(target)
        await backup.restore(target, path)  # migrated, but empty
        with pytest.raises(NotEmpty, match="rows in"):
            await backup.restore(target, path)


async def test_foreign_revisions_are_refused(fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, path = await fresh("sqlite"), tmp_path / "spaces.backup"
    with pytest.raises(WrongSchema, match="no schema"):
        await backup.backup(url, path)
    await migrate.upgrade(url)
    with monkeypatch.context() as other:
        other.setattr("spaces_ctl.store.migrate.head", lambda: "0000")
        database = await Database.open(url)
        await database.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'").close())
        await database.aclose()
        await backup.backup(url, path)
    with pytest.raises(BadBackup, match="revision 0000"):
        await backup.restore(await fresh("sqlite"), path)
    with pytest.raises(WrongSchema, match="0000"):
        await backup.backup(url, tmp_path / "other.backup")


async def test_damage_of_any_kind_is_found_and_leaves_the_target_empty(fresh: Fresh, tmp_path: Path) -> None:
    url, path = await fresh("sqlite"), tmp_path / "spaces.backup"
    await fill(url, spaces=1)
    await backup.backup(url, path)
    whole, raw = path.read_bytes(), gzip.decompress(path.read_bytes())
    rng = random.Random(3)
    damaged = [b"", b"no backup at all", gzip.compress(b"no backup at all"), whole[:-1], whole[: len(whole) // 2]]
    damaged += [gzip.compress(raw[:-5]), gzip.compress(raw + b"x"), gzip.compress(raw[: len(raw) // 2])]
    for _ in range(25):
        place = rng.randrange(len(raw))
        damaged.append(gzip.compress(raw[:place] + bytes([raw[place] ^ (1 << rng.randrange(8))]) + raw[place + 1 :]))
    targets = [await fresh("sqlite"), await fresh("postgresql")]
    for number, content in enumerate(damaged):
        (tmp_path / "damaged").write_bytes(content)
        target = targets[number % 2]
        with pytest.raises(BadBackup):
            await backup.restore(target, tmp_path / "damaged")
        assert await migrate.current(target) is None
    for target in targets:
        await backup.restore(target, path)


async def test_a_file_that_is_there_is_not_overwritten_and_a_failed_backup_leaves_none(
    fresh: Fresh, tmp_path: Path
) -> None:
    url, path = await fresh("sqlite"), tmp_path / "out" / "spaces.backup"
    await fill(url, spaces=1)
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        await backup.backup(url, path)
    assert path.read_text() == "precious"
    path.unlink()

    def fails(table: str, _done: int, _total: int) -> None:
        if table == "spaces":
            raise LookupError("on purpose")

    with pytest.raises(LookupError):
        await backup.backup(url, path, progress=fails)
    assert list(path.parent.iterdir()) == []
