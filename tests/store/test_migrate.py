"""Migrations on both databases: they make what the tables say, go back, and guard the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from spaces_ctl.store import migrate
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unreachable, WrongSchema
from tests.support.databases import PostgresCluster


def schema(c: sa.Connection) -> list[tuple[Any, ...]]:
    """The whole schema as the database itself tells it, without alembic's own table."""
    if c.dialect.name == "sqlite":
        query = "SELECT type, name, tbl_name FROM sqlite_master WHERE tbl_name <> 'alembic_version'"
        found = [tuple(row) for row in c.exec_driver_sql(query)]
        for _, name, _ in [row for row in found if row[0] == "table"]:
            found += [(name, *row[1:]) for row in c.exec_driver_sql(f"PRAGMA table_xinfo('{name}')")]
        # Indexes of constraints have no text; others are compared by it.
        query = "SELECT name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL"
        return sorted([*found, *(tuple(row) for row in c.exec_driver_sql(query))], key=repr)
    queries = [
        "SELECT table_name, column_name, data_type, is_nullable, column_default, character_maximum_length, is_identity "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass",
    ]
    found = [tuple(row) for query in queries[:2] for row in c.exec_driver_sql(query)]
    if sa.inspect(c).has_table("alembic_version"):
        found += [tuple(row) for row in c.exec_driver_sql(queries[2])]
    else:
        found += [tuple(row) for row in c.exec_driver_sql(queries[2].split(" AND conrelid")[0])]
    return sorted(found, key=repr)


async def read(url: str, unit: Any) -> Any:
    database = await Database.open(url)
    try:
        return await database.read(unit)
    finally:
        await database.aclose()


async def test_migrated_is_what_the_tables_say(empty_database_url: str) -> None:
    """Alembic sees no difference; nor is there one from tables made without it, as the database itself tells."""
    assert await migrate.upgrade(empty_database_url) == migrate.head()
    assert await read(empty_database_url, migrate.differences) == []
    migrated = await read(empty_database_url, schema)
    await migrate.downgrade(empty_database_url, "base")
    database = await Database.open(empty_database_url)
    await database.create_tables()
    made = await database.read(schema)
    await database.aclose()
    assert len(made) > 300
    assert migrated == made


async def test_a_table_that_the_migration_lacks_is_seen(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    database = await Database.open(empty_database_url)
    await database.write(lambda c: c.exec_driver_sql("ALTER TABLE spaces DROP COLUMN lang").close())
    await database.write(lambda c: c.exec_driver_sql("DROP TABLE tickets").close())
    found = await database.read(migrate.differences)
    assert {"add_column", "add_table"} <= {difference[0] for difference in found}
    await database.aclose()


async def test_back_to_nothing_and_forth_again(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    before = await read(empty_database_url, schema)
    await migrate.downgrade(empty_database_url, "base")
    assert await read(empty_database_url, schema) == []
    assert await migrate.current(empty_database_url) is None
    await migrate.upgrade(empty_database_url)
    await migrate.upgrade(empty_database_url)
    assert await read(empty_database_url, schema) == before


async def test_a_server_serves_on_its_own_schema_only(empty_database_url: str) -> None:
    database = await Database.open(empty_database_url)
    with pytest.raises(WrongSchema, match="no schema yet: run `spaces db migrate`"):
        await migrate.check(database)
    await migrate.upgrade(empty_database_url)
    await migrate.check(database)
    assert await migrate.current(empty_database_url) == migrate.head()
    await database.write(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = 'f00d'").close())
    with pytest.raises(WrongSchema, match="f00d, which this version of Spaces"):
        await migrate.check(database)
    with pytest.raises(WrongSchema, match="cannot be migrated"):
        await migrate.upgrade(empty_database_url)
    await database.aclose()


async def test_tables_that_no_migration_made_are_not_touched(database_url: str) -> None:
    with pytest.raises(WrongSchema, match="tables but no revision"):
        await migrate.upgrade(database_url)


async def test_a_migration_that_fails_leaves_nothing(empty_database_url: str) -> None:
    database = await Database.open(empty_database_url)

    def fails_at_the_end(c: sa.Connection) -> None:
        migrate.upgrade_on(c)
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        await database.write(fails_at_the_end)
    assert await database.read(lambda c: sa.inspect(c).get_table_names()) == []
    await database.aclose()


async def test_two_nodes_that_migrate_at_once(postgres_cluster: PostgresCluster) -> None:
    name = await postgres_cluster.create(tables=False)
    url = postgres_cluster.url(name)
    assert await asyncio.gather(*(migrate.upgrade(url) for _ in range(3))) == [migrate.head()] * 3
    await postgres_cluster.drop(name)


async def test_migrating_what_cannot_be_reached_is_said(tmp_path: Any) -> None:
    with pytest.raises(Unreachable):
        await migrate.upgrade(f"sqlite:///{tmp_path}/no/where.db")
