"""Profiles: one's own to edit, others' to see; lists of whom one follows, blocks and mutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Router, get, patch
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from spaces_ctl.api.auth.logins import AccountAnswer, account_answer, known
from spaces_ctl.api.injected import Injected
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import Cursors
from spaces_ctl.api.spaces.params import AccountParam, read_account
from spaces_ctl.api.wire import timestamp
from spaces_ctl.clock import Clock
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import WritableGraph
from spaces_ctl.service.ports import Principal, Profile

__all__ = ["router"]

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")]
Ids = Annotated[
    str,
    QueryParameter(pattern="^[1-9][0-9]{0,18}(,[1-9][0-9]{0,18}){0,99}$", description="1 to 100 ids, by commas."),
]
Handle = Annotated[str, PathParameter(pattern="^[0-9A-Za-z_]{1,15}$", description="With or without capitals.")]


class ProfileAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An account as others see it."""

    id: str
    handle: str
    name: str
    description: str
    picture: str
    protected: bool
    created_at: str


class Profiles(msgspec.Struct, frozen=True, kw_only=True):
    """Some accounts."""

    data: list[ProfileAnswer]


class RelationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How one stands to an account. Whether it blocks or mutes one is not told."""

    account: str
    followers: int
    following: bool
    follows_you: bool
    blocking: bool
    muting: bool


class ProfileList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts."""

    data: list[ProfileAnswer]
    next: str | None


class EditProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is given is changed. `picture` is an https URL."""

    handle: str | None = None
    name: str | None = None
    description: str | None = None
    picture: str | None = None


@patch("/me", operation_id="editMe", responses=problems("auth.token_missing", "account.not_found", "account.exists"))
async def edit(
    data: JSONBody[EditProfile], principal: Injected[Principal], accounts: Injected[Accounts]
) -> AccountAnswer:
    """Changes one's own profile."""
    changes = msgspec.structs.asdict(data)
    return account_answer(await accounts.edit(known(principal), **changes))


@get("/me/blocks", operation_id="listBlocks", responses=problems("auth.token_missing", "request.cursor"))
async def blocks(
    principal: Injected[Principal],
    graph: Injected[WritableGraph],
    cursors: Injected[Cursors],
    limit: Limit = 100,
    cursor: FromQuery[str | None] = None,
) -> ProfileList:
    """Whom one blocks, by id."""
    return await _page(graph, cursors, "blocks", await graph.blocked_by(known(principal)), cursor, limit)


@get("/me/mutes", operation_id="listMutes", responses=problems("auth.token_missing", "request.cursor"))
async def mutes(
    principal: Injected[Principal],
    graph: Injected[WritableGraph],
    cursors: Injected[Cursors],
    limit: Limit = 100,
    cursor: FromQuery[str | None] = None,
) -> ProfileList:
    """Whom one mutes, by id."""
    return await _page(graph, cursors, "mutes", await graph.muted_by(known(principal)), cursor, limit)


@get("/me/following", operation_id="listFollowing", responses=problems("auth.token_missing", "request.cursor"))
async def following(
    principal: Injected[Principal],
    graph: Injected[WritableGraph],
    cursors: Injected[Cursors],
    limit: Limit = 100,
    cursor: FromQuery[str | None] = None,
) -> ProfileList:
    """Whom one follows, by id."""
    return await _page(graph, cursors, "following", await graph.following(known(principal)), cursor, limit)


@get("/me/followers", operation_id="listFollowers", responses=problems("auth.token_missing", "request.cursor"))
async def followers(
    principal: Injected[Principal],
    graph: Injected[WritableGraph],
    cursors: Injected[Cursors],
    limit: Limit = 100,
    cursor: FromQuery[str | None] = None,
) -> ProfileList:
    """Who follows one, by id."""
    after = cursors.read("followers", cursor, int) or 0
    ids = await graph.followers(known(principal), after, limit + 1)
    return await _shown(graph, cursors, "followers", ids, limit)


@get("/accounts", operation_id="listAccounts", summary="Accounts by id")
async def accounts_by_id(ids: Ids, graph: Injected[WritableGraph]) -> Profiles:
    """Those that exist, in the order asked for."""
    wanted = [int(key) for key in dict.fromkeys(ids.split(","))]
    found = await graph.profiles(wanted)
    return Profiles(data=[_answer(found[key]) for key in wanted if key in found])


@get(
    "/accounts/{account:str}/relation",
    operation_id="getRelation",
    summary="How one stands to an account",
    responses=problems("account.not_found"),
)
async def relation(
    account: AccountParam, principal: Injected[Principal], graph: Injected[WritableGraph], clock: Injected[Clock]
) -> RelationAnswer:
    """Guests are told the number of followers."""
    key, me = read_account(account), principal.account
    needs = Needs(accounts=frozenset({key}))
    if me is not None:
        needs = Needs(
            accounts=frozenset({key}), follows=frozenset({(me, key), (key, me)}), blocks=frozenset({(me, key)})
        )
    facts = await graph.facts(needs, clock.now_ms())
    if not facts.accounts[key].exists:
        raise ServiceError("account.not_found")
    return RelationAnswer(
        account=str(key),
        followers=facts.accounts[key].followers,
        following=(me, key) in facts.follows,
        follows_you=(key, me) in facts.follows,
        blocking=(me, key) in facts.blocks,
        muting=me is not None and key in await graph.muted_by(me),
    )


@get("/accounts/{account:str}", operation_id="getAccount", responses=problems("account.not_found"))
async def account(account: AccountParam, graph: Injected[WritableGraph]) -> ProfileAnswer:
    """An account by id."""
    key = read_account(account)
    found = await graph.profiles([key])
    if key not in found:
        raise ServiceError("account.not_found")
    return _answer(found[key])


@get("/accounts/by-handle/{handle:str}", operation_id="getAccountByHandle", responses=problems("account.not_found"))
async def by_handle(handle: Handle, graph: Injected[WritableGraph]) -> ProfileAnswer:
    """An account by handle."""
    found = await graph.by_handle([handle])
    if handle.lower() not in found:
        raise ServiceError("account.not_found")
    return _answer(found[handle.lower()])


async def _page(
    graph: WritableGraph, cursors: Cursors, name: str, ids: Sequence[int], cursor: str | None, limit: int
) -> ProfileList:
    after = cursors.read(name, cursor, int) or 0
    return await _shown(graph, cursors, name, [key for key in ids if key > after][: limit + 1], limit)


async def _shown(graph: WritableGraph, cursors: Cursors, name: str, ids: Sequence[int], limit: int) -> ProfileList:
    page = ids[:limit]
    profiles = await graph.profiles(page)
    return ProfileList(
        data=[_answer(profiles[key]) for key in page if key in profiles],
        next=cursors.make(name, page[-1]) if len(ids) > limit else None,
    )


def _answer(profile: Profile) -> ProfileAnswer:
    return ProfileAnswer(
        id=str(profile.id),
        handle=profile.handle,
        name=profile.name,
        description=profile.description,
        picture=profile.picture,
        protected=profile.protected,
        created_at=timestamp(profile.created_ms),
    )


router = Router(
    path="/",
    route_handlers=[edit, blocks, mutes, following, followers, accounts_by_id, relation, account, by_handle],
    tags=["Account"],
)
"""Depends on `principal, accounts, graph, clock, cursors`."""
