"""The HTTP application: every handler, what each request passes, and the services that are injected."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.plugins.prometheus import PrometheusConfig
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler, Scope

from spaces_ctl.api import openapi, problems_page
from spaces_ctl.api.account import HANDLERS as OWN_HANDLERS
from spaces_ctl.api.body import StrictBody
from spaces_ctl.api.credentials import authenticate_by
from spaces_ctl.api.errors import EXCEPTION_HANDLERS
from spaces_ctl.api.gate import Authenticate, Gate, Gatekeeper, principal_of
from spaces_ctl.api.health import Check, EngineFigures, health_handlers
from spaces_ctl.api.idempotency import Idempotent
from spaces_ctl.api.limits import RateLimiter
from spaces_ctl.api.pages import Site, no_such_page, page_handlers
from spaces_ctl.api.paging import Cursors
from spaces_ctl.api.recording_figures import RecordingHealths
from spaces_ctl.api.security import CsrfTokens, SecurityHeaders, cors
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces import commands, life, reads, streams
from spaces_ctl.api.spaces.feeds import Feeds
from spaces_ctl.api.tally import CounterTally
from spaces_ctl.clock import Clock
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.captions import Captions
from spaces_ctl.service.idempotency import IdempotencyKeys
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.ports import EventBus, Principal
from spaces_ctl.service.reading import Reading
from spaces_ctl.service.spaces import Spaces

__all__ = ["ApiServices", "create_app", "describe"]

REFERENCE = Path(__file__).parent / "reference"


class ApiServices(msgspec.Struct, frozen=True, kw_only=True):
    """What the API calls."""

    clock: Clock
    bus: EventBus
    spaces: Spaces
    joins: Joins
    reading: Reading
    accounts: Accounts
    idempotency: IdempotencyKeys
    authentication: Authentication | None = None
    """Needed unless `create_app` is given an `authenticate`."""
    checks: Mapping[str, Check] = {}
    """For `/readyz`: name and what raises if it does not work."""
    engine_figures: EngineFigures | None = None
    """`Engine.stats`, for `/metrics`."""
    captions: Captions | None = None
    """Without, none are told."""
    recordings: RecordingHealths | None = None
    """How recordings are doing, for `/readyz` and `/metrics`."""
    more: Mapping[str, Any] = {}
    """Further services, by the name under which handlers ask for them."""


def create_app(
    services: ApiServices,
    settings: ApiSettings,
    *,
    routers: Sequence[ControllerRouterHandler] = (),
    root_routers: Sequence[ControllerRouterHandler] = (),
    authenticate: Authenticate | None = None,
    site: Site | None = None,
) -> Litestar:
    """The application. `routers` are mounted under `/api/v1`, `root_routers` (OAuth, X API, cards) as they are.

    `site`: the built web app; that of this package unless another is given.

    Raises ValueError if there is nothing to authenticate with.
    """
    if authenticate is None:
        if services.authentication is None:
            raise ValueError("services.authentication or authenticate is needed")
        authenticate = authenticate_by(services.authentication, settings)
    site = site or Site()
    key = settings.csrf_key or secrets.token_bytes(32)
    csrf = CsrfTokens(key)
    keeper = Gatekeeper(
        settings=settings,
        authenticate=authenticate,
        limiter=RateLimiter(services.clock, settings.rates, most=settings.rate_keys),
        csrf=csrf,
    )
    feeds = Feeds(
        source=services.reading,
        bus=services.bus,
        tally=CounterTally(services.spaces.counters),
        queue=settings.stream_queue,
        per_caller=settings.streams_per_caller,
        captions=services.captions,
    )
    injected = {
        **services.more,
        **({} if services.captions is None else {"captions": services.captions}),
        "clock": services.clock,
        "spaces": services.spaces,
        "joins": services.joins,
        "reading": services.reading,
        "accounts": services.accounts,
        "feeds": feeds,
        "settings": settings,
        "cursors": Cursors(key),
        "csrf": csrf,
        "site": site,
    }
    metrics = PrometheusConfig(
        app_name="spaces", prefix="spaces_http", group_path=True, exclude=["^/metrics$", "^/healthz$", "^/readyz$"]
    )

    @asynccontextmanager
    async def streams_run(_: Litestar) -> AsyncIterator[None]:
        async with feeds:
            yield

    return Litestar(
        route_handlers=[
            _api(routers),
            *root_routers,
            *health_handlers(settings, services.checks, feeds, services.engine_figures, services.recordings),
            *problems_page.HANDLERS,
            _reference(),
            *page_handlers(site),
        ],
        dependencies={
            "principal": Provide(_principal, sync_to_thread=False),
            **{name: Provide(_always(it), sync_to_thread=False, use_cache=True) for name, it in injected.items()},
        },
        middleware=[
            metrics.middleware,
            DefineMiddleware(Gate, keeper=keeper),
            DefineMiddleware(Idempotent, keys=services.idempotency),
        ],
        dto=StrictBody,
        return_dto=None,
        exception_handlers={
            **EXCEPTION_HANDLERS,
            NotFoundException: lambda request, _error: no_such_page(site, request),
        },
        request_max_body_size=settings.max_body_bytes,
        cors_config=cors(settings),
        before_send=[SecurityHeaders(settings)],
        lifespan=[streams_run],
        state=State({"feeds": feeds}),
        openapi_config=_OPENAPI,
        logging_config=None,
    )


def describe(
    routers: Sequence[ControllerRouterHandler], root_routers: Sequence[ControllerRouterHandler]
) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the application that `create_app` makes of these, without anything that it calls."""
    handlers = [_api(routers), *root_routers]
    return openapi.document(
        Litestar(
            route_handlers=handlers,
            dependencies={
                name: Provide(_always(None), sync_to_thread=False) for name in openapi.dependencies(handlers)
            },
            dto=StrictBody,
            return_dto=None,
            openapi_config=_OPENAPI,
            logging_config=None,
        )
    )


# Its pages load their scripts from elsewhere: ours (`reference`) does not.
_OPENAPI = OpenAPIConfig(title="Spaces", version="1", render_plugins=[], path="/api/v1/_openapi")


class _OwnRouter(Router):
    """A router that is made for one application. Litestar registers a deep copy of any other, as it may be registered
    elsewhere too: for all of the API that is a third of what making the application takes.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _OwnRouter:
        return self


def _api(routers: Sequence[ControllerRouterHandler]) -> Router:
    return _OwnRouter(
        path="/api/v1",
        route_handlers=[
            *life.HANDLERS,
            *reads.HANDLERS,
            *commands.SPACE_HANDLERS,
            *commands.ACCOUNT_HANDLERS,
            *streams.HANDLERS,
            *OWN_HANDLERS,
            *routers,
            _openapi_document,
        ],
    )


def _principal(scope: Scope) -> Principal:
    return principal_of(scope)


def _always(value: Any) -> Any:
    def provide() -> Any:
        return value

    return provide


@get("/openapi.json", include_in_schema=False, opt={"open": True}, sync_to_thread=False)
def _openapi_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """OpenAPI 3.1."""
    app: Litestar = request.app
    raw = app.state.get("openapi")
    if raw is None:
        raw = app.state["openapi"] = msgspec.json.encode(openapi.document(app))
    return Response(raw, media_type="application/json")


def _reference() -> Router:
    return create_static_files_router(
        path="/reference",
        directories=[REFERENCE],
        html_mode=True,
        opt={"open": True},
        cache_control=CacheControlHeader(no_cache=True),
        name="files:/reference",
    )
