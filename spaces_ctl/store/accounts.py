"""Queries of accounts, bans, appeals and the account log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.events import AccountEvent
from spaces_ctl.model import AccountId, Actor
from spaces_ctl.store import event_log
from spaces_ctl.store.chunks import chunks
from spaces_ctl.store.insert import insert_new, upsert
from spaces_ctl.store.tables.accounts import account_log, accounts, appeals, live_bans

__all__ = [
    "AccountRecorded",
    "appeal",
    "append_log",
    "ban",
    "by_email",
    "by_external",
    "by_handles",
    "by_ids",
    "file_appeal",
    "insert",
    "lift_ban",
    "live_ban",
    "log_page",
    "one",
    "open_appeals",
    "resolve_appeal",
    "update",
]

Row = sa.Row[Any]


class AccountRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the account log."""

    sequence: int
    """Ascending in the order of commit; with gaps."""
    account: AccountId
    """Whom it is about."""
    at_ms: int
    actor: Actor
    event: AccountEvent


def insert(c: sa.Connection, **values: Any) -> bool:
    """Adds an account; False if handle, verified address or external name is taken."""
    return insert_new(c, accounts, [values]) == 1


def one(c: sa.Connection, account: AccountId) -> Row | None:
    """The account's row."""
    return c.execute(sa.select(accounts).where(accounts.c.id == account)).one_or_none()


def by_ids(c: sa.Connection, ids: Iterable[AccountId]) -> list[Row]:
    """Rows of those that exist."""
    return [row for chunk in chunks(ids) for row in c.execute(sa.select(accounts).where(accounts.c.id.in_(chunk)))]


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


def open_appeals(c: sa.Connection, account: AccountId, space: int | None) -> list[Row]:
    """Unresolved appeals of the account against its ban (no `space`) or against a violation."""
    same = appeals.c.space.is_(None) if space is None else appeals.c.space == space
    query = sa.select(appeals).where(appeals.c.account == account, same, appeals.c.resolved_ms.is_(None))
    return list(c.execute(query))


def appeal(c: sa.Connection, appeal_id: int) -> Row | None:
    """One appeal."""
    return c.execute(sa.select(appeals).where(appeals.c.id == appeal_id)).one_or_none()


def resolve_appeal(c: sa.Connection, appeal_id: int, granted: bool, note: str, by: int | None, at_ms: int) -> bool:
    """Closes an open appeal; False if it is closed already."""
    where = (appeals.c.id == appeal_id, appeals.c.resolved_ms.is_(None))
    values = {"granted": granted, "note": note, "resolved_by": by, "resolved_ms": at_ms}
    return c.execute(sa.update(appeals).where(*where).values(**values)).rowcount == 1


# The log

_LOG = "accounts"
_decode_actor = msgspec.msgpack.Decoder(Actor)
_decode_event: msgspec.msgpack.Decoder[AccountEvent] = msgspec.msgpack.Decoder(AccountEvent)


def append_log(c: sa.Connection, account: AccountId, actor: Actor, event: AccountEvent, at_ms: int) -> AccountRecorded:
    """Appends an event. Holds the log's lock until the transaction ends, as `event_log.append` does."""
    sequence = event_log.reserve(c, _LOG, 1)
    values = {
        "sequence": sequence,
        "account": account,
        "at_ms": at_ms,
        "actor": msgspec.msgpack.encode(actor),
        "event": msgspec.msgpack.encode(event),
    }
    c.execute(sa.insert(account_log).values(**values))
    return AccountRecorded(sequence=sequence, account=account, at_ms=at_ms, actor=actor, event=event)


def log_page(c: sa.Connection, after: int = 0, limit: int = 1000) -> Sequence[AccountRecorded]:
    """Events above the sequence `after`, ascending."""
    query = sa.select(account_log).where(account_log.c.sequence > after).order_by(account_log.c.sequence).limit(limit)
    return [
        AccountRecorded(
            sequence=row.sequence,
            account=row.account,
            at_ms=row.at_ms,
            actor=_decode_actor.decode(row.actor),
            event=_decode_event.decode(row.event),
        )
        for row in c.execute(query)
    ]
