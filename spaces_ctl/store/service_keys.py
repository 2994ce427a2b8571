"""Queries of service keys and of the assertions they have used."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.oauth import revoke_grants_of_app
from spaces_ctl.store.tables.logins import assertions_seen, service_keys

__all__ = ["add", "by_digest", "by_id", "listed", "revoke", "see_assertion"]

Row = sa.Row[Any]


def add(c: sa.Connection, **values: Any) -> None:
    """Adds a key."""
    c.execute(sa.insert(service_keys).values(**values))


def by_digest(c: sa.Connection, digest: bytes) -> Row | None:
    """The key with this secret."""
    return c.execute(sa.select(service_keys).where(service_keys.c.secret == digest)).one_or_none()


def by_id(c: sa.Connection, key: str) -> Row | None:
    """One key."""
    return c.execute(sa.select(service_keys).where(service_keys.c.id == key)).one_or_none()


def listed(c: sa.Connection) -> list[Row]:
    """All keys, oldest first, revoked ones too."""
    return list(c.execute(sa.select(service_keys).order_by(service_keys.c.created_ms, service_keys.c.id)))


def revoke(c: sa.Connection, key: str, now_ms: int) -> bool:
    """Revokes a key and every token that it was given; False if it was or is not there."""
    where = (service_keys.c.id == key, service_keys.c.revoked_ms.is_(None))
    if c.execute(sa.update(service_keys).where(*where).values(revoked_ms=now_ms)).rowcount != 1:
        return False
    revoke_grants_of_app(c, key, now_ms)
    return True


def see_assertion(c: sa.Connection, key: str, jti: str, expires_ms: int, now_ms: int) -> bool:
    """Remembers an assertion until it is over; False if it was seen before."""
    c.execute(sa.delete(assertions_seen).where(assertions_seen.c.expires_ms < now_ms))
    return insert_new(c, assertions_seen, [{"service_key": key, "jti": jti, "expires_ms": expires_ms}]) == 1
