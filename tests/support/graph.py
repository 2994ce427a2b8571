"""A social graph in memory that answers in pages like the real one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spaces_ctl.model import AccountId, CommunityRole
from spaces_ctl.policy.facts import AccountFacts, Needs
from spaces_ctl.service.ports import GraphFacts, Profile

__all__ = ["FakeGraph"]


class FakeGraph:
    """Everybody who was ever mentioned exists."""

    def __init__(self) -> None:
        self.follows: set[tuple[AccountId, AccountId]] = set()
        self.blocks: set[tuple[AccountId, AccountId]] = set()
        self.mutes: set[tuple[AccountId, AccountId]] = set()
        self.members: dict[int, dict[AccountId, CommunityRole]] = {}
        self.hidden_listening: set[AccountId] = set()
        self.protected: set[AccountId] = set()
        self.pages_asked: list[int] = []
        self.fails = False

    async def facts(self, needs: Needs, now_ms: int) -> GraphFacts:
        return GraphFacts(
            accounts={account: AccountFacts(protected=account in self.protected) for account in needs.accounts},
            blocks=frozenset(needs.blocks & self.blocks),
            follows=frozenset(needs.follows & self.follows),
            community_role=self._role(needs.community) if needs.community else CommunityRole.NONE,
        )

    def _role(self, asked: tuple[int, AccountId]) -> CommunityRole:
        return self.members.get(asked[0], {}).get(asked[1], CommunityRole.NONE)

    async def blocked_by(self, owner: AccountId) -> Sequence[AccountId]:
        return sorted(account for by, account in self.blocks if by == owner)

    async def following(self, account: AccountId) -> Sequence[AccountId]:
        return sorted(other for by, other in self.follows if by == account)

    async def followers(self, account: AccountId, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        return self._page((by for by, other in self.follows if other == account), after, limit)

    async def blockers(self, account: AccountId, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        return self._page((by for by, other in self.blocks if other == account), after, limit)

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        return {
            account: Profile(
                id=account,
                handle=f"user{account}",
                name=f"User {account}",
                protected=account in self.protected,
                listening_visible=account not in self.hidden_listening,
            )
            for account in accounts
        }

    async def by_handle(self, handles: Iterable[str]) -> dict[str, Profile]:
        accounts = {handle: int(handle.removeprefix("user")) for handle in handles}
        profiles = await self.profiles(accounts.values())
        return {handle: profiles[account] for handle, account in accounts.items()}

    async def community_members(self, community: int, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        return self._page(self.members.get(community, {}), after, limit)

    async def community_roles(self, community: int, accounts: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
        members = self.members.get(community, {})
        return {account: members[account] for account in accounts if account in members}

    def _page(self, everybody: Iterable[AccountId], after: AccountId, limit: int) -> Sequence[AccountId]:
        if self.fails:
            raise OSError("the graph does not answer")
        self.pages_asked.append(limit)
        return sorted(account for account in everybody if account > after)[:limit]
