"""Cursors of the event log's readers."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.tables.reactors import reactor_cursors, reactor_parked

__all__ = ["advance", "cursor", "park", "parked", "rewind", "unpark"]


def cursor(c: sa.Connection, name: str) -> int:
    """The sequence of the last event that `name` has dealt with; 0 before the first."""
    query = sa.select(reactor_cursors.c.sequence).where(reactor_cursors.c.name == name)
    return c.execute(query).scalar() or 0


def advance(c: sa.Connection, name: str, old: int, new: int) -> bool:
    """Moves the cursor from `old` to `new`; False if it is not at `old` (another process was faster)."""
    insert_new(c, reactor_cursors, [{"name": name, "sequence": 0}])
    table = reactor_cursors
    moved = c.execute(table.update().where(table.c.name == name, table.c.sequence == old).values(sequence=new))
    return moved.rowcount == 1


def rewind(c: sa.Connection, name: str) -> None:
    """`name` will read the log from its beginning; for readers to whom reading twice does no harm."""
    c.execute(reactor_cursors.delete().where(reactor_cursors.c.name == name))


def park(c: sa.Connection, name: str, sequence: int, error: str, at_ms: int) -> None:
    """Puts an event aside that cannot be digested."""
    row = {"name": name, "sequence": sequence, "error": error[:2000], "at_ms": at_ms}
    insert_new(c, reactor_parked, [row])


def parked(c: sa.Connection, name: str) -> list[tuple[int, str]]:
    """Sequences put aside and why, ascending."""
    table = reactor_parked
    query = sa.select(table.c.sequence, table.c.error).where(table.c.name == name).order_by(table.c.sequence)
    return [(row.sequence, row.error) for row in c.execute(query)]


def unpark(c: sa.Connection, name: str, sequence: int) -> None:
    """Forgets that an event was put aside."""
    table = reactor_parked
    c.execute(table.delete().where(table.c.name == name, table.c.sequence == sequence))
