"""`INSERT ... ON CONFLICT`, which both databases have but SQLAlchemy spells per dialect."""

from __future__ import annotations

from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert"]


def insert(c: sa.Connection, table: sa.Table) -> sqlite.Insert:
    """An insert into `table` that has `on_conflict_do_update`, `on_conflict_do_nothing` and `excluded`."""
    if c.dialect.name == "postgresql":
        return cast("sqlite.Insert", postgresql.insert(table))
    return sqlite.insert(table)
