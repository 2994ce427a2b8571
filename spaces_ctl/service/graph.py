"""The embedded social graph: accounts and how they stand to each other, in our own database.

`WritableGraph` is what `Accounts` writes through; `service.graph_http` is the same for a deployment's own graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa

from spaces_ctl.events import (
    AccountBlocked,
    AccountEvent,
    AccountUnblocked,
    BanLifted,
    Followed,
    ListeningVisibility,
    LiveBanned,
    Protected,
)
from spaces_ctl.model import AccountId, Actor, CommunityRole
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.ports import GraphFacts, Profile, SocialGraph
from spaces_ctl.store import account_log
from spaces_ctl.store import accounts as account_store
from spaces_ctl.store import graph as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.graph import Edge

__all__ = ["EmbeddedGraph", "WritableGraph", "profile_of"]

_PAGE = 20_000


class WritableGraph(SocialGraph, Protocol):
    """A graph that also takes changes."""

    async def apply(self, event: AccountEvent, actor: Actor, at_ms: int) -> bool:
        """Makes `event` so and records it in the account log; False (nothing recorded) if it was so already."""
        ...

    async def mute(self, by: AccountId, account: AccountId, on: bool, at_ms: int) -> bool:
        """Mutes or unmutes an account for `by`; a private matter, in no log. Tells whether it changed."""
        ...

    async def muted_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Everybody whom `owner` mutes."""
        ...


class EmbeddedGraph:
    """A `SocialGraph` on our own tables."""

    def __init__(self, *, db: Database) -> None:
        """On an open database with its tables."""
        self._db = db

    async def facts(self, needs: Needs, now_ms: int) -> GraphFacts:
        """Answers what `needs` asks of the graph, in one read."""

        def read(c: sa.Connection) -> GraphFacts:
            role = CommunityRole.NONE
            if needs.community is not None:
                community, account = needs.community
                role = store.roles(c, community, [account]).get(account, CommunityRole.NONE)
            return GraphFacts(
                accounts=store.account_facts(c, needs.accounts, now_ms),
                blocks=store.pairs_that_hold(c, Edge.BLOCK, needs.blocks),
                follows=store.pairs_that_hold(c, Edge.FOLLOW, needs.follows),
                community_role=role,
            )

        return await self._db.read(read)

    async def blocked_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Everybody whom `owner` blocks, ascending."""
        return await self._all(lambda c, after: store.edges_from(c, Edge.BLOCK, owner, after, _PAGE))

    async def muted_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Everybody whom `owner` mutes, ascending."""
        return await self._all(lambda c, after: store.edges_from(c, Edge.MUTE, owner, after, _PAGE))

    async def following(self, account: AccountId) -> Sequence[AccountId]:
        """Whom `account` follows, ascending."""
        return await self._all(lambda c, after: store.edges_from(c, Edge.FOLLOW, account, after, _PAGE))

    async def followers(self, account: AccountId, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Who follows `account`, ascending, a page."""
        return await self._db.read(lambda c: store.edges_to(c, Edge.FOLLOW, account, after, limit))

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Profiles of those that exist."""
        wanted = tuple(dict.fromkeys(accounts))
        rows = await self._db.read(lambda c: account_store.by_ids(c, wanted))
        return {row.id: profile_of(row) for row in rows}

    async def by_handle(self, handles: Iterable[str]) -> dict[str, Profile]:
        """Profiles by handle (lower case), of those that exist."""
        wanted = tuple(dict.fromkeys(handle.lower() for handle in handles))
        rows = await self._db.read(lambda c: account_store.by_handles(c, wanted))
        return {row.handle: profile_of(row) for row in rows}

    async def community_members(self, community: int, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Members of a community, ascending, a page."""
        return await self._db.read(lambda c: store.community_page(c, community, after, limit))

    async def community_roles(self, community: int, accounts: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
        """Roles in a community, of those who have one."""
        wanted = tuple(accounts)
        return await self._db.read(lambda c: store.roles(c, community, wanted))

    # Changes

    async def apply(self, event: AccountEvent, actor: Actor, at_ms: int) -> bool:
        """Makes `event` so and records it in the account log, in one transaction; False if it was so already."""

        def write(c: sa.Connection) -> bool:
            changed = _make_so(c, event, actor, at_ms)
            if changed:
                account_log.append(c, [event], actor, at_ms)
            return changed

        return await self._db.write(write)

    async def mute(self, by: AccountId, account: AccountId, on: bool, at_ms: int) -> bool:
        """Mutes or unmutes an account for `by`. Tells whether it changed."""
        if on:
            return await self._db.write(lambda c: store.add_edge(c, Edge.MUTE, by, account, at_ms))
        return await self._db.write(lambda c: store.drop_edge(c, Edge.MUTE, by, account))

    async def set_community_role(self, community: int, account: AccountId, role: CommunityRole) -> None:
        """Gives somebody a role in a community; `NONE` takes it."""
        await self._db.write(lambda c: store.set_role(c, community, account, role))

    async def _all(self, page: Callable[[sa.Connection, int], list[AccountId]]) -> list[AccountId]:
        # A read for each page: a list of a million leaves room for other reads in between.
        found: list[AccountId] = []
        while True:
            after = found[-1] if found else 0
            ids = await self._db.read(partial(_read_page, page=page, after=after))
            found.extend(ids)
            if len(ids) < _PAGE:
                return found


def _read_page(
    c: sa.Connection, page: Callable[[sa.Connection, int], list[AccountId]], after: AccountId
) -> list[AccountId]:
    return page(c, after)


def profile_of(row: sa.Row[Any]) -> Profile:
    """The public part of a row of `accounts`."""
    return Profile(
        id=row.id,
        handle=row.handle,
        name=row.name,
        description=row.description,
        picture=row.picture,
        protected=row.protected,
        listening_visible=row.listening_visible,
        created_ms=row.created_ms,
    )


def _make_so(c: sa.Connection, event: AccountEvent, actor: Actor, at_ms: int) -> bool:
    match event:
        case AccountBlocked(by=by, account=account):
            return store.block(c, by, account, at_ms)
        case AccountUnblocked(by=by, account=account):
            return store.drop_edge(c, Edge.BLOCK, by, account)
        case Followed(by=by, account=account, on=True):
            return store.add_edge(c, Edge.FOLLOW, by, account, at_ms)
        case Followed(by=by, account=account):
            return store.drop_edge(c, Edge.FOLLOW, by, account)
        case Protected(account=account, on=on):
            return store.set_flag(c, account, "protected", on)
        case ListeningVisibility(account=account, visible=visible):
            return store.set_flag(c, account, "listening_visible", visible)
        case LiveBanned(account=account, reason=reason, until_ms=until_ms):
            account_store.ban(c, account, reason, until_ms, actor.account, at_ms)
            return True
        case BanLifted(account=account):
            return account_store.lift_ban(c, account)
        case _:
            return True  # an appeal is no part of the graph: only recorded
