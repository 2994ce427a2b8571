"""Which process tells the engine: one at a time, with an epoch that is greater than those of all before it.

There is one lease for the whole deployment, as there is one engine; it stands in the store's leases as that of Space 0,
which does not exist.
"""

from __future__ import annotations

import asyncio
import logging

import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.store import leases
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable

__all__ = ["NodeLease"]

logger = logging.getLogger(__name__)

_ENGINE = 0
_LIFE_MS = 30_000
_RENEW_S = 10.0


class NodeLease:
    """Call order: `take`, then `run` beside everything else, `release` at the end."""

    def __init__(self, *, db: Database, clock: Clock, node: str) -> None:
        """`node` names this process; one that is started anew under the same name takes over at once."""
        self._db = db
        self._clock = clock
        self._node = node
        self.epoch = 0

    async def take(self) -> int:
        """The epoch. Raises ServiceError (`node.capacity`: another node holds it) and Unavailable."""
        now_ms = self._clock.now_ms()

        def take(c: sa.Connection) -> leases.Lease:
            # Ended first, so that an earlier life of ours is an earlier holder too.
            leases.release(c, _ENGINE, self._node)
            return leases.take(c, _ENGINE, self._node, now_ms, now_ms + _LIFE_MS)

        lease = await self._db.write(take)
        if lease.node != self._node:
            left_s = (lease.until_ms - now_ms) / 1000
            raise ServiceError(
                "node.capacity", f"Node {lease.node!r} looks after the Spaces.", retry_after_s=max(left_s, 1.0)
            )
        self.epoch = lease.epoch
        return lease.epoch

    async def run(self) -> None:
        """Renews until cancelled. Raises ServiceError if another node has taken over."""
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await self.renew()
            except Unavailable:
                logger.warning("the lease could not be renewed: the database does not answer")

    async def renew(self) -> None:
        """Once. Raises ServiceError if another node has taken over, and Unavailable."""
        now_ms = self._clock.now_ms()
        lease = await self._db.write(lambda c: leases.take(c, _ENGINE, self._node, now_ms, now_ms + _LIFE_MS))
        # A greater epoch: it had run out (the database was down), and nobody else was there. Ours still counts as the
        # newest for the engine, which has heard of no other.
        if lease.node != self._node:
            raise ServiceError("node.capacity", f"Node {lease.node!r} has taken over.")

    async def release(self) -> None:
        """Another node may begin at once. Raises Unavailable."""
        await self._db.write(lambda c: leases.release(c, _ENGINE, self._node))
