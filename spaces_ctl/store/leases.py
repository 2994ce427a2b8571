"""Which node looks after a Space: one at a time, for a limited time, with an epoch that tells old holders from new.

Whoever holds the lease numbers the engine's tables by (epoch, version). A node that was cut off and does not know that
its lease is over has a lower epoch, and what it still sends is refused as stale.
"""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import SpaceId
from spaces_ctl.store.insert import insert_into
from spaces_ctl.store.tables.work import space_leases

__all__ = ["Lease", "get", "held", "release", "renew", "take"]


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks after a Space, and how long."""

    space: SpaceId
    node: str
    epoch: int
    """1 for the first holder."""
    until_ms: int
    """Over from this time on; never later than the holder believes, if clocks agree."""


def take(c: sa.Connection, space: SpaceId, node: str, now_ms: int, until_ms: int) -> Lease:
    """The lease after `node` has tried to take it: `node`'s, or the other's who holds it still.

    The holder keeps its epoch; a lease that is over begins a new one, whoever takes it.
    """
    insert = insert_into(c, space_leases).values(space=space, node=node, epoch=1, until_ms=until_ms)
    table = space_leases.c
    over = table.until_ms <= now_ms
    c.execute(
        insert.on_conflict_do_update(
            index_elements=[table.space],
            set_={
                "node": node,
                "epoch": sa.case((over, table.epoch + 1), else_=table.epoch),
                "until_ms": until_ms,
            },
            where=over | (table.node == node),
        )
    )
    lease = get(c, space)
    assert lease is not None
    return lease


def renew(c: sa.Connection, node: str, now_ms: int, until_ms: int) -> list[Lease]:
    """Extends all leases that `node` holds and that are not over; returns them. The others are lost."""
    c.execute(
        sa.update(space_leases)
        .where(space_leases.c.node == node, space_leases.c.until_ms > now_ms)
        .values(until_ms=until_ms)
    )
    return held(c, node, now_ms)


def release(c: sa.Connection, space: SpaceId, node: str) -> None:
    """Ends the lease, if it is `node`'s; the epoch is remembered."""
    c.execute(
        sa.update(space_leases).where(space_leases.c.space == space, space_leases.c.node == node).values(until_ms=0)
    )


def get(c: sa.Connection, space: SpaceId) -> Lease | None:
    """The Space's last lease, over or not."""
    row = c.execute(sa.select(space_leases).where(space_leases.c.space == space)).one_or_none()
    return None if row is None else _lease(row)


def held(c: sa.Connection, node: str, now_ms: int) -> list[Lease]:
    """The leases of `node` that are not over, by Space."""
    query = sa.select(space_leases).where(space_leases.c.node == node, space_leases.c.until_ms > now_ms)
    return [_lease(row) for row in c.execute(query.order_by(space_leases.c.space))]


def _lease(row: sa.Row[tuple[int, str, int, int]]) -> Lease:
    return Lease(space=row.space, node=row.node, epoch=row.epoch, until_ms=row.until_ms)
