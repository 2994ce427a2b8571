"""Queries of accounts, bans and appeals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from spaces_ctl.events import ViolationFound
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.chunks import chunks
from spaces_ctl.store.insert import insert_new, upsert
from spaces_ctl.store.tables.accounts import accounts, appeals, live_bans
from spaces_ctl.store.tables.log import space_events
from spaces_ctl.store.tables.spaces import spaces

__all__ = [
    "appeal",
    "ban",
    "by_email",
    "by_external",
    "by_handles",
    "by_ids",
    "file_appeal",
    "has_open_appeal",
    "insert",
    "lift_ban",
    "live_ban",
    "newest",
    "one",
    "resolve_appeal",
    "update",
    "violation",
]

Row = sa.Row[Any]


def insert(c: sa.Connection, **values: Any) -> bool:
    """Adds an account; False if handle, verified address or external name is taken."""
    return insert_new(c, accounts, [values]) == 1


def one(c: sa.Connection, account: AccountId) -> Row | None:
    """The account's row."""
    return c.execute(sa.select(accounts).where(accounts.c.id == account)).one_or_none()


def by_ids(c: sa.Connection, ids: Iterable[AccountId]) -> list[Row]:
    """Rows of those that exist."""
    return [row for chunk in chunks(ids) for row in c.execute(sa.select(accounts).where(accounts.c.id.in_(chunk)))]


def newest(c: sa.Connection, limit: int) -> list[Row]:
    """The accounts made last."""
    return list(c.execute(sa.select(accounts).order_by(accounts.c.id.desc()).limit(limit)))


def by_handles(c: sa.Connection, handles: Iterable[str]) -> list[Row]:
    """Rows of those that exist; handles in lower case."""
    query = sa.select(accounts)
    return [row for chunk in chunks(handles) for row in c.execute(query.where(accounts.c.handle.in_(chunk)))]


def by_email(c: sa.Connection, email: str) -> Row | None:
    """The account with this verified e-mail address (lower case)."""
    where = (accounts.c.email == email, accounts.c.email_verified)
    return c.execute(sa.select(accounts).where(*where)).one_or_none()


def by_external(c: sa.Connection, namespace: str, external: str) -> Row | None:
    """The account that stands for another product's user."""
    where = (accounts.c.namespace == namespace, accounts.c.external == external)
    return c.execute(sa.select(accounts).where(*where)).one_or_none()


def update(c: sa.Connection, account: AccountId, **values: Any) -> bool:
    """Changes columns; tells whether the account exists. Raises IntegrityError for a taken handle or address."""
    return c.execute(sa.update(accounts).where(accounts.c.id == account).values(**values)).rowcount == 1


# Bans and appeals


def ban(c: sa.Connection, account: AccountId, reason: str, until_ms: int | None, by: int | None, at_ms: int) -> None:
    """Bans from live features, or changes the ban."""
    row = {"account": account, "reason": reason, "until_ms": until_ms, "by": by, "at_ms": at_ms}
    upsert(c, live_bans, row, keys=("account",))


def lift_ban(c: sa.Connection, account: AccountId) -> bool:
    """Takes the ban away; tells whether there was one."""
    return c.execute(sa.delete(live_bans).where(live_bans.c.account == account)).rowcount == 1


def live_ban(c: sa.Connection, account: AccountId) -> Row | None:
    """The account's ban, over or not."""
    return c.execute(sa.select(live_bans).where(live_bans.c.account == account)).one_or_none()


def file_appeal(c: sa.Connection, **values: Any) -> None:
    """Adds an appeal."""
    c.execute(sa.insert(appeals).values(**values))


def has_open_appeal(c: sa.Connection, account: AccountId, space: int | None) -> bool:
    """Whether the account has an unresolved appeal against its ban (no `space`) or against a violation."""
    same = appeals.c.space.is_(None) if space is None else appeals.c.space == space
    query = sa.select(appeals.c.id).where(appeals.c.account == account, same, appeals.c.resolved_ms.is_(None))
    return c.execute(query.limit(1)).first() is not None


def violation(c: sa.Connection, space: SpaceId) -> tuple[AccountId | None, int | None]:
    """The Space's creator, and when the violation was found that holds now (ms); None for what is not."""
    row = c.execute(sa.select(spaces.c.creator, spaces.c.violation).where(spaces.c.id == space)).one_or_none()
    if row is None or not row.violation:
        return (None if row is None else row.creator), None
    found = (space_events.c.space == space, space_events.c.kind == ViolationFound.__name__)
    return row.creator, c.scalar(sa.select(sa.func.max(space_events.c.at_ms)).where(*found))


def appeal(c: sa.Connection, appeal_id: int) -> Row | None:
    """One appeal."""
    return c.execute(sa.select(appeals).where(appeals.c.id == appeal_id)).one_or_none()


def resolve_appeal(c: sa.Connection, appeal_id: int, granted: bool, note: str, by: int | None, at_ms: int) -> bool:
    """Closes an open appeal; False if it is closed already."""
    where = (appeals.c.id == appeal_id, appeals.c.resolved_ms.is_(None))
    values = {"granted": granted, "note": note, "resolved_by": by, "resolved_ms": at_ms}
    return c.execute(sa.update(appeals).where(*where).values(**values)).rowcount == 1
