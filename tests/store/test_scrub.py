"""What was deleted is not to be found in SQLite's files."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable
from spaces_ctl.store.tables.recordings import recordings

KEY = b"a key that nobody shall find any more"


def row(space: int, key: bytes) -> dict[str, object]:
    return {"space": space, "key": key, "first_group": 0, "state": "closed", "summary": None}


async def held(tmp_path: Path, *, timeout_s: float = 5) -> Database:
    """A database in whose midst the key lies, on pages of their own for others too."""
    database = await Database.open(f"sqlite:///{tmp_path / 'it.db'}", timeout_s=timeout_s)
    await database.create_tables()
    rows = [row(number, KEY if number == 50 else b"x" * 3_000) for number in range(100)]
    await database.write(lambda c: c.execute(sa.insert(recordings), rows))
    await database.write(lambda c: c.execute(sa.delete(recordings).where(recordings.c.space != 7)))
    return database


def lies(tmp_path: Path) -> set[str]:
    return {path.suffix for path in tmp_path.iterdir() if KEY in path.read_bytes()}


async def test_a_deleted_key_is_in_no_file(tmp_path: Path) -> None:
    database = await held(tmp_path)
    assert lies(tmp_path) == {".db-wal"}
    await database.scrub()
    assert lies(tmp_path) == set()
    await database.aclose()
    assert lies(tmp_path) == set()


async def test_the_file_itself_is_overwritten(tmp_path: Path) -> None:
    """Were it not, the checkpoint would leave the key on a page that is free."""
    database = await held(tmp_path)
    assert await database.write(lambda c: c.exec_driver_sql("PRAGMA secure_delete").scalar_one()) == 1
    await database.aclose()


async def test_a_reader_of_the_past_makes_it_wait_and_it_is_asked_again(tmp_path: Path) -> None:
    database = await held(tmp_path, timeout_s=0.05)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'it.db'}")
    with engine.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT count(*) FROM recordings").scalar_one()
        await database.write(lambda c: c.execute(sa.insert(recordings), [row(8, b"y")]))
        with pytest.raises(Unavailable):
            await database.scrub()
    engine.dispose()
    await database.scrub()
    assert lies(tmp_path) == set()
    await database.aclose()
    with pytest.raises(Unavailable):
        await database.scrub()


async def test_postgresql_has_nothing_of_the_kind(database: Database) -> None:
    await database.scrub()
