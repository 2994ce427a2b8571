"""Service keys, join tokens for another product's users, and what a deployment's own social graph tells us."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.params import JSONBody

from spaces_ctl import commands as c
from spaces_ctl.api.injected import Injected
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.commands import refusals
from spaces_ctl.api.spaces.params import NameParam
from spaces_ctl.api.wire import SpaceIdText, space_id, timestamp
from spaces_ctl.clock import Clock
from spaces_ctl.model import Actor
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph_http import Invalidations
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.service_keys import ServiceKey, ServiceKeys

__all__ = ["router"]

Asked = Request[Any, Any, Any]


class ServiceKeyAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A service key. `secret` is told once, when it is made."""

    id: str
    name: str
    namespace: str
    scopes: tuple[str, ...]
    per_minute: int
    created_at: str
    revoked_at: str | None = None
    jwks: dict[str, Any] | None = None
    secret: str | None = None


class ServiceKeyList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: list[ServiceKeyAnswer]
    next: None = None


class AskServiceKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`namespace` is where the product's users live; `jwks` verifies its assertions (RFC 7523), public keys only."""

    name: str
    namespace: str
    scopes: tuple[str, ...] = ("join_tokens", "act_as", "space.read", "space.join", "space.write", "users.read")
    jwks: dict[str, Any] | None = None
    per_minute: int = 600


class AskJoinToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For `user` (the product's own id), or for somebody unknown if left out."""

    space: SpaceIdText
    user: str | None = None
    name: str = ""
    """Shown in the Space; taken when the user is first named."""
    anonymous: bool = False
    """Listen unnamed."""


class JoinTokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the user's client needs to connect."""

    token: str
    urls: tuple[str, ...]
    expires_at: str
    role: str
    account: str | None
    certificate_sha256: str | None
    """base64; to be pinned."""


@post(
    "/service-keys",
    status_code=201,
    operation_id="createServiceKey",
    opt={"secret": True},
    responses=problems("auth.token_missing", "role.forbidden"),
)
async def create(
    data: JSONBody[AskServiceKey], principal: Injected[Principal], service_keys: Injected[ServiceKeys]
) -> ServiceKeyAnswer:
    """Makes a service key. For operators."""
    _operates(principal)
    made = await service_keys.create(
        name=data.name,
        namespace=data.namespace,
        scopes_wanted=data.scopes,
        jwks=data.jwks,
        per_minute=data.per_minute,
    )
    return _answer(made.key, made.secret)


@get("/service-keys", operation_id="listServiceKeys", responses=problems("auth.token_missing", "role.forbidden"))
async def listed(principal: Injected[Principal], service_keys: Injected[ServiceKeys]) -> ServiceKeyList:
    """All service keys, revoked ones too. For operators."""
    _operates(principal)
    return ServiceKeyList(data=[_answer(key) for key in await service_keys.listed()])


@delete(
    "/service-keys/{key:str}",
    status_code=204,
    operation_id="revokeServiceKey",
    responses=problems("auth.token_missing", "role.forbidden", "resource.not_found"),
)
async def revoke(key: NameParam, principal: Injected[Principal], service_keys: Injected[ServiceKeys]) -> None:
    """Revokes a service key and its users' tokens at once. For operators."""
    _operates(principal)
    await service_keys.revoke(key)


@post(
    "/join-tokens",
    status_code=201,
    operation_id="mintJoinToken",
    opt={"secret": True},
    responses=problems("auth.scope", "space.not_found", *refusals(c.Join)),
)
async def mint(
    data: JSONBody[AskJoinToken],
    principal: Injected[Principal],
    service_keys: Injected[ServiceKeys],
    joins: Injected[Joins],
) -> JoinTokenAnswer:
    """A join token for one of a service key's users, as if that user had joined. The same refusals hold."""
    try:
        space = space_id(data.space)
    except ValueError as error:
        raise ServiceError("space.not_found") from error
    account = await service_keys.user(principal, data.user, data.name) if data.user is not None else None
    if account is None:
        service_keys.may_mint(principal)
    admission = await joins.join(Actor(account=account, anonymous=data.anonymous), space)
    pin = admission.certificate_sha256
    return JoinTokenAnswer(
        token=admission.token,
        urls=admission.urls,
        expires_at=timestamp(admission.expires_ms),
        role=admission.role.value,
        account=str(account) if account is not None else None,
        certificate_sha256=base64.b64encode(pin).decode() if pin is not None else None,
    )


@post(
    "/graph/invalidations",
    status_code=204,
    opt={"open": True},
    operation_id="invalidateGraph",
    responses=problems("auth.token_invalid", "resource.not_found"),
)
async def invalidate(
    request: Asked, invalidations: Injected[Invalidations | None], clock: Injected[Clock]
) -> Response[None]:
    """A deployment's own social graph says whose accounts have changed; signed as docs/social-graph.md says."""
    if invalidations is None:
        raise ServiceError("resource.not_found")
    target = request.scope["path"]
    invalidations.take(request.method, target, dict(request.headers), await request.body(), clock.now_ms() // 1000)
    return Response(None, status_code=204)


def _operates(principal: Principal) -> None:
    if not principal.operator:
        raise ServiceError("role.forbidden" if principal.account is not None or principal.app else "auth.token_missing")


def _answer(key: ServiceKey, secret: str | None = None) -> ServiceKeyAnswer:
    return ServiceKeyAnswer(
        id=key.id,
        name=key.name,
        namespace=key.namespace,
        scopes=key.scopes,
        per_minute=key.per_minute,
        created_at=timestamp(key.created_ms),
        revoked_at=timestamp(key.revoked_ms) if key.revoked_ms is not None else None,
        jwks=key.jwks,
        secret=secret,
    )


router = Router(path="/", route_handlers=[create, listed, revoke, mint, invalidate], tags=["Embedding"])
"""Depends on `principal, service_keys, joins, invalidations (or None), clock`."""
