"""Queries of the embedded social graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from spaces_ctl.model import AccountId, CommunityRole
from spaces_ctl.policy.facts import AccountFacts
from spaces_ctl.store.chunks import chunks
from spaces_ctl.store.insert import insert_new, upsert
from spaces_ctl.store.tables.accounts import accounts, live_bans
from spaces_ctl.store.tables.graph import blocks, community_roles, follows, mutes

__all__ = [
    "Edge",
    "account_facts",
    "add_edge",
    "bans",
    "block",
    "community_page",
    "drop_edge",
    "edges_from",
    "edges_to",
    "pairs_that_hold",
    "roles",
    "set_flag",
    "set_role",
]

Pair = tuple[AccountId, AccountId]


class Edge(StrEnum):
    """How one account may stand to another."""

    FOLLOW = "follow"
    BLOCK = "block"
    MUTE = "mute"


_TABLES = {Edge.FOLLOW: follows, Edge.BLOCK: blocks, Edge.MUTE: mutes}


def account_facts(c: sa.Connection, ids: Iterable[AccountId], now_ms: int) -> dict[AccountId, AccountFacts]:
    """Standing of each; `exists=False` for those that are not there."""
    ids = tuple(ids)
    facts = dict.fromkeys(ids, AccountFacts(exists=False))
    banned = sa.and_(
        live_bans.c.account.is_not(None), sa.or_(live_bans.c.until_ms.is_(None), live_bans.c.until_ms > now_ms)
    )
    for chunk in chunks(ids):
        query = (
            sa.select(accounts.c.id, accounts.c.protected, accounts.c.followers, banned.label("banned"))
            .outerjoin(live_bans, live_bans.c.account == accounts.c.id)
            .where(accounts.c.id.in_(chunk))
        )
        for row in c.execute(query):
            facts[row.id] = AccountFacts(protected=row.protected, followers=row.followers, live_banned=bool(row.banned))
    return facts


def pairs_that_hold(c: sa.Connection, edge: Edge, pairs: Iterable[Pair]) -> frozenset[Pair]:
    """Those of the (by, account) pairs between which there is such an edge."""
    table = _TABLES[edge]
    found: set[Pair] = set()
    for chunk in chunks(pairs):
        query = sa.select(table.c.by, table.c.account).where(sa.tuple_(table.c.by, table.c.account).in_(chunk))
        found.update((row.by, row.account) for row in c.execute(query))
    return frozenset(found)


def _page(c: sa.Connection, other: sa.Column[Any], where: sa.ColumnElement[bool], after: int, limit: int) -> list[int]:
    return list(c.scalars(sa.select(other).where(where, other > after).order_by(other).limit(limit)))


def edges_from(c: sa.Connection, edge: Edge, by: AccountId, after: AccountId = 0, limit: int = 1000) -> list[AccountId]:
    """Whom `by` follows, blocks or mutes, ascending, those above `after`."""
    table = _TABLES[edge]
    return _page(c, table.c.account, table.c.by == by, after, limit)


def edges_to(c: sa.Connection, edge: Edge, account: AccountId, after: int = 0, limit: int = 1000) -> list[AccountId]:
    """Who follows, blocks or mutes `account`, ascending, those above `after`."""
    table = _TABLES[edge]
    return _page(c, table.c.by, table.c.account == account, after, limit)


def add_edge(c: sa.Connection, edge: Edge, by: AccountId, account: AccountId, at_ms: int) -> bool:
    """Adds an edge; tells whether it was new."""
    new = insert_new(c, _TABLES[edge], [{"by": by, "account": account, "at_ms": at_ms}]) == 1
    if new and edge is Edge.FOLLOW:
        _count_followers(c, account, 1)
    return new


def drop_edge(c: sa.Connection, edge: Edge, by: AccountId, account: AccountId) -> bool:
    """Takes an edge away; tells whether it was there."""
    table = _TABLES[edge]
    gone = c.execute(sa.delete(table).where(table.c.by == by, table.c.account == account)).rowcount == 1
    if gone and edge is Edge.FOLLOW:
        _count_followers(c, account, -1)
    return gone


def block(c: sa.Connection, by: AccountId, account: AccountId, at_ms: int) -> bool:
    """Blocks; neither follows the other any more. Tells whether the block is new."""
    drop_edge(c, Edge.FOLLOW, by, account)
    drop_edge(c, Edge.FOLLOW, account, by)
    return add_edge(c, Edge.BLOCK, by, account, at_ms)


def _count_followers(c: sa.Connection, account: AccountId, step: int) -> None:
    c.execute(sa.update(accounts).where(accounts.c.id == account).values(followers=accounts.c.followers + step))


def set_role(c: sa.Connection, community: int, account: AccountId, role: CommunityRole) -> None:
    """Gives somebody a role in a community; `NONE` takes it."""
    if role is CommunityRole.NONE:
        where = (community_roles.c.community == community, community_roles.c.account == account)
        c.execute(sa.delete(community_roles).where(*where))
    else:
        row = {"community": community, "account": account, "role": role.value}
        upsert(c, community_roles, row, keys=("community", "account"))


def roles(c: sa.Connection, community: int, ids: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
    """Roles of those who have one."""
    found: dict[AccountId, CommunityRole] = {}
    for chunk in chunks(ids):
        query = sa.select(community_roles.c.account, community_roles.c.role).where(
            community_roles.c.community == community, community_roles.c.account.in_(chunk)
        )
        found.update((row.account, CommunityRole(row.role)) for row in c.execute(query))
    return found


def community_page(c: sa.Connection, community: int, after: AccountId, limit: int) -> Sequence[AccountId]:
    """Members, moderators and admins, ascending, those above `after`."""
    return _page(c, community_roles.c.account, community_roles.c.community == community, after, limit)


def set_flag(c: sa.Connection, account: AccountId, name: str, value: bool) -> bool:
    """Sets `protected` or `listening_visible`; tells whether it changed."""
    column = accounts.c[name]
    where = (accounts.c.id == account, column != value)
    return c.execute(sa.update(accounts).where(*where).values({column: value})).rowcount == 1


def bans(c: sa.Connection, ids: Iterable[AccountId]) -> dict[AccountId, int | None]:
    """Until when (ms; None: for good) those of the accounts who have a ban are banned; over or not."""
    query = sa.select(live_bans.c.account, live_bans.c.until_ms)
    return {
        row.account: row.until_ms
        for chunk in chunks(ids)
        for row in c.execute(query.where(live_bans.c.account.in_(chunk)))
    }
