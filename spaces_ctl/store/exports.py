"""Rows of exports."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.exports import exports

__all__ = ["Export", "ExportState", "change", "gone", "of_space", "one", "request", "take"]


class ExportState(StrEnum):
    """How far an export is."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"
    """Expired, replaced, or deleted with what it was made of."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One download."""

    id: int
    space: SpaceId
    number: int
    account: AccountId
    """Who asked for it."""
    cause: int
    state: ExportState = ExportState.MAKING
    requested_ms: int
    ready_ms: int | None = None
    expires_ms: int | None = None
    due_ms: int | None = None
    tries: int = 0
    bytes: int = 0
    files: tuple[str, ...] = ()
    error: str = ""


def request(c: sa.Connection, wanted: Export) -> None:
    """Adds an export with the Space's next number, unless one is being made: then that one is the answer.

    Repeating changes nothing.
    """
    table = exports
    same = sa.or_(
        table.c.cause == wanted.cause,
        sa.and_(table.c.space == wanted.space, table.c.state == ExportState.MAKING.value),
    )
    if c.execute(sa.select(table.c.id).where(same)).first() is not None:
        return
    last = c.execute(sa.select(sa.func.max(table.c.number)).where(table.c.space == wanted.space)).scalar() or 0
    row = msgspec.to_builtins(msgspec.structs.replace(wanted, number=last + 1))
    c.execute(table.insert().values(**row))


def take(c: sa.Connection, now_ms: int, until_ms: int) -> Export | None:
    """The one that has been due for longest; nobody else gets it before `until_ms`. A unit that writes."""
    table = exports
    due = sa.select(table).where(table.c.due_ms <= now_ms).order_by(table.c.due_ms, table.c.id).limit(1)
    row = c.execute(due.with_for_update(skip_locked=True)).first()  # on SQLite there is one writer
    if row is None:
        return None
    c.execute(table.update().where(table.c.id == row.id).values(due_ms=until_ms))
    return struct_of(row, Export)


def change(c: sa.Connection, changed: Export) -> bool:
    """Overwrites how far it is; False if it is gone meanwhile."""
    names = ("state", "ready_ms", "expires_ms", "due_ms", "tries", "bytes", "files", "error")
    values = msgspec.to_builtins(changed)
    still = (exports.c.id == changed.id, exports.c.state != ExportState.GONE.value)
    return c.execute(exports.update().where(*still).values(**{name: values[name] for name in names})).rowcount == 1


def gone(c: sa.Connection, space: SpaceId, numbers: Sequence[int] | None = None) -> None:
    """Nobody gets them any more: all of the Space's exports, or these."""
    wanted = [exports.c.space == space]
    if numbers is not None:
        wanted.append(exports.c.number.in_(numbers))
    c.execute(exports.update().where(*wanted).values(state=ExportState.GONE.value, due_ms=None))


def of_space(c: sa.Connection, space: SpaceId) -> list[Export]:
    """A Space's exports, latest first."""
    query = sa.select(exports).where(exports.c.space == space).order_by(exports.c.number.desc())
    return [struct_of(row, Export) for row in c.execute(query)]


def one(c: sa.Connection, space: SpaceId, number: int) -> Export | None:
    """One export."""
    row = c.execute(sa.select(exports).where(exports.c.space == space, exports.c.number == number)).first()
    return None if row is None else struct_of(row, Export)
