"""`INSERT ... ON CONFLICT`, which both databases have but SQLAlchemy spells per dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_into", "insert_new", "upsert", "upsert_all"]


def insert_into(c: sa.Connection, table: sa.Table) -> sqlite.Insert:
    """An insert that has `on_conflict_do_update`, `on_conflict_do_nothing` and `excluded`."""
    if c.dialect.name == "postgresql":
        return cast("sqlite.Insert", postgresql.insert(table))
    return sqlite.insert(table)


def insert_new(c: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Inserts the rows that collide with no unique key; returns how many these were."""
    if not rows:
        return 0
    if c.dialect.name == "postgresql":
        return _count(c.execute(postgresql.insert(table).on_conflict_do_nothing().values(list(rows))))
    return sum(_count(c.execute(sqlite.insert(table).on_conflict_do_nothing().values(**row))) for row in rows)


def upsert(c: sa.Connection, table: sa.Table, row: Mapping[str, Any], *, keys: Sequence[str]) -> None:
    """Inserts the row, or overwrites the one with the same `keys` (a unique key of the table)."""
    changed = {name: value for name, value in row.items() if name not in keys}
    c.execute(insert_into(c, table).values(**row).on_conflict_do_update(index_elements=list(keys), set_=changed))


def upsert_all(c: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, keys: Sequence[str]) -> None:
    """The same for many rows of plain values, all with the same columns; the statement is built once."""
    if rows:
        c.execute(_upserting(c.dialect.name, table, tuple(rows[0]), tuple(keys)), list(rows))


@cache
def _upserting(dialect: str, table: sa.Table, names: tuple[str, ...], keys: tuple[str, ...]) -> sa.Insert:
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    changed = {name: insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=list(keys), set_=changed)


def _count(result: sa.CursorResult[Any]) -> int:
    return max(result.rowcount, 0)
