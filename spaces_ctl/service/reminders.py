"""Being told of a start. `RemindMe` and `Unremind` are commands of the Space; telling is the notifications' part.

The host is reminded by the Space's own timers (`HostReminded`, 24 hours, 1 hour and 10 minutes before, and at the
time).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from spaces_ctl import commands
from spaces_ctl.model import AccountId, Actor, SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import discovery as store
from spaces_ctl.store import facts, summaries
from spaces_ctl.store.database import Database
from spaces_ctl.store.summaries import Summary

__all__ = ["Reminders"]


class Reminders:
    """Sets, unsets and lists."""

    def __init__(
        self, *, db: Database, execute: Callable[[Actor, SpaceId, commands.SpaceCommand], Awaitable[object]]
    ) -> None:
        """`execute` is that of `Spaces`."""
        self._db = db
        self._execute = execute

    async def set(self, principal: Principal, space: SpaceId) -> None:
        """Raises ServiceError: the refusals of `RemindMe`."""
        await self._execute(principal.actor(), space, commands.RemindMe())

    async def unset(self, principal: Principal, space: SpaceId) -> None:
        """Raises ServiceError: the refusals of `Unremind`."""
        await self._execute(principal.actor(), space, commands.Unremind())

    async def mine(self, principal: Principal) -> Sequence[Summary]:
        """Scheduled Spaces of whose start the principal is told, the next one first."""
        if principal.account is None:
            raise ServiceError("auth.token_missing")
        account = principal.account
        return await self._db.read(lambda c: list(summaries.by_ids(c, store.reminders_of(c, account)).values()))

    async def subscribers(self, space: int, after: AccountId, limit: int) -> Sequence[AccountId]:
        """Who is to be told, ascending, a page; for the notifications."""
        return await self._db.read(lambda c: facts.subscribers(c, space, limit, after))
