"""Rows of notifications: the list, settings, push subscriptions, fan-outs, deliveries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.insert import insert_new, upsert
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.notifications import (
    notification_deliveries,
    notification_fanouts,
    notification_settings,
    notifications,
    push_subscriptions,
)

__all__ = [
    "Delivery",
    "Fanout",
    "Notice",
    "Notification",
    "PushSubscription",
    "Settings",
    "add_fanout",
    "add_subscription",
    "change_settings",
    "claim_deliveries",
    "drop_subscription",
    "due_fanout",
    "finish_delivery",
    "forget_before",
    "mark_read",
    "move_fanout",
    "page",
    "postpone_delivery",
    "postpone_fanout",
    "settings",
    "subscription",
    "subscriptions",
    "tell",
    "unread",
]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be told, whoever is told."""

    kind: str
    source: str
    """Names what happened: the same (account, kind, source) is told once."""
    space: SpaceId | None = None
    by: AccountId | None = None
    data: dict[str, Any] = {}


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What an account was told."""

    id: int
    account: AccountId
    kind: str
    source: str
    space: SpaceId | None
    by: AccountId | None
    data: dict[str, Any]
    created_ms: int
    read_ms: int | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How an account wants to be told. The list in the app is always there."""

    push: bool = True
    """To every browser that subscribed."""
    email: bool = False
    off: tuple[str, ...] = ()
    """Kinds that are not told at all."""


class PushSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's push endpoint (RFC 8030) and keys (RFC 8291), base64url."""

    id: int
    account: AccountId
    endpoint: str
    p256dh: str
    auth: str
    created_ms: int


class Fanout(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be told to many."""

    id: int
    key: str
    audience: str
    of: int
    notice: Notice
    after: AccountId
    created_ms: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one place."""

    notification: Notification
    channel: str
    target: int
    tries: int


def tell(
    c: sa.Connection, accounts: Sequence[AccountId], notice: Notice, now_ms: int, new_id: Callable[[], int]
) -> int:
    """Tells each account once; returns how many were not told before. At most some 1000 accounts a call."""
    if not accounts:
        return 0
    table = notification_settings
    rows = c.execute(sa.select(table).where(table.c.account.in_(accounts)))
    wishes = {row.account: struct_of(row, Settings) for row in rows}
    seen = notifications
    known = c.scalars(
        sa.select(seen.c.account).where(
            seen.c.account.in_(accounts), seen.c.kind == notice.kind, seen.c.source == notice.source
        )
    )
    skip = set(known) | {account for account, wish in wishes.items() if notice.kind in wish.off}
    wanted = [account for account in accounts if account not in skip]
    ids = {account: new_id() for account in wanted}
    body = {"kind": notice.kind, "source": notice.source, "space": notice.space, "by": notice.by, "data": notice.data}
    new = [{**body, "id": ids[account], "account": account, "created_ms": now_ms} for account in wanted]
    told = insert_new(c, notifications, new)
    insert_new(c, notification_deliveries, _deliveries(c, ids, wishes, now_ms))
    return told


def _deliveries(
    c: sa.Connection, ids: dict[AccountId, int], wishes: dict[AccountId, Settings], now_ms: int
) -> list[dict[str, Any]]:
    table = push_subscriptions
    query = sa.select(table.c.id, table.c.account).where(table.c.account.in_(ids))
    base = {"due_ms": now_ms, "tries": 0}
    rows = [
        {**base, "notification": ids[row.account], "channel": "push", "target": row.id}
        for row in c.execute(query)
        if wishes.get(row.account, Settings()).push
    ]
    rows += [
        {**base, "notification": id_, "channel": "email", "target": 0}
        for account, id_ in ids.items()
        if account in wishes and wishes[account].email
    ]
    return rows


def page(c: sa.Connection, account: AccountId, before: int | None, limit: int) -> list[Notification]:
    """An account's notifications, latest first, those with a lower id than `before`."""
    table = notifications
    query = sa.select(table).where(table.c.account == account).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return [struct_of(row, Notification) for row in c.execute(query)]


def unread(c: sa.Connection, account: AccountId, most: int) -> int:
    """How many are unread, counted up to `most`."""
    table = notifications
    some = sa.select(table.c.id).where(table.c.account == account, table.c.read_ms.is_(None)).limit(most).subquery()
    return c.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()


def mark_read(c: sa.Connection, account: AccountId, up_to: int | None, ids: Collection[int], now_ms: int) -> int:
    """Marks those with one of `ids`, or all up to the id `up_to`, as read; returns how many were not."""
    table = notifications
    which = table.c.id <= up_to if up_to is not None else table.c.id.in_(ids)
    mine = (table.c.account == account, table.c.read_ms.is_(None), which)
    return c.execute(table.update().where(*mine).values(read_ms=now_ms)).rowcount


def settings(c: sa.Connection, account: AccountId) -> Settings:
    """How the account wants to be told."""
    table = notification_settings
    row = c.execute(sa.select(table).where(table.c.account == account)).first()
    return Settings() if row is None else struct_of(row, Settings)


def change_settings(c: sa.Connection, account: AccountId, new: Settings) -> None:
    """Overwrites how the account wants to be told."""
    row = {"account": account, "push": new.push, "email": new.email, "off": list(new.off)}
    upsert(c, notification_settings, row, keys=("account",))


def add_subscription(c: sa.Connection, new: PushSubscription) -> None:
    """Adds a browser; one that subscribes again under another account leaves the first."""
    upsert(c, push_subscriptions, msgspec.structs.asdict(new), keys=("endpoint",))


def subscriptions(c: sa.Connection, account: AccountId) -> list[PushSubscription]:
    """An account's browsers."""
    table = push_subscriptions
    query = sa.select(table).where(table.c.account == account).order_by(table.c.id)
    return [struct_of(row, PushSubscription) for row in c.execute(query)]


def subscription(c: sa.Connection, id: int) -> PushSubscription | None:
    """One browser."""
    row = c.execute(sa.select(push_subscriptions).where(push_subscriptions.c.id == id)).first()
    return None if row is None else struct_of(row, PushSubscription)


def drop_subscription(c: sa.Connection, id: int, account: AccountId | None = None) -> bool:
    """Forgets a browser (of this account, if given) and what was to be sent to it."""
    table, deliveries = push_subscriptions, notification_deliveries
    mine = (table.c.id == id,) if account is None else (table.c.id == id, table.c.account == account)
    if c.execute(table.delete().where(*mine)).rowcount == 0:
        return False
    c.execute(deliveries.delete().where(deliveries.c.channel == "push", deliveries.c.target == id))
    return True


def add_fanout(c: sa.Connection, id: int, key: str, audience: str, of: int, notice: Notice, now_ms: int) -> None:
    """Something is to be told to an audience; a key that was used before changes nothing."""
    row = {
        "id": id,
        "key": key,
        "audience": audience,
        "of": of,
        "notice": msgspec.to_builtins(notice),
        "after": 0,
        "done": False,
        "due_ms": now_ms,
        "created_ms": now_ms,
    }
    insert_new(c, notification_fanouts, [row])


def due_fanout(c: sa.Connection, now_ms: int) -> Fanout | None:
    """The one that has waited longest, so that a big audience does not hold up the small ones."""
    table = notification_fanouts
    due = (table.c.done.is_(False), table.c.due_ms <= now_ms)
    row = c.execute(sa.select(table).where(*due).order_by(table.c.due_ms, table.c.id).limit(1)).first()
    return None if row is None else struct_of(row, Fanout)


def move_fanout(c: sa.Connection, fanout: Fanout, after: AccountId, done: bool, now_ms: int) -> bool:
    """A page was told; False if another process told it already."""
    table = notification_fanouts
    here = (table.c.id == fanout.id, table.c.after == fanout.after, table.c.done.is_(False))
    return c.execute(table.update().where(*here).values(after=after, done=done, due_ms=now_ms)).rowcount == 1


def postpone_fanout(c: sa.Connection, id: int, due_ms: int) -> None:
    """A page could not be told now."""
    c.execute(notification_fanouts.update().where(notification_fanouts.c.id == id).values(due_ms=due_ms))


def claim_deliveries(c: sa.Connection, now_ms: int, until_ms: int, limit: int) -> list[Delivery]:
    """Messages that are due; nobody else gets them before `until_ms`."""
    table = notification_deliveries
    query = sa.select(table).where(table.c.due_ms <= now_ms).order_by(table.c.due_ms, table.c.notification)
    rows = c.execute(query.limit(limit).with_for_update(skip_locked=True)).all()
    told: dict[int, Notification] = {}
    if rows:
        about = notifications.c.id.in_([row.notification for row in rows])
        told = {row.id: struct_of(row, Notification) for row in c.execute(sa.select(notifications).where(about))}
    claimed = []
    for row in rows:
        if (about_this := told.get(row.notification)) is None:
            finish_delivery(c, row.notification, row.channel, row.target)
            continue
        c.execute(table.update().where(*_one(row.notification, row.channel, row.target)).values(due_ms=until_ms))
        claimed.append(Delivery(notification=about_this, channel=row.channel, target=row.target, tries=row.tries))
    return claimed


def _one(notification: int, channel: str, target: int) -> tuple[sa.ColumnElement[bool], ...]:
    table = notification_deliveries
    return (table.c.notification == notification, table.c.channel == channel, table.c.target == target)


def finish_delivery(c: sa.Connection, notification: int, channel: str, target: int) -> None:
    """Sent, or given up."""
    c.execute(notification_deliveries.delete().where(*_one(notification, channel, target)))


def postpone_delivery(c: sa.Connection, delivery: Delivery, due_ms: int) -> None:
    """Not sent; tried again then."""
    mine = _one(delivery.notification.id, delivery.channel, delivery.target)
    c.execute(notification_deliveries.update().where(*mine).values(due_ms=due_ms, tries=delivery.tries + 1))


def forget_before(c: sa.Connection, before_ms: int) -> None:
    """Deletes old notifications and fan-outs that are done."""
    c.execute(notifications.delete().where(notifications.c.created_ms < before_ms))
    table = notification_fanouts
    c.execute(table.delete().where(table.c.created_ms < before_ms, table.c.done.is_(True)))
