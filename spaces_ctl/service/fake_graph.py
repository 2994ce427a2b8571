"""A social graph in memory, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from spaces_ctl import events as e
from spaces_ctl.model import AccountId, Actor, CommunityRole
from spaces_ctl.policy.facts import AccountFacts, Needs
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import GraphFacts, Profile

__all__ = ["FakeGraph"]


class FakeGraph:
    """Everybody exists, with the handle `user<id>`, until told otherwise."""

    def __init__(self) -> None:
        """Nobody follows or blocks anybody."""
        self.blocks: set[tuple[AccountId, AccountId]] = set()
        self.follows: set[tuple[AccountId, AccountId]] = set()
        self.mutes: set[tuple[AccountId, AccountId]] = set()
        self.standing: dict[AccountId, AccountFacts] = {}
        self.roles: dict[tuple[int, AccountId], CommunityRole] = {}
        self.down = False
        """True: every call raises ServiceError `graph.unavailable`."""

    async def facts(self, needs: Needs, now_ms: int) -> GraphFacts:
        """What was asked for."""
        self._answers()
        role = self.roles.get(needs.community, CommunityRole.NONE) if needs.community else CommunityRole.NONE
        return GraphFacts(
            accounts={account: self.standing.get(account, AccountFacts()) for account in needs.accounts},
            blocks=needs.blocks & self.blocks,
            follows=needs.follows & self.follows,
            community_role=role,
        )

    async def blocked_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Ascending."""
        self._answers()
        return sorted(account for by, account in self.blocks if by == owner)

    async def following(self, account: AccountId) -> Sequence[AccountId]:
        """Ascending."""
        self._answers()
        return sorted(other for by, other in self.follows if by == account)

    async def followers(self, account: AccountId, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Ascending, a page."""
        self._answers()
        return sorted(by for by, other in self.follows if other == account and by > after)[:limit]

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Of those that exist."""
        self._answers()
        known = (account for account in accounts if self.standing.get(account, AccountFacts()).exists)
        return {account: Profile(id=account, handle=f"user{account}", name=f"User {account}") for account in known}

    async def by_handle(self, handles: Iterable[str]) -> dict[str, Profile]:
        """Of handles `user<id>`."""
        ids = {handle: int(handle[4:]) for handle in handles if handle.startswith("user") and handle[4:].isdigit()}
        profiles = await self.profiles(ids.values())
        return {handle: profiles[account] for handle, account in ids.items() if account in profiles}

    async def community_members(self, community: int, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Ascending, a page."""
        self._answers()
        return sorted(account for where, account in self.roles if where == community and account > after)[:limit]

    async def community_roles(self, community: int, accounts: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
        """Of those who have one."""
        self._answers()
        return {account: self.roles[community, account] for account in accounts if (community, account) in self.roles}

    async def apply(self, event: e.AccountEvent, actor: Actor, at_ms: int) -> bool:
        """Blocks and follows; whether it was otherwise before."""
        self._answers()
        match event:
            case e.AccountBlocked():
                return _put(self.blocks, (event.by, event.account), True)
            case e.AccountUnblocked():
                return _put(self.blocks, (event.by, event.account), False)
            case e.Followed():
                return _put(self.follows, (event.by, event.account), event.on)
            case _:
                return True

    async def mute(self, by: AccountId, account: AccountId, on: bool, at_ms: int) -> bool:
        """Whether it was otherwise before."""
        self._answers()
        return _put(self.mutes, (by, account), on)

    async def muted_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Ascending."""
        self._answers()
        return sorted(account for by, account in self.mutes if by == owner)

    def ban(self, account: AccountId) -> None:
        """From live features."""
        known = self.standing.get(account, AccountFacts())
        self.standing[account] = msgspec.structs.replace(known, live_banned=True)

    def _answers(self) -> None:
        if self.down:
            raise ServiceError("graph.unavailable")


def _put(pairs: set[tuple[AccountId, AccountId]], pair: tuple[AccountId, AccountId], on: bool) -> bool:
    changed = (pair in pairs) is not on
    if on:
        pairs.add(pair)
    else:
        pairs.discard(pair)
    return changed
