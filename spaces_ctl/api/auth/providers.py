"""Login with an account elsewhere (OpenID Connect)."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.params import FromQuery

from spaces_ctl.api.auth.cookies import device_of, session_cookie
from spaces_ctl.api.auth.logins import known
from spaces_ctl.api.injected import Injected
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.security import cookie_name
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces.params import NameParam
from spaces_ctl.clock import Clock
from spaces_ctl.service.oidc import Oidc, Started
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.sessions import SessionKind, Sessions

__all__ = ["router"]

Asked = Request[Any, Any, Any]
_BROWSER = "spaces-login"


class ProviderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A provider to log in with."""

    name: str
    label: str


class ProviderList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: list[ProviderAnswer]
    next: None = None


class LinkAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send the browser."""

    url: str


@get("/", opt={"rate": "auth"}, operation_id="listProviders")
async def listed(oidc: Injected[Oidc]) -> ProviderList:
    """Providers to log in with."""
    return ProviderList(data=[ProviderAnswer(name=p.name, label=p.label or p.name) for p in oidc.providers.values()])


@get(
    "/{provider:str}/start",
    status_code=302,
    media_type="text/plain",
    opt={"rate": "auth"},
    operation_id="startProviderLogin",
    responses=problems("resource.not_found", "provider.unavailable"),
)
async def start(
    provider: NameParam, oidc: Injected[Oidc], settings: Injected[ApiSettings], return_to: FromQuery[str] = "/"
) -> Response[bytes]:
    """Sends the browser to the provider; afterwards to `return_to`, a path here."""
    started = await oidc.start(provider, return_to=return_to)
    return Response(
        b"", status_code=302, media_type="text/plain", headers=_to(started.url), cookies=[_browser(started, settings)]
    )


@post(
    "/{provider:str}/link",
    status_code=200,
    opt={"rate": "auth"},
    operation_id="linkProvider",
    responses=problems("auth.token_missing", "resource.not_found", "provider.unavailable"),
)
async def link(
    provider: NameParam, principal: Injected[Principal], oidc: Injected[Oidc], settings: Injected[ApiSettings]
) -> Response[LinkAnswer]:
    """Begins to link an identity elsewhere to the account that asks; its page sends the browser on."""
    started = await oidc.start(provider, account=known(principal))
    return Response(LinkAnswer(url=started.url), cookies=[_browser(started, settings)])


@get(
    "/{provider:str}/callback",
    status_code=302,
    media_type="text/plain",
    opt={"rate": "auth"},
    operation_id="providerCallback",
    responses=problems(
        "auth.token_invalid",
        "auth.credentials",
        "resource.not_found",
        "account.exists",
        "version.conflict",
        "provider.unavailable",
    ),
)
async def callback(
    provider: NameParam,
    request: Asked,
    oidc: Injected[Oidc],
    sessions: Injected[Sessions],
    settings: Injected[ApiSettings],
    clock: Injected[Clock],
) -> Response[bytes]:
    """Where the provider sends the browser back to."""
    query = {name: values[0] for name, values in request.query_params.dict().items()}
    name = cookie_name(settings, _BROWSER)
    finished = await oidc.finish(provider, query, request.cookies.get(name))
    login = await sessions.open(finished.account, device=device_of(request), kind=SessionKind.COOKIE)
    gone = _browser(None, settings)
    cookies = [session_cookie(login, settings, clock.now_ms()), gone]
    return Response(b"", status_code=302, media_type="text/plain", headers=_to(finished.return_to), cookies=cookies)


def _to(url: str) -> dict[str, str]:
    return {"location": url, "cache-control": "no-store"}


def _browser(started: Started | None, settings: ApiSettings) -> Cookie:
    return Cookie(
        key=cookie_name(settings, _BROWSER),
        value=started.browser if started else "",
        max_age=600 if started else 0,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="lax",  # the provider's redirect comes from another site
    )


router = Router(path="/auth/oidc", route_handlers=[listed, start, link, callback], tags=["Login"])
"""Dependencies: `principal, oidc, sessions, settings, clock`."""
