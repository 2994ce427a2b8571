"""Which sessions may not connect any more."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables.joins import revoked_sids

__all__ = ["current", "forget", "revoke"]


def revoke(c: sa.Connection, sid: int, until_ms: int) -> None:
    """Until then."""
    c.execute(sa.delete(revoked_sids).where(revoked_sids.c.sid == sid))
    c.execute(sa.insert(revoked_sids).values(sid=sid, until_ms=until_ms))


def current(c: sa.Connection, now_ms: int) -> dict[int, int]:
    """Sid → until when (ms), of those that are not over."""
    rows = c.execute(sa.select(revoked_sids.c.sid, revoked_sids.c.until_ms).where(revoked_sids.c.until_ms > now_ms))
    return {row.sid: row.until_ms for row in rows}


def forget(c: sa.Connection, now_ms: int) -> int:
    """Drops those that are over and answers how many."""
    return c.execute(sa.delete(revoked_sids).where(revoked_sids.c.until_ms <= now_ms)).rowcount
