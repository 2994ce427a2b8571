"""Units of work on both databases: what is committed, what is taken back, what is answered without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import BadUrl, Unavailable, Unreachable
from tests.support.databases import PostgresCluster
from tests.support.patience import PATIENCE_S

things = sa.Table(
    "things", sa.MetaData(), sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("name", sa.String)
)


def insert(c: sa.Connection, id: int, name: str = "") -> int:
    c.execute(things.insert().values(id=id, name=name))
    return id


def ids(c: sa.Connection) -> list[int]:
    return list(c.scalars(sa.select(things.c.id).order_by(things.c.id)))


@pytest.fixture
async def db(empty_database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(empty_database_url)
    await database.write(things.create)
    yield database
    await database.aclose()


async def test_a_write_is_read_afterwards(db: Database) -> None:
    assert await db.write(lambda c: insert(c, 7, "seven")) == 7
    assert await db.read(ids) == [7]


async def test_a_unit_that_raises_takes_back_all_its_writes_and_nothing_else(db: Database) -> None:
    def half(c: sa.Connection) -> int:
        insert(c, 100)
        raise LookupError("on purpose")

    results = await asyncio.gather(
        *(db.write(partial(insert, id=i) if i % 3 else half) for i in range(12)), return_exceptions=True
    )

    assert [type(r) is LookupError for r in results] == [i % 3 == 0 for i in range(12)]
    assert await db.read(ids) == [i for i in range(12) if i % 3]


async def test_a_statement_that_fails_is_the_caller_s_error_and_the_database_goes_on(db: Database) -> None:
    await db.write(lambda c: insert(c, 1))
    with pytest.raises(sa.exc.IntegrityError):
        await db.write(lambda c: insert(c, 1))
    with pytest.raises(sa.exc.DBAPIError):
        await db.write(lambda c: c.exec_driver_sql("SELECT nonsense"))
    with pytest.raises(sa.exc.DBAPIError):
        await db.read(lambda c: c.exec_driver_sql("SELECT nonsense"))
    await db.write(lambda c: insert(c, 2))
    assert await db.read(ids) == [1, 2]


async def test_what_may_fail_can_be_guarded_within_a_unit(db: Database) -> None:
    def unit(c: sa.Connection) -> None:
        insert(c, 1)
        with pytest.raises(sa.exc.IntegrityError), c.begin_nested():
            insert(c, 1)
        insert(c, 2)

    await db.write(unit)
    assert await db.read(ids) == [1, 2]


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        await db.read(lambda c: insert(c, 1))
    assert await db.read(ids) == []


async def test_a_read_sees_one_snapshot(db: Database) -> None:
    """A write that is committed in the middle of a read is not seen by it."""
    await db.write(lambda c: insert(c, 1))
    other = await Database.open(db.url.render_as_string(hide_password=False))
    before = await db.read(ids)

    def twice(c: sa.Connection) -> tuple[list[int], list[int]]:
        first = ids(c)
        # On another connection; committed before this returns.
        if db.dialect == "sqlite":
            asyncio.run_coroutine_threadsafe(other.write(lambda c: insert(c, 2)), loop).result(PATIENCE_S)
        else:
            sa.util.await_only(other.write(lambda c: insert(c, 2)))
        return first, ids(c)

    loop = asyncio.get_running_loop()
    assert await db.read(twice) == (before, before)
    assert await db.read(ids) == [1, 2]
    await other.aclose()


async def test_a_cancelled_caller_harms_nobody(db: Database) -> None:
    tasks = [asyncio.create_task(db.write(partial(insert, id=i))) for i in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [r for i, r in enumerate(results) if i != 2] == [0, 1, 3, 4]
    assert set(await db.read(ids)) >= {0, 1, 3, 4}


async def test_a_closed_database_says_so(empty_database_url: str) -> None:
    database = await Database.open(empty_database_url)
    await database.aclose()
    await database.aclose()
    with pytest.raises(Unavailable):
        await database.read(lambda c: None)
    with pytest.raises(Unavailable):
        await database.write(lambda c: None)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "postgresql://host:port/x"]
)
async def test_a_wrong_url_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(BadUrl) as caught:
        await Database.open(url)
    assert "\n" not in str(caught.value)
    assert "URL" in str(caught.value) or "supported" in str(caught.value)


async def test_an_sqlite_file_that_cannot_be_opened_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no directory"):
        await Database.open(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    (tmp_path / "text.db").write_text("this is not a database, whatever its name says" * 100)
    with pytest.raises(Unreachable, match="not a database"):
        await Database.open(f"sqlite:///{tmp_path / 'text.db'}")
    with pytest.raises(Unreachable):
        await Database.open(f"sqlite:///{tmp_path}")


async def test_a_postgresql_that_cannot_be_reached_is_one_clear_line_without_the_password(
    postgres_cluster: PostgresCluster, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable, match='"no_such_database" does not exist'):
        await Database.open(postgres_cluster.url("no_such_database"))
    with pytest.raises(Unreachable, match='role "stranger" does not exist'):
        await Database.open(f"postgresql://stranger:secret@/postgres?host={postgres_cluster.directory}")
    with pytest.raises(Unreachable) as caught:
        await Database.open(f"postgresql://somebody:secret@/postgres?host={tmp_path}")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(Unreachable, match=r"refused|Connect"):
        await Database.open("postgresql://somebody@127.0.0.1:1/postgres")


@pytest.fixture
async def postgres(postgres_cluster: PostgresCluster) -> AsyncIterator[Database]:
    name = await postgres_cluster.create(tables=False)
    database = await Database.open(postgres_cluster.url(name))
    await database.write(things.create)
    yield database
    await database.aclose()
    await postgres_cluster.drop(name)


def _disconnect_all(postgres: Database) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{postgres.url.database}'"


async def test_lost_postgresql_connections_are_replaced_unseen(
    postgres: Database, postgres_cluster: PostgresCluster
) -> None:
    await asyncio.gather(*(postgres.write(partial(insert, id=i)) for i in range(5)))
    await postgres_cluster.sql(_disconnect_all(postgres))
    await postgres.write(lambda c: insert(c, 5))
    assert await postgres.read(ids) == [0, 1, 2, 3, 4, 5]


async def test_while_postgresql_is_away_units_are_refused_and_afterwards_they_work(
    postgres: Database, postgres_cluster: PostgresCluster
) -> None:
    await postgres_cluster.sql(f"ALTER DATABASE {postgres.url.database} ALLOW_CONNECTIONS false")
    await postgres_cluster.sql(_disconnect_all(postgres))
    with pytest.raises(Unavailable):
        await postgres.read(ids)
    with pytest.raises(Unavailable) as caught:
        await postgres.write(lambda c: insert(c, 1))
    assert not caught.value.uncertain
    await postgres_cluster.sql(f"ALTER DATABASE {postgres.url.database} ALLOW_CONNECTIONS true")
    await postgres.write(lambda c: insert(c, 2))
    assert await postgres.read(ids) == [2]


async def test_deadlocked_postgresql_units_run_again(postgres: Database) -> None:
    """Two units lock two rows in opposite order, each holding one before the other goes on."""
    await postgres.write(lambda c: [insert(c, 1), insert(c, 2)])
    barrier = asyncio.Barrier(2)
    runs: list[int] = []

    def unit(c: sa.Connection, first: int, second: int) -> None:
        runs.append(first)
        c.execute(things.update().where(things.c.id == first).values(name=f"{first}"))
        if len(runs) <= 2:
            sa.util.await_only(barrier.wait())
        c.execute(things.update().where(things.c.id == second).values(name=f"{first}"))

    await asyncio.gather(postgres.write(lambda c: unit(c, 1, 2)), postgres.write(lambda c: unit(c, 2, 1)))
    assert len(runs) == 3
