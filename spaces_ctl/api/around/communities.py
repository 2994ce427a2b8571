"""Communities."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get, patch, post, put
from litestar.params import JSONBody

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, SpacePage, before, next_before, read_id, space_page
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import AccountParam, Asker, Injected, read_account
from spaces_ctl.model import CommunityRole
from spaces_ctl.service.communities import Community

__all__ = ["router"]


class CommunityBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new community; `open`: anybody may join."""

    handle: str
    name: str
    description: str = ""
    open: bool = True


class CommunityChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be another."""

    name: str | None = None
    description: str | None = None
    open: bool | None = None


class RoleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody is to be; `none` puts them out."""

    role: CommunityRole


class CommunityView(msgspec.Struct, frozen=True, kw_only=True):
    """A community."""

    id: str
    handle: str
    name: str
    description: str
    open: bool
    members: int
    created: str


class OwnCommunity(msgspec.Struct, frozen=True, kw_only=True):
    """A community and what one is in it."""

    community: CommunityView
    role: CommunityRole


class CommunityPage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[CommunityView]
    next: str | None


class OwnCommunities(msgspec.Struct, frozen=True, kw_only=True):
    """One's own."""

    data: list[OwnCommunity]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a community."""

    account: str
    role: CommunityRole


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """Ascending by account."""

    data: list[Member]
    next: str | None


def _view(one: Community) -> CommunityView:
    return CommunityView(
        id=str(one.id),
        handle=one.handle,
        name=one.name,
        description=one.description,
        open=one.open,
        members=one.members,
        created=wire.timestamp(one.created_ms),
    )


def _id(text: str) -> int:
    return read_id(text, "community.not_found")


_ASKED = problems("auth.token_missing", "role.forbidden", "community.not_found", "community.role_required")


@post(
    "/communities",
    operation_id="createCommunity",
    summary="A new community",
    responses=problems("auth.token_missing", "role.forbidden", "account.exists"),
)
async def create(data: JSONBody[CommunityBody], principal: Asker, communities: Injected) -> CommunityView:
    """Its creator is its first admin."""
    made = await communities.create(principal, data.handle, data.name, data.description, open=data.open)
    return _view(made)


@get("/communities", operation_id="listCommunities", summary="All", responses=problems("request.cursor"))
async def listed(
    communities: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> CommunityPage:
    """Latest first."""
    page = await communities.page(before(cursors, "communities", cursor), limit)
    following = next_before(cursors, "communities", [one.id for one in page], limit)
    return CommunityPage(data=[_view(one) for one in page], next=following)


@get(
    "/me/communities",
    operation_id="listOwnCommunities",
    summary="One's own",
    responses=problems("auth.token_missing"),
)
async def mine(principal: Asker, communities: Injected) -> OwnCommunities:
    """With the role."""
    found = await communities.mine(principal)
    return OwnCommunities(data=[OwnCommunity(community=_view(one), role=role) for one, role in found])


@get(
    "/communities/{community:str}",
    operation_id="getCommunity",
    summary="A community",
    responses=problems("community.not_found"),
)
async def one(community: IdParam, communities: Injected) -> CommunityView:
    """By id."""
    return _view(await communities.get(_id(community)))


@patch("/communities/{community:str}", operation_id="editCommunity", summary="Changes it", responses=_ASKED)
async def edit(
    community: IdParam, data: JSONBody[CommunityChange], principal: Asker, communities: Injected
) -> CommunityView:
    """Admins only."""
    changed = await communities.edit(
        principal, _id(community), name=data.name, description=data.description, open=data.open
    )
    return _view(changed)


@get(
    "/communities/{community:str}/members",
    operation_id="listMembers",
    summary="Who is in it",
    responses=problems("community.not_found", "request.cursor"),
)
async def members(
    community: IdParam, communities: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> Members:
    """Ascending by account."""
    name = f"members:{community}"
    page = await communities.members(_id(community), cursors.read(name, cursor, int) or 0, limit)
    return Members(
        data=[Member(account=str(account), role=role) for account, role in page],
        next=cursors.make(name, page[-1][0]) if len(page) == limit else None,
    )


@put(
    "/communities/{community:str}/membership",
    operation_id="joinCommunity",
    summary="Joins",
    status_code=204,
    responses=_ASKED,
)
async def join(community: IdParam, principal: Asker, communities: Injected) -> None:
    """If it is open."""
    await communities.join(principal, _id(community))


@delete("/communities/{community:str}/membership", operation_id="leaveCommunity", summary="Leaves", responses=_ASKED)
async def leave(community: IdParam, principal: Asker, communities: Injected) -> None:
    """The last admin stays."""
    await communities.leave(principal, _id(community))


@put(
    "/communities/{community:str}/members/{account:str}",
    operation_id="setCommunityRole",
    summary="Gives or takes a role",
    status_code=204,
    responses={**_ASKED, **problems("account.not_found", "community.not_found")},
)
async def set_role(
    community: IdParam, account: AccountParam, data: JSONBody[RoleBody], principal: Asker, communities: Injected
) -> None:
    """Admins every role, moderators members."""
    await communities.set_role(principal, _id(community), read_account(account), data.role)


@get(
    "/communities/{community:str}/spaces",
    operation_id="listCommunitySpaces",
    summary="Its Spaces",
    responses=problems("request.cursor", "community.not_found"),
)
async def spaces_of(
    community: IdParam,
    principal: Asker,
    discovery: Injected,
    cursors: Injected,
    limit: Limit = 20,
    cursor: CursorText = None,
) -> SpacePage:
    """Live and scheduled, the newest first."""
    name = f"community:{community}"
    after = cursors.read(name, cursor, tuple[int, int])
    return space_page(await discovery.in_community(principal, _id(community), limit, after), cursors, name)


router = Router(
    path="",
    route_handlers=[create, listed, mine, one, edit, members, join, leave, set_role, spaces_of],
    tags=["Communities"],
)
