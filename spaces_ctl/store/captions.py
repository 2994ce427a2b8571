"""Rows of caption lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.tables.captions import captions

__all__ = ["Row", "delete", "insert", "last_number", "of_space", "recent"]

Row = tuple[int, AccountId, int, int, str]
"""Number, account, start and end in milliseconds since the Space's start, text (empty: a gap)."""

_COLUMNS = (captions.c.n, captions.c.account, captions.c.start_ms, captions.c.end_ms, captions.c.text)


def insert(c: sa.Connection, space: SpaceId, rows: Sequence[Row]) -> None:
    """Adds lines; those whose number is there already stay as they are."""
    names = [column.name for column in _COLUMNS]
    insert_new(c, captions, [{"space": space, **dict(zip(names, row, strict=True))} for row in rows])


def last_number(c: sa.Connection, space: SpaceId) -> int:
    """The highest number in use; 0 for none."""
    return c.execute(sa.select(sa.func.max(captions.c.n)).where(captions.c.space == space)).scalar() or 0


def of_space(c: sa.Connection, space: SpaceId) -> list[Row]:
    """All lines by time."""
    query = sa.select(*_COLUMNS).where(captions.c.space == space).order_by(captions.c.start_ms, captions.c.n)
    return [_row(row) for row in c.execute(query)]


def recent(c: sa.Connection, space: SpaceId, before: int | None, limit: int) -> list[Row]:
    """The newest lines by number (of those below `before`), newest first."""
    query = sa.select(*_COLUMNS).where(captions.c.space == space).order_by(captions.c.n.desc()).limit(limit)
    if before is not None:
        query = query.where(captions.c.n < before)
    return [_row(row) for row in c.execute(query)]


def delete(c: sa.Connection, space: SpaceId, numbers: Sequence[int] | None = None) -> int:
    """Deletes a Space's lines, or only these; returns how many there were."""
    query = sa.delete(captions).where(captions.c.space == space)
    if numbers is not None:
        query = query.where(captions.c.n.in_(numbers))
    return c.execute(query).rowcount


def _row(row: Any) -> Row:
    n, account, start_ms, end_ms, text = row
    return n, account, start_ms, end_ms, text
