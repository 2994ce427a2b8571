"""The six endpoints. Who asks is found here and not at the application's gate: X's clients expect X's refusals."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.params import FromPath

from spaces_ctl.api.injected import Injected
from spaces_ctl.api.paging import Cursors
from spaces_ctl.api.xapi import parameters, render
from spaces_ctl.api.xapi.parameters import Fields, Query, canonical_space
from spaces_ctl.api.xapi.problems import XProblem, invalid_parameter, not_found
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.model import SpaceId, Status
from spaces_ctl.service import scopes
from spaces_ctl.service.answering import SILENT
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.xapi import SpaceView, XApi

__all__ = ["router"]

_log = logging.getLogger(__name__)

_STATES = {
    "all": frozenset({Status.LIVE, Status.SCHEDULED}),
    "live": frozenset({Status.LIVE}),
    "scheduled": frozenset({Status.SCHEDULED}),
}
Asked = Request[Any, Any, Any]
Answer = Response[bytes]


@get("/{space:str}")
async def lookup(
    request: Asked,
    space: FromPath[str],
    xapi: Injected[XApi],
    authentication: Injected[Authentication],
    x_rates: Injected[XRates],
) -> Answer:
    """One Space."""

    async def run(_: Principal) -> dict[str, Any]:
        fields = _query(request, parameters.COMMON).fields()
        views, errors = await _found(xapi, {_id(space): canonical_space(space)}, "id")
        body = await _spaces(xapi, views, fields, errors)
        if "data" in body:
            body["data"] = body["data"][0]
        return body

    return await _serve(request, authentication, x_rates, "lookup", run)


@get("/")
async def lookup_many(
    request: Asked, xapi: Injected[XApi], authentication: Injected[Authentication], x_rates: Injected[XRates]
) -> Answer:
    """Up to 100 Spaces."""

    async def run(_: Principal) -> dict[str, Any]:
        query = _query(request, parameters.COMMON, "ids")
        ids, fields = query.space_ids("ids"), query.fields()
        views, errors = await _found(xapi, ids, "ids")
        return await _spaces(xapi, views, fields, errors)

    return await _serve(request, authentication, x_rates, "lookup_many", run)


@get("/by/creator_ids")
async def by_creators(
    request: Asked, xapi: Injected[XApi], authentication: Injected[Authentication], x_rates: Injected[XRates]
) -> Answer:
    """The live and scheduled Spaces of up to 100 creators."""

    async def run(_: Principal) -> dict[str, Any]:
        query = _query(request, parameters.COMMON, "user_ids")
        creators, fields = query.user_ids("user_ids"), query.fields()
        known = await xapi.profiles(creators)
        errors = [not_found("user", "user_ids", str(account)) for account in creators if account not in known]
        views = await xapi.by_creators([account for account in creators if account in known])
        body = await _spaces(xapi, views, fields, errors)
        return {**body, "meta": {"result_count": len(views)}}

    return await _serve(request, authentication, x_rates, "by_creators", run)


@get("/search")
async def search(
    request: Asked, xapi: Injected[XApi], authentication: Injected[Authentication], x_rates: Injected[XRates]
) -> Answer:
    """Spaces by words of their title."""

    async def run(_: Principal) -> dict[str, Any]:
        query = _query(request, parameters.COMMON, "query", "state", "max_results")
        words, states = query.text("query", 2048), _STATES[query.choice("state", _STATES, "all")]
        limit, fields = query.max_results(), query.fields()
        views = await xapi.search(words, states, limit)
        body = await _spaces(xapi, views, fields, [])
        return {**body, "meta": {"result_count": len(views)}}

    return await _serve(request, authentication, x_rates, "search", run)


@get("/{space:str}/buyers")
async def buyers(
    request: Asked,
    space: FromPath[str],
    xapi: Injected[XApi],
    authentication: Injected[Authentication],
    x_rates: Injected[XRates],
    cursors: Injected[Cursors],
) -> Answer:
    """Who has bought a ticket; for the creator only."""

    async def run(principal: Principal) -> dict[str, Any]:
        if principal.account is None:
            raise XProblem.app_only()
        query = _query(request, parameters.ABOUT_BUYERS, "max_results", "pagination_token")
        fields, limit, name = query.fields(), query.max_results(), f"x/buyers/{_id(space)}"
        after = query.position(lambda token: _position(cursors, name, token))
        key = canonical_space(space)
        try:
            page = None if key is None else await xapi.buyers(key, principal.account, after, limit)
        except ServiceError as error:
            if error.code != "role.forbidden":
                raise
            raise XProblem.not_creator(space) from error
        if page is None:
            return {"errors": [not_found("space", "id", space)], "meta": {"result_count": 0}}
        profiles = await xapi.profiles(page.accounts)
        data = [render.user(profiles[account], fields) for account in page.accounts if account in profiles]
        gone = [not_found("user", "id", str(account)) for account in page.accounts if account not in profiles]
        meta = _meta(len(data), cursors, name, next_token=page.next)
        return render.listed(data, {}, gone, meta)

    return await _serve(request, authentication, x_rates, "buyers", run)


@get("/{space:str}/tweets")
async def posts(
    request: Asked,
    space: FromPath[str],
    xapi: Injected[XApi],
    authentication: Injected[Authentication],
    x_rates: Injected[XRates],
    cursors: Injected[Cursors],
) -> Answer:
    """Posts shared in the Space."""

    async def run(principal: Principal) -> dict[str, Any]:
        query = _query(request, parameters.ABOUT_POSTS, "max_results", "pagination_token")
        fields, limit, name = query.fields(), query.max_results(), f"x/posts/{_id(space)}"
        offset = query.position(lambda token: _position(cursors, name, token))
        key = canonical_space(space)
        page = None if key is None else await xapi.posts(key, principal.account, offset, limit)
        if page is None:
            return {"errors": [not_found("space", "id", space)], "meta": {"result_count": 0}}
        data = [render.post(post, fields) for post in page.posts]
        gone = [not_found("tweet", "id", str(post)) for post in page.missing]
        includes: dict[str, Any] = {}
        if "author_id" in fields.expansions and page.posts:
            authors = await xapi.profiles(dict.fromkeys(view.post.author for view in page.posts))
            includes["users"] = [render.user(profile, fields) for profile in authors.values()]
        meta = _meta(len(data), cursors, name, next_token=page.next, previous_token=page.previous)
        return render.listed(data, includes, gone, meta)

    return await _serve(request, authentication, x_rates, "posts", run)


async def _serve(
    request: Asked,
    authentication: Authentication,
    rates: XRates,
    operation: str,
    run: Callable[[Principal], Awaitable[dict[str, Any]]],
) -> Answer:
    """Who asks, how often, then `run`; every refusal in X's form, with the rate limit's headers on all answers."""
    headers: dict[str, str] = {}
    try:
        principal = await _principal(request, authentication)
        if principal is not None:
            standing = rates.take(operation, _who(principal))
        else:
            standing = rates.take("unauthorized", ("address", request.client.host if request.client else ""))
        headers = rates.headers(standing)
        if not standing.allowed:
            raise XProblem.too_many()
        if principal is None:
            raise XProblem.unauthorized()
        _check_scopes(principal)
        body = await run(principal)
    except XProblem as problem:
        return problem.response(headers)
    except ServiceError as error:
        if error.code == "rate.limited":  # a service key's own limit
            headers["x-rate-limit-remaining"] = "0"
            return XProblem.too_many().response(headers)
        return XProblem.unavailable(503 if error.info.http == 503 else 500).response(headers)
    except SILENT:
        return XProblem.unavailable(503).response(headers)
    except Exception:
        _log.exception("X API: %s failed", operation)
        return XProblem.unavailable(500).response(headers)
    return Response(msgspec.json.encode(body), media_type="application/json", headers=headers)


async def _principal(request: Asked, authentication: Authentication) -> Principal | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    try:
        return await authentication.by_bearer(token.strip())
    except ServiceError as error:
        if error.info.http in {401, 403}:
            return None
        raise


def _who(principal: Principal) -> tuple[str, object]:
    return ("user", principal.account) if principal.account is not None else ("app", principal.app)


def _check_scopes(principal: Principal) -> None:
    try:
        scopes.require(principal, *sorted(scopes.XAPI_READ))
    except ServiceError as error:
        raise XProblem.forbidden(f"Your token lacks a scope. {error.detail}") from error


def _query(request: Asked, lists: dict[str, frozenset[str]], *others: str) -> Query:
    return Query(request.query_params.multi_items(), lists, *others)


def _id(space: str) -> str:
    if not parameters.SPACE_ID.fullmatch(space):
        message = f"The `id` query parameter value [{space}] does not match ^[a-zA-Z0-9]{{1,13}}$"
        raise invalid_parameter("id", space, message)
    return space


async def _found(
    xapi: XApi, ids: dict[str, SpaceId | None], parameter: str
) -> tuple[list[SpaceView], list[dict[str, Any]]]:
    views = await xapi.spaces([key for key in ids.values() if key is not None])
    missing = [not_found("space", parameter, text) for text, key in ids.items() if key not in views]
    return [views[key] for key in ids.values() if key is not None and key in views], missing


async def _spaces(
    xapi: XApi, views: Sequence[SpaceView], fields: Fields, errors: list[dict[str, Any]]
) -> dict[str, Any]:
    wanted = render.accounts_named(views, fields)
    topics = render.topics_named(views, fields)
    return render.spaces_body(
        list(views),
        fields,
        await xapi.profiles(wanted) if wanted else {},
        xapi.topics(topics),
        errors,
    )


def _meta(count: int, cursors: Cursors, name: str, **positions: int | None) -> dict[str, Any]:
    given = {
        token: cursors.make(name, {"position": position})
        for token, position in positions.items()
        if position is not None
    }
    return {"result_count": count, **given}


def _position(cursors: Cursors, name: str, token: str) -> int | None:
    try:
        found: dict[str, int] = cursors.read(name, token, dict[str, int])
    except ServiceError:
        return None
    return found.get("position")


router = Router(
    path="/2/spaces",
    route_handlers=[by_creators, search, lookup_many, buyers, posts, lookup],
    opt={"open": True},
    include_in_schema=False,
    tags=["X API v2"],
)
"""Dependencies: `xapi`, `authentication`, `x_rates`, `cursors`."""
