"""Rows of what was deleted and of what is still to be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import SpaceId
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.deletions import deletions

__all__ = ["Deletion", "DeletionState", "What", "Why", "ask", "change", "of_space", "page", "take"]


class What(StrEnum):
    """A part of what is kept of a Space, in the order in which the parts go: the key last."""

    REPLAY = "replay"
    """The public copy."""
    CLIP = "clip"
    EXPORT = "export"
    SOURCE = "source"
    """The review copy: the encrypted segment log."""
    SPOOL = "spool"
    """The segment log on the server's own disk."""
    CAPTIONS = "captions"
    KEY = "key"
    """With which the source is encrypted."""


class Why(StrEnum):
    """What it followed from."""

    CREATOR = "creator"
    AUTHOR = "author"
    """Of the clip."""
    TTL = "ttl"
    """`Limits.replay_ttl_days` were over."""
    AUDIT = "audit_30"
    """`Limits.audit_days` were over."""
    HOLD = "hold_120"
    """`Limits.hold_days` after a violation were over."""
    NOT_KEPT = "not_kept"
    """The Space ended, and nothing of it is to be kept."""
    EXPIRED = "expired"
    """An export was there for its time."""
    REPLACED = "replaced"
    """A newer export took its place."""


class DeletionState(StrEnum):
    """How far it is."""

    PENDING = "pending"
    DONE = "done"
    """The store was asked afterwards and has nothing."""
    WITHDRAWN = "withdrawn"
    """Something was reported before it was carried out: it is kept for review now."""


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """One thing deleted."""

    id: int
    space: SpaceId
    what: What
    number: int = 0
    why: Why
    cause: int = 0
    """Sequence of the event."""
    state: DeletionState = DeletionState.PENDING
    asked_ms: int
    due_ms: int | None
    tries: int = 0
    """How often it was tried in vain."""
    done_ms: int | None = None
    objects: int = 0
    """Objects, files or rows that were there."""
    bytes: int = 0
    error: str = ""
    """Why it is not done yet."""


def ask(c: sa.Connection, wanted: Sequence[Deletion]) -> int:
    """Adds what is to be deleted; what the same event asked for before is there already. Returns how many are new."""
    return insert_new(c, deletions, [msgspec.structs.asdict(one) for one in wanted])


def take(c: sa.Connection, now_ms: int, until_ms: int) -> Deletion | None:
    """The one that has been due for longest; nobody else gets it before `until_ms`. A unit that writes."""
    table = deletions
    due = sa.select(table).where(table.c.due_ms <= now_ms).order_by(table.c.due_ms, table.c.id).limit(1)
    row = c.execute(due.with_for_update(skip_locked=True)).first()  # on SQLite there is one writer
    if row is None:
        return None
    c.execute(table.update().where(table.c.id == row.id).values(due_ms=until_ms))
    return struct_of(row, Deletion)


def change(c: sa.Connection, changed: Deletion) -> None:
    """Overwrites how far it is."""
    values = msgspec.structs.asdict(changed)
    names = ("state", "due_ms", "tries", "done_ms", "objects", "bytes", "error")
    c.execute(deletions.update().where(deletions.c.id == changed.id).values(**{name: values[name] for name in names}))


def of_space(c: sa.Connection, space: SpaceId) -> list[Deletion]:
    """Everything deleted, or to be deleted, of a Space, in the order of asking."""
    query = sa.select(deletions).where(deletions.c.space == space).order_by(deletions.c.id)
    return [struct_of(row, Deletion) for row in c.execute(query)]


def page(
    c: sa.Connection, space: SpaceId | None, state: DeletionState | None, before: int | None, limit: int
) -> list[Deletion]:
    """Latest first."""
    query = sa.select(deletions).order_by(deletions.c.id.desc()).limit(limit)
    if space is not None:
        query = query.where(deletions.c.space == space)
    if state is not None:
        query = query.where(deletions.c.state == state.value)
    if before is not None:
        query = query.where(deletions.c.id < before)
    return [struct_of(row, Deletion) for row in c.execute(query)]
