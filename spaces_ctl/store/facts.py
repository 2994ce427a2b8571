"""What the rules ask of the projections (`policy.facts`): one member of a big set, or what an account hosts."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.store.tables.spaces import poll_votes, spaces, subscriptions, tickets

__all__ = [
    "Buyer",
    "buyers",
    "has_ticket",
    "holders",
    "live_elsewhere",
    "scheduled",
    "subscribed",
    "subscribers",
    "tickets_of",
    "tickets_sold",
    "voted",
]


class Buyer(NamedTuple):
    """Who holds a ticket."""

    account: AccountId
    payment: str
    bought_ms: int
    sequence: int
    """The buyer's place in the list: cursor of the next page."""


def has_ticket(c: sa.Connection, space: SpaceId, account: AccountId) -> bool:
    """Whether the account holds a ticket."""
    return _exists(c, tickets, tickets.c.space == space, tickets.c.account == account)


def tickets_sold(c: sa.Connection, space: SpaceId) -> int:
    """Tickets that are held."""
    return c.execute(sa.select(sa.func.count()).where(tickets.c.space == space)).scalar_one()


def buyers(c: sa.Connection, space: SpaceId, limit: int, after_sequence: int = 0) -> list[Buyer]:
    """Who holds tickets, in the order of buying."""
    columns = (tickets.c.account, tickets.c.payment, tickets.c.bought_ms, tickets.c.sequence)
    rows = c.execute(
        sa.select(*columns)
        .where(tickets.c.space == space, tickets.c.sequence > after_sequence)
        .order_by(tickets.c.sequence)
        .limit(limit)
    )
    return [Buyer(*row) for row in rows]


def holders(c: sa.Connection, space: SpaceId) -> list[AccountId]:
    """All who hold tickets, ascending: the engine's allow set."""
    return list(c.scalars(sa.select(tickets.c.account).where(tickets.c.space == space).order_by(tickets.c.account)))


def tickets_of(c: sa.Connection, account: AccountId, limit: int, before: SpaceId | None = None) -> list[SpaceId]:
    """Spaces for which the account holds a ticket, the newest first."""
    query = sa.select(tickets.c.space).where(tickets.c.account == account)
    if before is not None:
        query = query.where(tickets.c.space < before)
    return list(c.scalars(query.order_by(tickets.c.space.desc()).limit(limit)))


def subscribed(c: sa.Connection, space: SpaceId, account: AccountId) -> bool:
    """Whether the account wants to be told of the start."""
    return _exists(c, subscriptions, subscriptions.c.space == space, subscriptions.c.account == account)


def subscribers(c: sa.Connection, space: SpaceId, limit: int, after: AccountId = 0) -> list[AccountId]:
    """Who wants to be told of the start, ascending, a page."""
    return list(
        c.scalars(
            sa.select(subscriptions.c.account)
            .where(subscriptions.c.space == space, subscriptions.c.account > after)
            .order_by(subscriptions.c.account)
            .limit(limit)
        )
    )


def voted(c: sa.Connection, space: SpaceId, poll: int, account: AccountId) -> bool:
    """Whether the account has voted."""
    votes = poll_votes.c
    return _exists(c, poll_votes, votes.space == space, votes.poll == poll, votes.account == account)


def live_elsewhere(c: sa.Connection, account: AccountId, but: SpaceId) -> bool:
    """Whether the account hosts another live Space: is its primary admin, or its creator who may come back as such."""
    host = (spaces.c.admin == account) | ((spaces.c.creator == account) & ~spaces.c.transferred)
    return _exists(c, spaces, spaces.c.status == Status.LIVE.value, spaces.c.id != but, host)


def scheduled(c: sa.Connection, account: AccountId, but: SpaceId) -> int:
    """Scheduled Spaces of the account, `but` not counted."""
    return c.execute(
        sa.select(sa.func.count()).where(
            spaces.c.creator == account, spaces.c.status == Status.SCHEDULED.value, spaces.c.id != but
        )
    ).scalar_one()


def _exists(c: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> bool:
    return bool(c.scalar(sa.select(sa.exists(sa.select(sa.literal(1)).select_from(table).where(*conditions)))))
