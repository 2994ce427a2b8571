"""Rows of webhooks: endpoints, lanes, messages, attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import SpaceId
from spaces_ctl.store.insert import insert_into, insert_new
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.webhooks import webhook_attempts, webhook_endpoints, webhook_lanes, webhook_messages

__all__ = [
    "Attempt",
    "Claim",
    "Endpoint",
    "Message",
    "attempts",
    "book_delivered",
    "book_failed",
    "change_endpoint",
    "claim_due",
    "delete_endpoint",
    "endpoint",
    "endpoints",
    "enqueue",
    "forget_before",
    "insert_endpoint",
    "listening",
    "messages",
    "next_due_ms",
    "requeue",
]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody wants to be told."""

    id: int
    owner: str
    space: SpaceId | None
    url: str
    events: tuple[str, ...]
    """Kinds wanted; empty: all."""
    secrets: tuple[tuple[str, int | None], ...]
    """(secret, valid until ms), newest first."""
    created_ms: int
    failing_since_ms: int | None = None
    disabled_ms: int | None = None
    disabled_why: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint."""

    endpoint: int
    sequence: int
    space: SpaceId
    kind: str
    body: str
    state: str
    created_ms: int
    first_try_ms: int | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to send a lane's first message, for some time."""

    endpoint: Endpoint
    message: Message
    tries: int
    claim: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one request; `status` is the HTTP status, None if there was no answer."""

    sequence: int
    at_ms: int
    status: int | None
    error: str
    took_ms: int


def insert_endpoint(c: sa.Connection, new: Endpoint) -> None:
    """Adds an endpoint."""
    c.execute(webhook_endpoints.insert().values(**msgspec.to_builtins(new)))


def endpoint(c: sa.Connection, id: int) -> Endpoint | None:
    """One endpoint."""
    row = c.execute(sa.select(webhook_endpoints).where(webhook_endpoints.c.id == id)).first()
    return None if row is None else struct_of(row, Endpoint)


def endpoints(c: sa.Connection, owner: str) -> list[Endpoint]:
    """An owner's endpoints, oldest first."""
    table = webhook_endpoints
    return [
        struct_of(row, Endpoint)
        for row in c.execute(sa.select(table).where(table.c.owner == owner).order_by(table.c.id))
    ]


def listening(c: sa.Connection, spaces: Iterable[SpaceId]) -> list[Endpoint]:
    """Enabled endpoints that hear of any of these Spaces."""
    table = webhook_endpoints
    heard = sa.or_(table.c.space.is_(None), table.c.space.in_(list(spaces)))
    query = sa.select(table).where(table.c.disabled_ms.is_(None), heard).order_by(table.c.id)
    return [struct_of(row, Endpoint) for row in c.execute(query)]


def change_endpoint(c: sa.Connection, changed: Endpoint) -> None:
    """Overwrites an endpoint."""
    table = webhook_endpoints
    c.execute(table.update().where(table.c.id == changed.id).values(**msgspec.to_builtins(changed)))


def delete_endpoint(c: sa.Connection, id: int) -> None:
    """Removes an endpoint and everything that was to be delivered to it."""
    c.execute(webhook_endpoints.delete().where(webhook_endpoints.c.id == id))
    for table in (webhook_messages, webhook_lanes, webhook_attempts):
        c.execute(table.delete().where(table.c.endpoint == id))


def enqueue(c: sa.Connection, new: Sequence[Message]) -> None:
    """Puts messages at the end of their lanes, which are due at once if they were empty. Repeating changes nothing."""
    rows = [msgspec.to_builtins(message) for message in new]
    for row, message in zip(rows, new, strict=True):
        if insert_new(c, webhook_messages, [row]):
            _open_lane(c, message.endpoint, message.space, message.created_ms)


def _open_lane(c: sa.Connection, endpoint_id: int, space: SpaceId, due_ms: int) -> None:
    table = webhook_lanes
    row = {"endpoint": endpoint_id, "space": space, "due_ms": due_ms, "tries": 0, "claim": 0}
    # An update that changes nothing, instead of nothing, waits for whoever is about to delete the lane.
    same = {"tries": table.c.tries}
    c.execute(
        insert_into(c, table).values(**row).on_conflict_do_update(index_elements=["endpoint", "space"], set_=same)
    )


def _pending(endpoint_id: int, space: SpaceId) -> sa.Select[Any]:
    table = webhook_messages
    lane = (table.c.endpoint == endpoint_id, table.c.space == space, table.c.state == "pending")
    return sa.select(table).where(*lane).order_by(table.c.sequence).limit(1)


def claim_due(c: sa.Connection, now_ms: int, until_ms: int, busy: Iterable[int] = ()) -> Claim | None:
    """Claims the lane that has been due for longest, of an endpoint that is enabled and not one of `busy`.

    Nobody else gets it before `until_ms`; the claim is over when the outcome is booked.
    """
    lanes, ends = webhook_lanes, webhook_endpoints
    usable = sa.exists().where(ends.c.id == lanes.c.endpoint, ends.c.disabled_ms.is_(None))
    due = (lanes.c.due_ms <= now_ms, usable, lanes.c.endpoint.not_in(list(busy)))
    query = sa.select(lanes).where(*due).order_by(lanes.c.due_ms, lanes.c.endpoint, lanes.c.space).limit(1)
    while (row := c.execute(query.with_for_update(skip_locked=True, of=lanes)).first()) is not None:
        here = (lanes.c.endpoint == row.endpoint, lanes.c.space == row.space)
        found = c.execute(_pending(row.endpoint, row.space)).first()
        owner = endpoint(c, row.endpoint)
        if found is None or owner is None:
            c.execute(lanes.delete().where(*here))
            continue
        c.execute(lanes.update().where(*here).values(due_ms=until_ms, claim=row.claim + 1))
        first = struct_of(found, Message)
        return Claim(endpoint=owner, message=first, tries=row.tries, claim=row.claim + 1)
    return None


def book_delivered(c: sa.Connection, claim: Claim, attempt: Attempt) -> None:
    """The receiver has it; the lane's next message is due."""
    _lock_lane(c, claim)
    _log_attempt(c, claim.endpoint.id, attempt)
    _settle(c, claim, "delivered", attempt.at_ms)
    table = webhook_endpoints
    failing = (table.c.id == claim.endpoint.id, table.c.failing_since_ms.is_not(None))
    c.execute(table.update().where(*failing).values(failing_since_ms=None))


def book_failed(c: sa.Connection, claim: Claim, attempt: Attempt, retry_ms: int | None) -> None:
    """Not delivered: tried again at `retry_ms`, or given up (None) so that the lane's next message is due."""
    _lock_lane(c, claim)
    _log_attempt(c, claim.endpoint.id, attempt)
    lanes, messages_, ends = webhook_lanes, webhook_messages, webhook_endpoints
    c.execute(
        ends.update()
        .where(ends.c.id == claim.endpoint.id, ends.c.failing_since_ms.is_(None))
        .values(failing_since_ms=attempt.at_ms)
    )
    mine = (messages_.c.endpoint == claim.endpoint.id, messages_.c.sequence == claim.message.sequence)
    first_try = messages_.update().where(*mine, messages_.c.first_try_ms.is_(None))
    c.execute(first_try.values(first_try_ms=attempt.at_ms))
    if retry_ms is None:
        _settle(c, claim, "failed", attempt.at_ms)
    else:
        c.execute(lanes.update().where(*_claimed(claim)).values(due_ms=retry_ms, tries=claim.tries + 1))


def _lock_lane(c: sa.Connection, claim: Claim) -> None:
    # Before looking whether the lane is empty: a message that is being added then is seen, or opens the lane anew.
    lanes = webhook_lanes
    here = (lanes.c.endpoint == claim.endpoint.id, lanes.c.space == claim.message.space)
    c.execute(sa.select(lanes.c.claim).where(*here).with_for_update())


def _claimed(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    lanes = webhook_lanes
    here = (lanes.c.endpoint == claim.endpoint.id, lanes.c.space == claim.message.space)
    return (*here, lanes.c.claim == claim.claim)


def _settle(c: sa.Connection, claim: Claim, state: str, now_ms: int) -> None:
    table, lanes = webhook_messages, webhook_lanes
    mine = (table.c.endpoint == claim.endpoint.id, table.c.sequence == claim.message.sequence)
    c.execute(table.update().where(*mine, table.c.state == "pending").values(state=state))
    if c.execute(_pending(claim.endpoint.id, claim.message.space)).first() is None:
        c.execute(lanes.delete().where(*_claimed(claim)))
    else:
        c.execute(lanes.update().where(*_claimed(claim)).values(due_ms=now_ms, tries=0))


def _log_attempt(c: sa.Connection, endpoint_id: int, attempt: Attempt) -> None:
    c.execute(webhook_attempts.insert().values(endpoint=endpoint_id, **msgspec.to_builtins(attempt)))


def requeue(c: sa.Connection, endpoint_id: int, sequence: int, now_ms: int) -> bool:
    """Has a message delivered again, at once; False if there is none."""
    table = webhook_messages
    mine = (table.c.endpoint == endpoint_id, table.c.sequence == sequence)
    row = c.execute(sa.select(table.c.space).where(*mine)).first()
    if row is None:
        return False
    c.execute(table.update().where(*mine).values(state="pending", first_try_ms=None))
    _open_lane(c, endpoint_id, row.space, now_ms)
    return True


def next_due_ms(c: sa.Connection) -> int | None:
    """When the next lane is due."""
    return c.execute(sa.select(sa.func.min(webhook_lanes.c.due_ms))).scalar()


def messages(c: sa.Connection, endpoint_id: int, before: int | None, limit: int) -> list[Message]:
    """Messages for an endpoint, latest first, those with a lower sequence than `before`."""
    table = webhook_messages
    query = sa.select(table).where(table.c.endpoint == endpoint_id).order_by(table.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.sequence < before)
    return [struct_of(row, Message) for row in c.execute(query)]


def attempts(c: sa.Connection, endpoint_id: int, limit: int) -> list[Attempt]:
    """The latest attempts, latest first."""
    table = webhook_attempts
    query = sa.select(table).where(table.c.endpoint == endpoint_id).order_by(table.c.id.desc()).limit(limit)
    return [struct_of(row, Attempt) for row in c.execute(query)]


def forget_before(c: sa.Connection, before_ms: int) -> None:
    """Deletes settled messages and attempts that are older."""
    table = webhook_messages
    c.execute(table.delete().where(table.c.created_ms < before_ms, table.c.state != "pending"))
    c.execute(webhook_attempts.delete().where(webhook_attempts.c.at_ms < before_ms))
