"""Queries of login sessions."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spaces_ctl.store.tables.accounts import accounts, email_links
from spaces_ctl.store.tables.logins import sessions

__all__ = [
    "add_link",
    "by_digest",
    "delete",
    "delete_all",
    "delete_expired",
    "delete_expired_links",
    "insert",
    "listed",
    "password_of",
    "rotate",
    "take_link",
    "touch",
]

Row = sa.Row[Any]


def insert(c: sa.Connection, **values: Any) -> None:
    """Adds a session."""
    c.execute(sa.insert(sessions).values(**values))


def by_digest(c: sa.Connection, digest: bytes) -> Row | None:
    """The session with this secret or with it before its last rotation, and its account's flags."""
    query = (
        sa.select(sessions, accounts.c.moderator, accounts.c.operator)
        .join(accounts, accounts.c.id == sessions.c.account)
        .where(sa.or_(sessions.c.digest == digest, sessions.c.previous == digest))
    )
    return c.execute(query).one_or_none()


def touch(c: sa.Connection, session: str, now_ms: int) -> None:
    """Somebody used it."""
    c.execute(sa.update(sessions).where(sessions.c.id == session).values(seen_ms=now_ms))


def rotate(c: sa.Connection, session: str, old: bytes, new: bytes, now_ms: int) -> bool:
    """A new secret for it; False if somebody else was faster."""
    where = (sessions.c.id == session, sessions.c.digest == old)
    values = {"digest": new, "previous": old, "rotated_ms": now_ms, "seen_ms": now_ms}
    return c.execute(sa.update(sessions).where(*where).values(**values)).rowcount == 1


def listed(c: sa.Connection, account: int) -> list[Row]:
    """The account's sessions, the latest used first."""
    query = sa.select(sessions).where(sessions.c.account == account).order_by(sessions.c.seen_ms.desc(), sessions.c.id)
    return list(c.execute(query))


def delete(c: sa.Connection, account: int, session: str) -> bool:
    """Ends one; tells whether it was there."""
    where = (sessions.c.account == account, sessions.c.id == session)
    return c.execute(sa.delete(sessions).where(*where)).rowcount == 1


def delete_all(c: sa.Connection, account: int, but: str | None = None) -> list[str]:
    """Ends all of an account's, but for one; returns which."""
    where = sessions.c.account == account
    if but is not None:
        where = sa.and_(where, sessions.c.id != but)
    return list(c.scalars(sa.delete(sessions).where(where).returning(sessions.c.id)))


def delete_expired(c: sa.Connection, seen_before_ms: int, created_before_ms: int) -> int:
    """Forgets sessions that are over; returns how many."""
    over = sa.or_(sessions.c.seen_ms < seen_before_ms, sessions.c.created_ms < created_before_ms)
    return c.execute(sa.delete(sessions).where(over)).rowcount


def delete_expired_links(c: sa.Connection, now_ms: int) -> int:
    """Forgets links that nobody followed in time; returns how many."""
    return c.execute(sa.delete(email_links).where(email_links.c.expires_ms <= now_ms)).rowcount


def password_of(c: sa.Connection, name: str) -> Row | None:
    """Id and password hash of the account with this handle or verified e-mail address (lower case)."""
    by_email = sa.and_(accounts.c.email == name, accounts.c.email_verified)
    where = by_email if "@" in name else accounts.c.handle == name
    columns: tuple[sa.Column[Any], ...] = (accounts.c.id, accounts.c.password, accounts.c.handle)
    return c.execute(sa.select(*columns).where(where)).one_or_none()


def add_link(c: sa.Connection, **values: Any) -> None:
    """Remembers a link that was sent by e-mail; the account's earlier ones for the same purpose are void."""
    same = (email_links.c.account == values["account"], email_links.c.purpose == values["purpose"])
    c.execute(sa.delete(email_links).where(*same))
    c.execute(sa.insert(email_links).values(**values))


def take_link(c: sa.Connection, digest: bytes, purpose: str, now_ms: int) -> Row | None:
    """The link, good once and in time."""
    where = (email_links.c.digest == digest, email_links.c.purpose == purpose)
    row = c.execute(sa.select(email_links).where(*where)).one_or_none()
    if row is None or c.execute(sa.delete(email_links).where(*where)).rowcount != 1:
        return None
    return row if row.expires_ms > now_ms else None
