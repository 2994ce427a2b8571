"""Queries on idempotency keys. Who inserts a key, or takes over one whose holder is gone, works on the request."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.tables.idempotency import idempotency_keys as t

__all__ = ["Held", "delete_expired", "finish", "hold", "release"]


class Held(NamedTuple):
    """How a key stands after `hold`."""

    mine: bool
    fingerprint: bytes
    answer: bytes | None


def hold(
    c: sa.Connection,
    owner: bytes,
    key: str,
    fingerprint: bytes,
    holder: bytes,
    now_ms: int,
    until_ms: int,
    expires: int,
) -> Held:
    """Takes the key, if it is new, expired, or its holder's time is over without an answer."""
    row = {
        "owner": owner,
        "key": key,
        "fingerprint": fingerprint,
        "holder": holder,
        "held_until_ms": until_ms,
        "answer": None,
        "expires_ms": expires,
    }
    this = sa.and_(t.c.owner == owner, t.c.key == key)
    if insert_new(c, t, [row]):
        return Held(True, fingerprint, None)
    stale = sa.or_(
        t.c.expires_ms <= now_ms,
        sa.and_(t.c.answer.is_(None), t.c.held_until_ms <= now_ms, t.c.fingerprint == fingerprint),
    )
    if c.execute(sa.update(t).where(this, stale).values(**row)).rowcount:
        return Held(True, fingerprint, None)
    found = c.execute(sa.select(t.c.fingerprint, t.c.answer).where(this)).one_or_none()
    if found is None:  # released between the two statements: the next try gets it
        return Held(False, fingerprint, None)
    return Held(False, bytes(found.fingerprint), None if found.answer is None else bytes(found.answer))


def finish(c: sa.Connection, owner: bytes, key: str, holder: bytes, answer: bytes) -> None:
    """Stores the answer, if the key is still the holder's."""
    c.execute(sa.update(t).where(t.c.owner == owner, t.c.key == key, t.c.holder == holder).values(answer=answer))


def release(c: sa.Connection, owner: bytes, key: str, holder: bytes) -> None:
    """Gives the key up without an answer."""
    c.execute(sa.delete(t).where(t.c.owner == owner, t.c.key == key, t.c.holder == holder, t.c.answer.is_(None)))


def delete_expired(c: sa.Connection, now_ms: int) -> int:
    """Deletes what is over; returns how many."""
    return max(c.execute(sa.delete(t).where(t.c.expires_ms <= now_ms)).rowcount, 0)
