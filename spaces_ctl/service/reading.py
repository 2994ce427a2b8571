"""Looking at Spaces without changing them: who may see which, and what the event streams read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.model import AccountId, Actor, Role, SpaceId, Status
from spaces_ctl.policy import AccountFacts, Facts, Needs, role_of
from spaces_ctl.policy.state import Space
from spaces_ctl.service.disclosure import Disclosure, disclosure
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import MediaEngine, Profile, SocialGraph
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.store import event_log
from spaces_ctl.store.database import Database

__all__ = ["Look", "Reading"]

_PAIRS = 500
"""Pairs of accounts in one question to the graph."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A Space as somebody sees it."""

    space: Space
    role: Role
    disclosure: Disclosure
    """To be told before anybody joins."""
    blocked: frozenset[AccountId] = frozenset()
    """Whom of those on stage the viewer blocks."""


class Reading:
    """Reads for the API."""

    def __init__(self, *, spaces: Spaces, db: Database, graph: SocialGraph, engine: MediaEngine, clock: Clock) -> None:
        self._spaces = spaces
        self._db = db
        self._graph = graph
        self._engine = engine
        self._clock = clock

    async def get(self, space: SpaceId) -> Space:
        """The Space now, whoever asks. Raises ServiceError (`space.not_found`, `store.unavailable`)."""
        return self._spaces.live.get(space) or await self._spaces.get(space)

    async def visible(self, actor: Actor, space: SpaceId) -> Space:
        """The Space, if it is public or the actor's matter: a lobby is for its creator and those who are invited.

        Raises ServiceError (`space.not_found`), the same for what is hidden and for what is not there.
        """
        state = await self.get(space)
        if state.status is Status.LOBBY and not (
            actor.moderator
            or (actor.account is not None and (actor.account == state.creator or actor.account in state.invites))
        ):
            raise ServiceError("space.not_found")
        return state

    async def look(self, actor: Actor, space: SpaceId) -> Look:
        """The Space, what the actor is to it, and whom of the stage they block. Raises ServiceError."""
        state = await self.visible(actor, space)
        account, told = actor.account, disclosure(state, self._spaces.limits)
        if account is None:
            return Look(space=state, role=Role.GUEST, disclosure=told)
        others = [seat.account for seat in state.stage if seat.account != account]
        return Look(
            space=state,
            role=await self.role(actor, state),
            disclosure=told,
            blocked=frozenset(await self.blocked(account, others)),
        )

    async def role(self, actor: Actor, state: Space) -> Role:
        """What the actor is to the Space; a moderator what anybody in their place would be."""
        present = False
        if actor.account is not None and state.status is Status.LIVE and state.seat_of(actor.account) is None:
            present = actor.account in await self._engine.present(state.id, [actor.account])
        accounts = {actor.account: AccountFacts(present=present)} if actor.account is not None else {}
        return role_of(state, actor, Facts(accounts=accounts))

    async def blocked(self, viewer: AccountId, accounts: Iterable[AccountId]) -> set[AccountId]:
        """Whom of the accounts the viewer blocks."""
        return {blocked for _, blocked in await self._blocks([(viewer, account) for account in accounts])}

    async def blocking(self, account: AccountId, viewers: Iterable[AccountId]) -> set[AccountId]:
        """Which of the viewers block the account."""
        return {viewer for viewer, _ in await self._blocks([(viewer, account) for viewer in viewers])}

    async def _blocks(self, pairs: Sequence[tuple[AccountId, AccountId]]) -> set[tuple[AccountId, AccountId]]:
        found: set[tuple[AccountId, AccountId]] = set()
        for start in range(0, len(pairs), _PAIRS):
            asked = Needs(blocks=frozenset(pairs[start : start + _PAIRS]))
            found |= (await self._graph.facts(asked, self._clock.now_ms())).blocks
        return found

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Profiles of those that exist."""
        return await self._graph.profiles(accounts)

    async def tail(self, space: SpaceId, after: int) -> Sequence[Recorded]:
        """The Space's events after a version."""
        return await self._db.read(lambda c: event_log.read(c, space, after))

    async def page(self, space: SpaceId, after: int, limit: int) -> Sequence[Recorded]:
        """The Space's events after a version, `limit` at most."""
        return await self._db.read(lambda c: event_log.read(c, space, after, limit))

    async def since(self, sequence: int, limit: int) -> Sequence[Recorded]:
        """Events of all Spaces after a sequence, in the order of commit."""
        return await self._db.read(lambda c: event_log.read_all(c, sequence, limit))

    async def head(self) -> int:
        """The newest sequence; 0 for an empty log."""
        return await self._db.read(event_log.head)
