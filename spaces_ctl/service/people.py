"""What the engine's tables say of people and a Space's log does not know: block lists, tickets, profiles.

Loaded before a decision is committed, so that a graph that does not answer refuses the command instead of leaving
somebody in whom the new host blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from spaces_ctl import events as e
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.ports import Profile, SocialGraph
from spaces_ctl.service.space_log import SpaceLog
from spaces_ctl.service.tables import People

__all__ = ["PeopleBook", "blocking"]


class PeopleBook:
    """`People` of the live Spaces."""

    def __init__(self, graph: SocialGraph, log: SpaceLog) -> None:
        """Asks `graph` for blocks and profiles, `log` for tickets."""
        self._graph = graph
        self._log = log
        self._of: dict[SpaceId, People] = {}

    def known(self, space: SpaceId) -> People:
        """What was loaded last; nothing if nothing was."""
        return self._of.get(space, People())

    def keep(self, space: SpaceId, people: People) -> None:
        """Remembers what a committed state needed."""
        self._of[space] = people

    def forget(self, space: SpaceId) -> None:
        """The next `load` asks again."""
        self._of.pop(space, None)

    async def load(self, space: Space, events: Sequence[e.SpaceEvent] = ()) -> People:
        """What `space` needs, after `events` that led to it; asks only for what is not known.

        Raises what graph and store raise.
        """
        known = self._of.get(space.id)
        before = known or People()
        blocks = {owner: before.blocks.get(owner) for owner in space.deny_owners}
        return People(
            blocks={
                owner: frozenset(await self._graph.blocked_by(owner)) if members is None else members
                for owner, members in blocks.items()
            },
            tickets=await self._tickets(space, known, events),
            profiles=await self._profiles(space, before),
        )

    async def _tickets(
        self, space: Space, known: People | None, events: Sequence[e.SpaceEvent]
    ) -> frozenset[AccountId]:
        if space.ticketing is None:
            return frozenset()
        tickets = await self._log.ticket_holders(space.id) if known is None else known.tickets
        for event in events:
            match event:
                case e.TicketBought():
                    tickets |= {event.account}
                case e.TicketRefunded():
                    tickets -= {event.account}
                case _:
                    pass
        return tickets

    async def _profiles(self, space: Space, before: People) -> dict[AccountId, Profile]:
        stage = {seat.account for seat in space.stage}
        missing = stage - before.profiles.keys()
        # Somebody came on stage: names may have changed since, so all are read again.
        return await self._graph.profiles(stage) if missing else {who: before.profiles[who] for who in stage}


def blocking(people: People, owner: AccountId, account: AccountId, on: bool) -> People:
    """`people`, but that `owner` blocks `account`, or does not any more. As it was if `owner` is no host here."""
    if owner not in people.blocks:
        return people
    change = people.blocks[owner].union if on else people.blocks[owner].difference
    return msgspec.structs.replace(people, blocks={**people.blocks, owner: change({account})})
