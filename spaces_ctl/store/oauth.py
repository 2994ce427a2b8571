"""Queries of OAuth apps, grants, codes and tokens."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spaces_ctl.store.tables.logins import oauth_apps, oauth_codes, oauth_grants, oauth_tokens

__all__ = [
    "add_app",
    "add_code",
    "add_grant",
    "add_token",
    "app",
    "apps_of",
    "code",
    "delete_app",
    "delete_expired",
    "grants_of",
    "revoke_grant",
    "revoke_grants_of_app",
    "set_app_secret",
    "token",
    "use_code",
    "use_token",
]

Row = sa.Row[Any]


def add_app(c: sa.Connection, **values: Any) -> None:
    """Adds an app."""
    c.execute(sa.insert(oauth_apps).values(**values))


def app(c: sa.Connection, client_id: str) -> Row | None:
    """One app."""
    return c.execute(sa.select(oauth_apps).where(oauth_apps.c.client_id == client_id)).one_or_none()


def apps_of(c: sa.Connection, owner: int) -> list[Row]:
    """An account's apps, oldest first."""
    query = sa.select(oauth_apps).where(oauth_apps.c.owner == owner)
    return list(c.execute(query.order_by(oauth_apps.c.created_ms, oauth_apps.c.client_id)))


def set_app_secret(c: sa.Connection, client_id: str, secret: bytes) -> None:
    """Another secret instead."""
    c.execute(sa.update(oauth_apps).where(oauth_apps.c.client_id == client_id).values(secret=secret))


def delete_app(c: sa.Connection, client_id: str, now_ms: int) -> None:
    """Deletes the app; its tokens are worth nothing any more."""
    revoke_grants_of_app(c, client_id, now_ms)
    c.execute(sa.delete(oauth_apps).where(oauth_apps.c.client_id == client_id))


def add_grant(c: sa.Connection, **values: Any) -> None:
    """Adds a grant."""
    c.execute(sa.insert(oauth_grants).values(**values))


def grants_of(c: sa.Connection, account: int) -> list[Row]:
    """The account's grants in force, with their apps' names, newest first."""
    query = (
        sa.select(oauth_grants, oauth_apps.c.name)
        .join(oauth_apps, oauth_apps.c.client_id == oauth_grants.c.client_id)
        .where(oauth_grants.c.account == account, oauth_grants.c.revoked_ms.is_(None))
        .order_by(oauth_grants.c.created_ms.desc(), oauth_grants.c.id)
    )
    return list(c.execute(query))


def revoke_grant(c: sa.Connection, grant: str, now_ms: int, account: int | None = None) -> bool:
    """Revokes a grant (of this account, if given) with all its tokens; False if it was or is not there."""
    where = [oauth_grants.c.id == grant, oauth_grants.c.revoked_ms.is_(None)]
    if account is not None:
        where.append(oauth_grants.c.account == account)
    return c.execute(sa.update(oauth_grants).where(*where).values(revoked_ms=now_ms)).rowcount == 1


def revoke_grants_of_app(c: sa.Connection, client_id: str, now_ms: int) -> None:
    """Revokes everything that anybody allowed the app (or service key)."""
    where = (oauth_grants.c.client_id == client_id, oauth_grants.c.revoked_ms.is_(None))
    c.execute(sa.update(oauth_grants).where(*where).values(revoked_ms=now_ms))


def add_code(c: sa.Connection, **values: Any) -> None:
    """Adds an authorization code."""
    c.execute(sa.insert(oauth_codes).values(**values))


def code(c: sa.Connection, digest: bytes) -> Row | None:
    """The code and its grant."""
    query = (
        sa.select(
            oauth_codes,
            oauth_grants.c.client_id,
            oauth_grants.c.account,
            oauth_grants.c.scopes,
            oauth_grants.c.revoked_ms,
        )
        .join(oauth_grants, oauth_grants.c.id == oauth_codes.c.grant_id)
        .where(oauth_codes.c.digest == digest)
    )
    return c.execute(query).one_or_none()


def use_code(c: sa.Connection, digest: bytes, now_ms: int) -> bool:
    """Takes the code; False if it was taken before."""
    where = (oauth_codes.c.digest == digest, oauth_codes.c.used_ms.is_(None))
    return c.execute(sa.update(oauth_codes).where(*where).values(used_ms=now_ms)).rowcount == 1


def add_token(c: sa.Connection, **values: Any) -> None:
    """Adds a token."""
    c.execute(sa.insert(oauth_tokens).values(**values))


def token(c: sa.Connection, digest: bytes) -> Row | None:
    """The token and its grant."""
    query = (
        sa.select(oauth_tokens, oauth_grants.c.client_id, oauth_grants.c.account, oauth_grants.c.revoked_ms)
        .join(oauth_grants, oauth_grants.c.id == oauth_tokens.c.grant_id)
        .where(oauth_tokens.c.digest == digest)
    )
    return c.execute(query).one_or_none()


def use_token(c: sa.Connection, digest: bytes, now_ms: int) -> bool:
    """Takes a refresh token; False if it was taken before."""
    where = (oauth_tokens.c.digest == digest, oauth_tokens.c.used_ms.is_(None))
    return c.execute(sa.update(oauth_tokens).where(*where).values(used_ms=now_ms)).rowcount == 1


def delete_expired(c: sa.Connection, before_ms: int) -> int:
    """Forgets codes and tokens that were over before; returns how many."""
    codes = c.execute(sa.delete(oauth_codes).where(oauth_codes.c.expires_ms < before_ms)).rowcount
    return codes + c.execute(sa.delete(oauth_tokens).where(oauth_tokens.c.expires_ms < before_ms)).rowcount
