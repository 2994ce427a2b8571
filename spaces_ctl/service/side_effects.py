"""What a decision about an account does in live Spaces: blocks, bans.

The graph has recorded the decision; `Accounts` then calls `react`. If the graph's database is down, a block is carried
out here first and recorded when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.model import SYSTEM, AccountId, Actor, SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.journal import BlockEntry, Journal
from spaces_ctl.service.spaces import Spaces

__all__ = ["SideEffects"]


class SideEffects:
    """On this process's live Spaces."""

    def __init__(self, *, spaces: Spaces, journal: Journal | None = None) -> None:
        """Without a journal, blocks are refused while the database is down."""
        self._spaces = spaces
        self._journal = journal

    async def react(self, event: e.AccountEvent, actor: Actor) -> None:
        """Returns when what follows from `event` holds in every live Space: for `Accounts.on_event`.

        Raises ServiceError (`engine.unavailable`, `store.unavailable`).
        """
        match event:
            case e.AccountBlocked():
                await self.blocked(Actor(account=event.by), event.account)
            case e.AccountUnblocked():
                await self.unblocked(Actor(account=event.by), event.account)
            case e.LiveBanned():
                await self.live_banned(event.account)
            case _:
                pass

    async def blocked(self, actor: Actor, account: AccountId) -> None:
        """Puts the account out wherever the actor is host or co-host, and keeps it out while they are.

        Raises ServiceError (`engine.unavailable`, `store.unavailable`).
        """
        await self._each(
            self._hosted_by(actor.account), lambda space: self._give(actor, space, c.Blocked(account=account))
        )

    async def unblocked(self, actor: Actor, account: AccountId) -> None:
        """The account may come in again. Raises ServiceError."""
        owner = actor.account
        if owner is not None:
            await self._each(
                self._hosted_by(owner), lambda space: self._spaces.blocks_changed(space, owner, account, False)
            )

    async def live_banned(self, account: AccountId) -> None:
        """The account steps down wherever it is on stage, asks or is invited. Raises ServiceError."""
        concerned = [
            space
            for space, state in self._spaces.live.items()
            if state.seat_of(account) is not None
            or account in state.requests
            or account in state.invites
            or (state.reserved is not None and state.reserved.account == account)
        ]
        await self._each(concerned, lambda space: self._give(SYSTEM, space, c.LiveBanned(account=account)))

    async def block_unrecorded(self, actor: Actor, account: AccountId) -> bool:
        """As `blocked`, with the block itself in the journal until `record_blocks`."""
        if self._journal is None or actor.account is None or not self._hosted_by(actor.account):
            return False
        await self.blocked(actor, account)
        now_ms = self._spaces.clock.now_ms()
        await self._journal.append(BlockEntry(by=actor.account, account=account, at_ms=now_ms))
        return True

    async def record_blocks(self, record: Callable[[BlockEntry], Awaitable[object]]) -> None:
        """Has `record` write every journaled block into the graph. Raises what it raises; the rest stays."""
        journal = self._journal
        if journal is None:
            return
        for entry in journal.entries:
            if isinstance(entry, BlockEntry):
                await record(entry)
                await journal.settled(entry)

    def _hosted_by(self, owner: AccountId | None) -> list[SpaceId]:
        return [space for space, state in self._spaces.live.items() if owner in state.deny_owners]

    async def _give(self, actor: Actor, space: SpaceId, command: c.SpaceCommand) -> None:
        try:
            await self._spaces.execute(actor, space, command)
        except ServiceError as refused:
            if refused.code in ("store.unavailable", "engine.unavailable", "graph.unavailable", "version.conflict"):
                raise  # not done
            # The Space ended, or the actor is no host there any more: nothing to do.

    async def _each(self, spaces: Iterable[SpaceId], run: Callable[[SpaceId], Awaitable[object]]) -> None:
        """All at once; the first failure is raised when all have been tried."""
        results = await asyncio.gather(*(run(space) for space in spaces), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
