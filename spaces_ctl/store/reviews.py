"""Rows of who listened to what was kept for review."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.reviews import review_reads

__all__ = ["ReviewRead", "add", "fetched", "one", "page"]


class ReviewRead(msgspec.Struct, frozen=True, kw_only=True):
    """A moderator asked to hear a stretch of a Space."""

    id: int
    at_ms: int
    moderator: AccountId | None
    case: int
    space: SpaceId
    from_ms: int
    """Since the Space's start."""
    to_ms: int
    why: str
    expires_ms: int
    """Of the links."""
    fetched: int = 0
    """Tracks that were made for them."""


def add(c: sa.Connection, read: ReviewRead) -> None:
    """Writes one down."""
    c.execute(review_reads.insert().values(**msgspec.structs.asdict(read)))


def fetched(c: sa.Connection, id: int) -> None:
    """One more track was made."""
    table = review_reads
    c.execute(table.update().where(table.c.id == id).values(fetched=table.c.fetched + 1))


def one(c: sa.Connection, id: int) -> ReviewRead | None:
    """One read."""
    row = c.execute(sa.select(review_reads).where(review_reads.c.id == id)).first()
    return None if row is None else struct_of(row, ReviewRead)


def page(c: sa.Connection, space: SpaceId | None, before: int | None, limit: int) -> list[ReviewRead]:
    """Latest first."""
    query = sa.select(review_reads).order_by(review_reads.c.id.desc()).limit(limit)
    if space is not None:
        query = query.where(review_reads.c.space == space)
    if before is not None:
        query = query.where(review_reads.c.id < before)
    return [struct_of(row, ReviewRead) for row in c.execute(query)]
