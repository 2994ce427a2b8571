"""Databases for tests: a private PostgreSQL cluster for the session, a database of either kind for each test.

In a conftest: `from tests.support.databases import *` brings the fixtures
- `database_url` and `database`, each test that takes one runs on SQLite and on PostgreSQL, with all tables, empty;
- `empty_database_url`, the same without tables;
- `postgres_cluster`, the session's own server.

Who needs a SQLite database beside these: `sqlite_with_tables`.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from spaces_ctl.store.database import Database
from tests.support.patience import PATIENCE_S

__all__ = [
    "PostgresCluster",
    "database",
    "database_url",
    "empty_database_url",
    "postgres_cluster",
]

_SCHEMA = """
SELECT md5(string_agg(line, '|' ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, relkind, attname, atttypid, attnotnull, pg_get_expr(adbin, adrelid)) AS line
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL SELECT concat_ws(' ', conname, contype, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger
    UNION ALL SELECT concat_ws(' ', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'
    UNION ALL SELECT extname FROM pg_extension
) AS lines"""
"""A digest of all that a test could have made, changed or dropped."""
_EMPTY = """
DO $$
DECLARE
    name text;
    filled boolean;
BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO filled;
        IF filled THEN
            EXECUTE format('TRUNCATE %I CASCADE', name);
        END IF;
    END LOOP;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', name);
    END LOOP;
END $$"""
"""Without rows and with sequences as they began. Most tests fill few of the tables."""
_numbers = itertools.count(1)
_copied: list[bytes] = []
"""The SQLite file with all tables, once there is one."""


class PostgresCluster:
    """A PostgreSQL server of our own on a unix socket in a temporary directory.

    What it has committed outlives its processes (`kill`), not the machine: nothing is synced to the disk.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="spaces-pg-"))
        self._bin = _binaries()
        self._user = _unprivileged_user()
        if self._user is not None:
            shutil.chown(self.directory, self._user, pwd.getpwnam(self._user).pw_gid)
        self._command(
            "initdb", "-D", self.directory / "data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
            "--locale=C.UTF-8",
        )  # fmt: skip
        self.start()
        self._made_like = ""
        self._clean: list[str] = []

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "150",
            "shared_buffers": "32MB",
            "autovacuum": "off",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self.directory / "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                **self._as_user(),
            )
        until = time.monotonic() + PATIENCE_S
        status = self.directory / "data" / "postmaster.pid"
        while not (status.exists() and status.read_text().splitlines()[7:8] == ["ready   "]):
            if self._server.poll() is not None or time.monotonic() > until:
                self.kill()
                pytest.fail(f"PostgreSQL did not start:\n{(self.directory / 'log').read_text()}")
            time.sleep(0.02)

    def url(self, name: str) -> str:
        """URL of a database of this cluster."""
        return f"postgresql://postgres@/{name}?host={self.directory}"

    def stop(self) -> None:
        """Stops the server; data stay."""
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(PATIENCE_S)

    def kill(self) -> None:
        """Stops the server as a crash would; its children notice and go."""
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(PATIENCE_S)

    def remove(self) -> None:
        """Stops the server and deletes everything."""
        self.kill()
        shutil.rmtree(self.directory)

    async def sql(self, statement: str, database: str = "postgres") -> list[Any]:
        """Runs one statement as superuser."""
        connection = await asyncpg.connect(user="postgres", host=str(self.directory), database=database)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def create(self, *, tables: bool) -> str:
        """A fresh database, with or without our tables; returns its name."""
        name = f"test_{next(_numbers)}"
        template = "template0"
        if tables:
            template = "with_tables"
            if not self._made_like:
                await self.sql(f"CREATE DATABASE {template} TEMPLATE template0")
                await _create_tables(self.url(template))
                self._made_like = await self._schema(template)
        await self.sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    async def lend(self) -> str:
        """A database with all tables, empty: one that was given back, or a fresh one; returns its name."""
        return self._clean.pop() if self._clean else await self.create(tables=True)

    async def give_back(self, name: str) -> None:
        """Empties a database that was lent, whoever is connected, or deletes it if its schema was changed.

        Emptying takes a tenth of what making a database takes: PostgreSQL makes three files for each table and index.
        """
        await self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        if await self._schema(name) != self._made_like:
            await self.drop(name)
            return
        await self.sql(_EMPTY, name)
        self._clean.append(name)

    async def _schema(self, name: str) -> str:
        [row] = await self.sql(_SCHEMA, name)
        return str(row[0])

    async def drop(self, name: str) -> None:
        """Deletes a database, whoever is connected."""
        await self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _command(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self.directory,
            check=False,
            **self._as_user(),
        )
        if done.returncode:
            pytest.fail(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}


def _binaries() -> Path:
    """Debian keeps the server's programs out of PATH."""
    on_path = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3].split(".")[0]))
    if on_path is None and not versions:
        pytest.fail("PostgreSQL is missing: tools/system-packages psql:postgresql")
    return Path(on_path).parent if on_path else versions[-1].parent


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for user in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(user).pw_name
        except KeyError:
            continue
    pytest.fail("PostgreSQL does not run as root and there is neither a user postgres nor nobody")


async def _create_tables(url: str) -> None:
    database = await Database.open(url, synchronous="normal")
    await database.create_tables()
    await database.aclose()


async def sqlite_with_tables(file: Path) -> str:
    """Makes a SQLite database with all tables, empty: its URL. The tables are created once a process, and copied."""
    assert not file.exists(), "it would be lost"
    url = f"sqlite:///{file}"
    if _copied:
        file.write_bytes(_copied[0])
        return url
    await _create_tables(url)
    assert not file.with_name(f"{file.name}-wal").exists(), "the file is all of it"
    _copied.append(file.read_bytes())
    return url


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster()
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """URL of a fresh database with all tables."""
    if request.param == "sqlite":
        yield await sqlite_with_tables(tmp_path / "spaces.db")
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    name = await cluster.lend()
    yield cluster.url(name)
    await cluster.give_back(name)


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """URL of a fresh database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    name = await cluster.create(tables=False)
    yield cluster.url(name)
    await cluster.drop(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with all tables, open."""
    database = await Database.open(database_url, synchronous="normal")
    yield database
    await database.aclose()
