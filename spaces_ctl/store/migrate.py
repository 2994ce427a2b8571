"""Makes and checks the schema. A migration runs in one transaction: it is there wholly or not at all.

A server refuses to serve on a schema that is not its own (`check`); it never migrates by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import alembic.command
import alembic.util
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import WrongSchema
from spaces_ctl.store.tables.all import metadata

__all__ = ["check", "current", "differences", "downgrade", "head", "revision_of", "upgrade", "upgrade_on"]

_LOCK = 0x53504143
"""PostgreSQL's advisory lock of who migrates."""

_VERSION_TABLE = "alembic_version"


def head() -> str:
    """The revision that this version of Spaces works with."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def current(url: str) -> str | None:
    """The database's revision, or None if it has no schema. Raises BadUrl, Unreachable."""
    database = await Database.open(url)
    try:
        return await database.read(revision_of)
    finally:
        await database.aclose()


async def upgrade(url: str, revision: str = "head") -> str | None:
    """Brings the schema to `revision` and returns it. Raises WrongSchema, BadUrl, Unreachable."""
    database = await Database.open(url)
    try:
        await database.write(lambda c: upgrade_on(c, revision))
        return await database.read(revision_of)
    finally:
        await database.aclose()


async def downgrade(url: str, revision: str) -> None:
    """Takes the schema back to `revision` (`base`: to nothing), with what is in it. Raises as `upgrade`."""
    database = await Database.open(url)
    try:
        await database.write(lambda c: _run(c, alembic.command.downgrade, revision))
    finally:
        await database.aclose()


async def check(database: Database) -> None:
    """Raises WrongSchema, saying what to do, if the schema is not of this version of Spaces."""
    revision = await database.read(revision_of)
    needed = head()
    if revision == needed:
        return
    if revision is None:
        raise WrongSchema("the database has no schema yet: run `spaces db migrate`")
    if revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}:
        raise WrongSchema(f"the database is at revision {revision}, {needed} is needed: run `spaces db migrate`")
    raise WrongSchema(f"the database is at revision {revision}, which this version of Spaces ({needed}) does not know")


def upgrade_on(c: sa.Connection, revision: str = "head") -> None:
    """Brings the schema to `revision`, in the connection's transaction. Raises WrongSchema."""
    if c.dialect.name == "postgresql":
        c.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    names = set(sa.inspect(c).get_table_names())
    if _VERSION_TABLE not in names and names & metadata.tables.keys():
        raise WrongSchema("the database has tables but no revision: they were not made by `spaces db migrate`")
    _run(c, alembic.command.upgrade, revision)


def revision_of(c: sa.Connection) -> str | None:
    """The revision that the connection's database is at, or None."""
    return MigrationContext.configure(c).get_current_revision()


def differences(c: sa.Connection) -> list[Any]:
    """What the schema lacks or has too much against our tables, in alembic's words; empty if they agree."""
    # On SQLite alembic takes `DEFAULT ''` for a change.
    options = {"compare_type": True, "compare_server_default": c.dialect.name != "sqlite", "include_name": _is_plain}
    context = MigrationContext.configure(c, opts=options)
    return list(compare_metadata(context, metadata))


def _is_plain(name: str | None, kind: str, _parents: object) -> bool:
    """Whether alembic can compare it: not the full-text index, of which `metadata` does not know (`tables.search`)."""
    return not (name or "").startswith(("space_search_fts", "ix_space_search_vector"))


def _run(c: sa.Connection, command: Any, revision: str) -> None:
    config = _config()
    config.attributes["connection"] = c
    try:
        command(config, revision)
    except alembic.util.CommandError as error:
        raise WrongSchema(f"the schema cannot be migrated: {error}") from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
