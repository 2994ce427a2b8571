"""Queries of logins by other providers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.tables.accounts import oidc_links, oidc_states

__all__ = ["account_of", "add_state", "delete_expired_states", "link", "links_of", "take_state", "unlink"]


def add_state(c: sa.Connection, now_ms: int, **values: Any) -> None:
    """Remembers a login under way, and forgets those that were given up."""
    delete_expired_states(c, now_ms)
    c.execute(sa.insert(oidc_states).values(**values))


def delete_expired_states(c: sa.Connection, now_ms: int) -> int:
    """Forgets logins that were given up; returns how many."""
    return c.execute(sa.delete(oidc_states).where(oidc_states.c.expires_ms <= now_ms)).rowcount


def take_state(c: sa.Connection, state: bytes, now_ms: int) -> sa.Row[Any] | None:
    """The login under way, good once and in time."""
    row = c.execute(sa.select(oidc_states).where(oidc_states.c.state == state)).one_or_none()
    if row is None or c.execute(sa.delete(oidc_states).where(oidc_states.c.state == state)).rowcount != 1:
        return None
    return row if row.expires_ms > now_ms else None


def account_of(c: sa.Connection, issuer: str, subject: str) -> int | None:
    """The account that this provider's user is."""
    where = (oidc_links.c.issuer == issuer, oidc_links.c.subject == subject)
    return c.scalar(sa.select(oidc_links.c.account).where(*where))


def link(c: sa.Connection, issuer: str, subject: str, account: int, now_ms: int) -> bool:
    """Links; False if the provider's user is linked already."""
    row = {"issuer": issuer, "subject": subject, "account": account, "linked_ms": now_ms}
    return insert_new(c, oidc_links, [row]) == 1


def links_of(c: sa.Connection, account: int) -> list[sa.Row[Any]]:
    """The providers' users who are this account."""
    return list(c.execute(sa.select(oidc_links).where(oidc_links.c.account == account)))


def unlink(c: sa.Connection, account: int, issuer: str) -> bool:
    """Takes links away; tells whether there was one."""
    where = (oidc_links.c.account == account, oidc_links.c.issuer == issuer)
    return c.execute(sa.delete(oidc_links).where(*where)).rowcount > 0
