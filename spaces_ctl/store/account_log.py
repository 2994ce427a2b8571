"""The log of accounts: blocks, follows, bans, appeals. There are no versions; what the graph holds is the state."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl.events import AccountBlocked, AccountEvent, AccountUnblocked, Followed
from spaces_ctl.model import AccountId, Actor
from spaces_ctl.store import event_log
from spaces_ctl.store.tables.accounts import account_log

__all__ = ["AccountRecorded", "append", "read_all"]

_LOG = "accounts"
_actor_of = msgspec.msgpack.Decoder(Actor).decode
_event_of = msgspec.msgpack.Decoder(AccountEvent).decode


class AccountRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event in the log of accounts."""

    sequence: int
    """Ascending in the order of commit; a count of its own, not that of the Spaces."""
    at_ms: int
    actor: Actor
    event: AccountEvent


def append(c: sa.Connection, events: Sequence[AccountEvent], actor: Actor, at_ms: int) -> None:
    """Adds events. Holds the log's lock until the transaction ends, as `event_log.append` does."""
    if not events:
        return
    last = event_log.reserve(c, _LOG, len(events))
    for sequence, event in enumerate(events, last - len(events) + 1):
        values = {
            "sequence": sequence,
            "account": _about(event),
            "at_ms": at_ms,
            "actor": msgspec.msgpack.encode(actor),
            "event": msgspec.msgpack.encode(event),
        }
        c.execute(sa.insert(account_log).values(**values))


def read_all(c: sa.Connection, after_sequence: int, limit: int) -> tuple[AccountRecorded, ...]:
    """Everybody's events above `after_sequence`, ascending."""
    query = sa.select(account_log).where(account_log.c.sequence > after_sequence)
    return tuple(
        AccountRecorded(sequence=row.sequence, at_ms=row.at_ms, actor=_actor_of(row.actor), event=_event_of(row.event))
        for row in c.execute(query.order_by(account_log.c.sequence).limit(limit))
    )


def _about(event: AccountEvent) -> AccountId:
    match event:
        case AccountBlocked() | AccountUnblocked() | Followed():
            return event.by
        case _:
            return event.account
