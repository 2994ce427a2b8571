"""The log of accounts: blocks, follows, bans, appeals. Ordered as the log of Spaces is; there are no versions."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from spaces_ctl.events import AccountEvent
from spaces_ctl.model import AccountId, Actor
from spaces_ctl.store import event_log
from spaces_ctl.store.tables.log import account_events

__all__ = ["AccountRecorded", "append", "head", "read", "read_all"]

_LOG = "accounts"
_event_of = msgspec.msgpack.Decoder(AccountEvent).decode
_actor_of = msgspec.msgpack.Decoder(Actor).decode
_encode = msgspec.msgpack.encode


class AccountRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the log of accounts."""

    sequence: int
    """Ascending in the order of commit; a count of its own, not that of the Spaces."""
    at_ms: int
    actor: Actor
    event: AccountEvent


def append(
    c: sa.Connection, events: list[AccountEvent] | tuple[AccountEvent, ...], actor: Actor, at_ms: int
) -> tuple[AccountRecorded, ...]:
    """Adds events. Holds the log's lock until the transaction ends, as `event_log.append` does."""
    if not events:
        return ()
    last = event_log.reserve(c, _LOG, len(events))
    recorded = tuple(
        AccountRecorded(sequence=last - len(events) + number, at_ms=at_ms, actor=actor, event=event)
        for number, event in enumerate(events, 1)
    )
    c.execute(
        sa.insert(account_events),
        [
            {
                "sequence": r.sequence,
                "account": r.event.account,
                "at_ms": at_ms,
                "kind": event_log.kind_of(r.event),
                "actor": _encode(actor),
                "event": _encode(r.event),
            }
            for r in recorded
        ],
    )
    return recorded


def head(c: sa.Connection) -> int:
    """Sequence number of the last event; 0 if there is none."""
    return event_log.head(c, _LOG)


def read(
    c: sa.Connection, account: AccountId, after_sequence: int = 0, limit: int | None = None
) -> tuple[AccountRecorded, ...]:
    """Events about one account, in order."""
    query = sa.select(account_events).where(account_events.c.account == account)
    return _page(c, query, after_sequence, limit)


def read_all(c: sa.Connection, after_sequence: int, limit: int) -> tuple[AccountRecorded, ...]:
    """Everybody's events, in the order of commit."""
    return _page(c, sa.select(account_events), after_sequence, limit)


def _page(
    c: sa.Connection,
    query: sa.Select[tuple[int, int, int, str, bytes, bytes]],
    after_sequence: int,
    limit: int | None,
) -> tuple[AccountRecorded, ...]:
    query = query.where(account_events.c.sequence > after_sequence).order_by(account_events.c.sequence).limit(limit)
    return tuple(
        AccountRecorded(sequence=row.sequence, at_ms=row.at_ms, actor=_actor_of(row.actor), event=_event_of(row.event))
        for row in c.execute(query)
    )
