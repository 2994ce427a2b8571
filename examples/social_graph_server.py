"""Your own social graph behind the contract of docs/social-graph.md: every endpoint, signature check included.

It answers from our embedded graph, so that it can be run and tested as it is; put your own queries in its place.

    SPACES_GRAPH_KEY=secret python examples/social_graph_server.py sqlite:///graph.db 8500
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated, Any

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, QueryParameter

from spaces_ctl import events as ev
from spaces_ctl.clock import Clock, SystemClock
from spaces_ctl.model import Actor
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.graph import EmbeddedGraph, WritableGraph
from spaces_ctl.service.graph_wire import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Changed,
    ChangeRequest,
    FactsAnswer,
    FactsRequest,
    HandlesRequest,
    IdsPage,
    IdsRequest,
    ProfilesAnswer,
    ProfileWire,
    RolesAnswer,
    Standing,
    genuine,
)
from spaces_ctl.service.ports import Profile
from spaces_ctl.store.database import Database

Limit = Annotated[int, QueryParameter(ge=1, le=10_000)]


def make_app(graph: WritableGraph, key: bytes, clock: Clock) -> Litestar:
    """The server's application."""

    async def body_of(request: Request[Any, Any, Any]) -> bytes:
        body = await request.body()
        query = request.scope["query_string"].decode()
        target = request.scope["raw_path"].decode() + (f"?{query}" if query else "")
        timestamp, signature = request.headers.get(TIMESTAMP_HEADER, ""), request.headers.get(SIGNATURE_HEADER, "")
        if not genuine(key, timestamp, signature, request.method, target, body, clock.now_ms() // 1000):
            raise NotAuthorizedException("not signed with our key")
        return body

    def answer(value: msgspec.Struct) -> Response[bytes]:
        return Response(msgspec.json.encode(value), media_type="application/json", status_code=200)

    @post("/facts")
    async def facts(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = msgspec.json.decode(await body_of(request), type=FactsRequest)
        needs = Needs(
            accounts=frozenset(map(int, asked.accounts)),
            blocks=frozenset((int(a), int(b)) for a, b in asked.blocks),
            follows=frozenset((int(a), int(b)) for a, b in asked.follows),
            community=(int(asked.community[0]), int(asked.community[1])) if asked.community else None,
        )
        known = await graph.facts(needs, clock.now_ms())
        return answer(
            FactsAnswer(
                accounts={
                    str(account): Standing(exists=f.exists, protected=f.protected, followers=f.followers)
                    for account, f in known.accounts.items()
                },
                blocks=tuple((str(a), str(b)) for a, b in known.blocks),
                follows=tuple((str(a), str(b)) for a, b in known.follows),
                community_role=known.community_role.value,
            )
        )

    @post("/profiles")
    async def profiles(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = msgspec.json.decode(await body_of(request), type=IdsRequest)
        found = await graph.profiles(map(int, asked.accounts))
        return answer(ProfilesAnswer(profiles=tuple(map(_wire, found.values()))))

    @post("/profiles/by-handle")
    async def by_handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        asked = msgspec.json.decode(await body_of(request), type=HandlesRequest)
        found = await graph.by_handle(asked.handles)
        return answer(ProfilesAnswer(profiles=tuple(map(_wire, found.values()))))

    @get("/accounts/{account:int}/{what:str}")
    async def edges(
        request: Request[Any, Any, Any],
        account: FromPath[int],
        what: FromPath[str],
        limit: Limit,
        after: FromQuery[int] = 0,
    ) -> Response[bytes]:
        await body_of(request)
        match what:
            case "followers":
                ids = list(await graph.followers(account, after, limit))
            case "following":
                ids = _page(await graph.following(account), after, limit)
            case "blocks":
                ids = _page(await graph.blocked_by(account), after, limit)
            case "mutes":
                ids = _page(await graph.muted_by(account), after, limit)
            case _:
                return Response(b"", status_code=404)
        return answer(IdsPage(ids=tuple(map(str, ids))))

    @get("/communities/{community:int}/members")
    async def members(
        request: Request[Any, Any, Any], community: FromPath[int], limit: Limit, after: FromQuery[int] = 0
    ) -> Response[bytes]:
        await body_of(request)
        return answer(IdsPage(ids=tuple(map(str, await graph.community_members(community, after, limit)))))

    @post("/communities/{community:int}/roles")
    async def roles(request: Request[Any, Any, Any], community: FromPath[int]) -> Response[bytes]:
        asked = msgspec.json.decode(await body_of(request), type=IdsRequest)
        found = await graph.community_roles(community, map(int, asked.accounts))
        return answer(RolesAnswer(roles={str(account): role.value for account, role in found.items()}))

    @post("/changes")
    async def changes(request: Request[Any, Any, Any]) -> Response[bytes]:
        change = msgspec.json.decode(await body_of(request), type=ChangeRequest)
        return answer(Changed(changed=await _make_so(graph, change, clock.now_ms())))

    handlers = [facts, profiles, by_handle, edges, members, roles, changes]
    return Litestar(route_handlers=handlers, openapi_config=None)


async def _make_so(graph: WritableGraph, change: ChangeRequest, now: int) -> bool:
    by, other, on = int(change.by), int(change.account or 0), change.on
    event: ev.AccountEvent
    match change.kind:
        case "mute":
            return await graph.mute(by, other, on, now)
        case "follow":
            event = ev.Followed(by=by, account=other, on=on)
        case "block":
            event = ev.AccountBlocked(by=by, account=other) if on else ev.AccountUnblocked(by=by, account=other)
        case "protected":
            event = ev.Protected(account=by, on=on)
        case "listening_visible":
            event = ev.ListeningVisibility(account=by, visible=on)
    return await graph.apply(event, Actor(account=by), now)


def _page(ids: Any, after: int, limit: int) -> list[int]:
    return [account for account in ids if account > after][:limit]


def _wire(profile: Profile) -> ProfileWire:
    return ProfileWire(**{**msgspec.structs.asdict(profile), "id": str(profile.id)})


async def main() -> None:
    """Serves until it is interrupted."""
    database = await Database.open(sys.argv[1])
    await database.create_tables()
    app = make_app(EmbeddedGraph(db=database), os.environ["SPACES_GRAPH_KEY"].encode(), SystemClock())
    await uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[2]), log_level="info")).serve()
    await database.aclose()


if __name__ == "__main__":
    asyncio.run(main())
