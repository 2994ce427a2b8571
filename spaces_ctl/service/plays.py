"""Plays of replays, counted once a viewer and half an hour: reloads and seeks of one who listens are one play.

Who listens is kept in memory only, for that half hour; the database gets a sum. After a restart somebody may be counted
once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from spaces_ctl import commands as c
from spaces_ctl.clock import Clock
from spaces_ctl.model import Actor, SpaceId
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.spaces import Outcome
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.store import summaries
from spaces_ctl.store.database import Database

__all__ = ["Plays"]

_ONCE = Window(limit=1, ms=30 * 60_000)

Execute = Callable[[Actor, SpaceId, c.SpaceCommand], Awaitable[Outcome]]


class Plays:
    """Counts them."""

    def __init__(self, *, db: Database, clock: Clock, execute: Execute) -> None:
        """`execute` is that of `Spaces`."""
        self._db = db
        # Its own: a popular replay must not push out what others count (logins).
        self._windows = Windows(clock)
        self._execute = execute

    async def play(self, principal: Principal, address: str, space: SpaceId) -> Outcome:
        """Somebody begins to listen; `address` tells guests apart. Raises ServiceError as `PlayReplay`."""
        outcome = await self._execute(principal.actor(), space, c.PlayReplay())
        viewer = f"guest {address}" if principal.account is None else f"account {principal.account}"
        if self._windows.take(("play", space, viewer), _ONCE).allowed:
            await self._db.write(lambda connection: summaries.add_plays(connection, space, 1))
        return outcome
