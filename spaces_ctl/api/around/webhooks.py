"""Webhook endpoints and the log of what went to them."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, before, next_before, read_id, time_of
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected, read_space
from spaces_ctl.service.webhooks import Endpoint

__all__ = ["router"]


class EndpointBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to be told of what. Operators and apps may leave `space` out; no `events`: all."""

    url: str
    events: list[str] = []
    space: wire.SpaceIdText | None = None


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stops deliveries, or goes on where they stopped."""

    enabled: bool


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. `secrets`, newest first: with each of them messages are signed."""

    id: str
    url: str
    events: list[str]
    space: str | None
    secrets: list[str]
    created: str
    failing_since: str | None
    disabled: str | None
    disabled_why: str


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """One's own endpoints."""

    data: list[EndpointView]


class WebhookMessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message; `state` is pending, delivered or failed."""

    id: str
    sequence: int
    space: str
    kind: str
    state: str
    created: str


class WebhookMessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[WebhookMessageView]
    next: str | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was made; no `status`: no answer."""

    sequence: int
    at: str
    status: int | None
    error: str
    took_ms: int


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """The latest first."""

    data: list[AttemptView]


def _view(endpoint: Endpoint) -> EndpointView:
    return EndpointView(
        id=str(endpoint.id),
        url=endpoint.url,
        events=list(endpoint.events),
        space=None if endpoint.space is None else wire.space_text(endpoint.space),
        secrets=[secret for secret, _ in endpoint.secrets],
        created=wire.timestamp(endpoint.created_ms),
        failing_since=time_of(endpoint.failing_since_ms),
        disabled=time_of(endpoint.disabled_ms),
        disabled_why=endpoint.disabled_why,
    )


_MINE = problems("auth.token_missing", "resource.not_found")
_SECRET = {"secret": True}


@post(
    "/webhooks",
    operation_id="createWebhook",
    summary="Adds an endpoint",
    opt=_SECRET,
    responses=problems("auth.token_missing", "role.forbidden", "space.not_found"),
)
async def register(data: JSONBody[EndpointBody], principal: Asker, webhooks: Injected) -> EndpointView:
    """Its secret is made here. Messages follow https://www.standardwebhooks.com"""
    space = None if data.space is None else read_space(data.space)
    return _view(await webhooks.register(principal, data.url, data.events, space))


@get(
    "/webhooks",
    operation_id="listWebhooks",
    summary="One's own endpoints",
    opt=_SECRET,
    responses=problems("auth.token_missing"),
)
async def listed(principal: Asker, webhooks: Injected) -> Endpoints:
    """With their secrets."""
    return Endpoints(data=[_view(endpoint) for endpoint in await webhooks.list(principal)])


@patch("/webhooks/{id:str}", operation_id="changeWebhook", summary="Stops or goes on", opt=_SECRET, responses=_MINE)
async def change(id: IdParam, data: JSONBody[EndpointChange], principal: Asker, webhooks: Injected) -> EndpointView:
    """What happened before it was stopped is still delivered afterwards."""
    return _view(await webhooks.set_enabled(principal, read_id(id), data.enabled))


@post(
    "/webhooks/{id:str}/rotate",
    operation_id="rotateWebhookSecret",
    summary="A new secret",
    status_code=200,
    opt=_SECRET,
    responses=_MINE,
)
async def rotate(id: IdParam, principal: Asker, webhooks: Injected) -> EndpointView:
    """For a day both sign."""
    return _view(await webhooks.rotate(principal, read_id(id)))


@delete("/webhooks/{id:str}", operation_id="deleteWebhook", summary="Forgets an endpoint", responses=_MINE)
async def remove(id: IdParam, principal: Asker, webhooks: Injected) -> None:
    """With everything that was to be delivered."""
    await webhooks.delete(principal, read_id(id))


@get(
    "/webhooks/{id:str}/messages",
    operation_id="listWebhookMessages",
    summary="What goes to an endpoint",
    responses={**_MINE, **problems("request.cursor")},
)
async def messages(
    id: IdParam, principal: Asker, webhooks: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> WebhookMessagePage:
    """Latest first."""
    name = f"webhook:{id}"
    found = await webhooks.messages(principal, read_id(id), before(cursors, name, cursor), limit)
    return WebhookMessagePage(
        data=[
            WebhookMessageView(
                id=f"evt_{one.sequence}",
                sequence=one.sequence,
                space=wire.space_text(one.space),
                kind=one.kind,
                state=one.state,
                created=wire.timestamp(one.created_ms),
            )
            for one in found
        ],
        next=next_before(cursors, name, [one.sequence for one in found], limit),
    )


@get(
    "/webhooks/{id:str}/attempts",
    operation_id="listWebhookAttempts",
    summary="Requests that were made",
    responses=_MINE,
)
async def attempts(id: IdParam, principal: Asker, webhooks: Injected, limit: Limit = 50) -> Attempts:
    """The latest first."""
    found = await webhooks.attempts(principal, read_id(id), limit)
    return Attempts(
        data=[
            AttemptView(
                sequence=one.sequence,
                at=wire.timestamp(one.at_ms),
                status=one.status,
                error=one.error,
                took_ms=one.took_ms,
            )
            for one in found
        ]
    )


@post(
    "/webhooks/{id:str}/messages/{sequence:str}/redeliver",
    operation_id="redeliverWebhookMessage",
    summary="Sends a message once more",
    status_code=202,
    responses=_MINE,
)
async def redeliver(id: IdParam, sequence: IdParam, principal: Asker, webhooks: Injected) -> None:
    """With the same id."""
    await webhooks.redeliver(principal, read_id(id), read_id(sequence))


router = Router(
    path="",
    route_handlers=[register, listed, change, rotate, remove, messages, attempts, redeliver],
    tags=["Webhooks"],
)
