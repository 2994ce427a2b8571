"""Rows of communities and of the roles in them."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, CommunityRole
from spaces_ctl.store import graph
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.communities import communities
from spaces_ctl.store.tables.graph import community_roles

__all__ = ["Community", "admins", "by_handle", "insert", "mine", "one", "page", "role", "set_role", "update"]


class Community(msgspec.Struct, frozen=True, kw_only=True):
    """A community."""

    id: int
    handle: str
    name: str
    description: str = ""
    open: bool = True
    """Anybody may join."""
    members: int = 0
    created_ms: int = 0


def insert(c: sa.Connection, new: Community) -> bool:
    """Adds a community; False if the handle is taken."""
    return insert_new(c, communities, [msgspec.structs.asdict(new)]) == 1


def one(c: sa.Connection, id: int, *, lock: bool = False) -> Community | None:
    """One community; with `lock`, nobody else changes roles in it until the transaction ends."""
    query = sa.select(communities).where(communities.c.id == id)
    row = c.execute(query.with_for_update() if lock else query).first()
    return None if row is None else struct_of(row, Community)


def by_handle(c: sa.Connection, handle: str) -> Community | None:
    """One community."""
    row = c.execute(sa.select(communities).where(communities.c.handle == handle)).first()
    return None if row is None else struct_of(row, Community)


def page(c: sa.Connection, before: int | None, limit: int) -> list[Community]:
    """All, latest first."""
    query = sa.select(communities).order_by(communities.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(communities.c.id < before)
    return [struct_of(row, Community) for row in c.execute(query)]


def mine(c: sa.Connection, account: AccountId) -> list[tuple[Community, CommunityRole]]:
    """Those in which the account has a role."""
    table = community_roles
    query = sa.select(communities, table.c.role).join(table, table.c.community == communities.c.id)
    rows = c.execute(query.where(table.c.account == account).order_by(communities.c.id)).all()
    return [(struct_of(row, Community), CommunityRole(row.role)) for row in rows]


def role(c: sa.Connection, community: int, account: AccountId) -> CommunityRole:
    """What the account is in the community."""
    return graph.roles(c, community, [account]).get(account, CommunityRole.NONE)


def admins(c: sa.Connection, community: int) -> int:
    """How many admins there are."""
    table = community_roles
    query = sa.select(sa.func.count()).where(table.c.community == community, table.c.role == CommunityRole.ADMIN)
    return c.execute(query).scalar_one()


def set_role(c: sa.Connection, community: int, account: AccountId, new: CommunityRole) -> None:
    """Gives or takes a role and keeps the count. Call with the community locked."""
    old = role(c, community, account)
    graph.set_role(c, community, account, new)
    step = (new is not CommunityRole.NONE) - (old is not CommunityRole.NONE)
    if step:
        table = communities
        c.execute(table.update().where(table.c.id == community).values(members=table.c.members + step))


def update(c: sa.Connection, changed: Community) -> None:
    """Changes name, description and whether it is open."""
    values = {"name": changed.name, "description": changed.description, "open": changed.open}
    c.execute(communities.update().where(communities.c.id == changed.id).values(**values))
