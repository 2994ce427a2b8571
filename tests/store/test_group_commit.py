"""SQLite's writer: what waits together is committed together, and nobody hears of a commit before it is made."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable
from tests.support.patience import PATIENCE_S

things = sa.Table("things", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True))


def insert(c: sa.Connection, id: int) -> None:
    c.execute(things.insert().values(id=id))


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'spaces.db'}", timeout_s=0.05)
    await database.write(things.create)
    yield database
    await database.aclose()


class Gate:
    """Holds the writer's thread inside a unit until opened, so that what comes meanwhile waits together."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def unit(self, c: sa.Connection) -> None:
        self.entered.set()
        assert self.opened.wait(PATIENCE_S)


async def queued(db: Database, count: int) -> tuple[Gate, list[asyncio.Task[None]]]:
    """The writer is in the gate and `count` units wait behind it."""
    gate = Gate()
    tasks = [asyncio.create_task(db.write(gate.unit))]
    tasks += [asyncio.create_task(db.write(partial(insert, id=i))) for i in range(count)]
    await asyncio.sleep(0)
    assert await asyncio.to_thread(gate.entered.wait, 10)
    return gate, tasks


async def test_units_that_wait_together_share_one_commit(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_ctl.store.writer._LONGEST_S", 60)
    commits, units = db.commits, db.units
    gate, tasks = await queued(db, 100)
    gate.opened.set()
    await asyncio.gather(*tasks)
    assert db.commits - commits == 1
    assert db.units - units == 101


async def test_a_transaction_is_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_ctl.store.writer._LONGEST_S", 60)
    monkeypatch.setattr("spaces_ctl.store.writer._MOST_UNITS", 10)
    commits = db.commits
    gate, tasks = await queued(db, 99)
    gate.opened.set()
    await asyncio.gather(*tasks)
    assert db.commits - commits == 10


async def test_no_caller_has_an_answer_before_the_commit(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second unit of a transaction holds it open: the first has run, is not committed, and has no answer."""
    monkeypatch.setattr("spaces_ctl.store.writer._LONGEST_S", 60)
    first_gate = Gate()
    tasks = [asyncio.create_task(db.write(first_gate.unit))]
    tasks.append(asyncio.create_task(db.write(lambda c: insert(c, 1))))
    second_gate = Gate()
    tasks.append(asyncio.create_task(db.write(second_gate.unit)))
    await asyncio.sleep(0)
    first_gate.opened.set()
    assert await asyncio.to_thread(second_gate.entered.wait, 10)
    assert await db.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(things))) == 0
    assert not any(task.done() for task in tasks)
    second_gate.opened.set()
    await asyncio.gather(*tasks)
    assert await db.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(things))) == 1


async def test_a_unit_that_commits_is_refused_by_name(db: Database) -> None:
    with pytest.raises(RuntimeError, match="neither commit nor roll back"):
        await db.write(lambda c: c.commit())
    with pytest.raises(RuntimeError, match="neither commit nor roll back"):
        await db.write(lambda c: c.rollback())
    await db.write(lambda c: insert(c, 1))


async def test_units_that_ran_in_a_lost_transaction_fail_with_it(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit finds the disk full: nothing is in the database, and everybody is told."""
    monkeypatch.setattr("spaces_ctl.store.writer._LONGEST_S", 60)

    def no_more_room(c: sa.Connection) -> None:
        raw = c.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {pages}")
        raw.execute("CREATE TABLE large AS SELECT zeroblob(1000000) AS x")

    gate, tasks = await queued(db, 3)
    full = asyncio.create_task(db.write(no_more_room))
    await asyncio.sleep(0)
    gate.opened.set()
    results = await asyncio.gather(*tasks, full, return_exceptions=True)
    stored = await db.read(lambda c: list(c.scalars(sa.select(things.c.id))))
    answered = [i for i, r in enumerate(results[1:4]) if r is None]
    assert isinstance(results[-1], Unavailable)
    assert stored == answered
    await db.write(lambda c: insert(c, 50))  # on a new connection, which has room again


async def test_a_database_that_another_process_holds_is_unavailable_and_recovers(db: Database, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "spaces.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await db.write(lambda c: insert(c, 1))
    other.execute("ROLLBACK")
    other.close()
    await db.write(lambda c: insert(c, 2))
    assert await db.read(lambda c: list(c.scalars(sa.select(things.c.id)))) == [2]


async def test_units_queued_before_closing_are_committed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'closing.db'}"
    database = await Database.open(url)
    await database.write(things.create)
    tasks = [asyncio.create_task(database.write(partial(insert, id=i))) for i in range(20)]
    await asyncio.sleep(0)
    await database.aclose()
    await asyncio.gather(*tasks)
    database = await Database.open(url)
    assert await database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(things))) == 20
    await database.aclose()
