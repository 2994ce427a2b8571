"""The pages on which people sign in and allow an app (RFC 6749 section 4.1.1). They run no scripts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, Router, get, post
from litestar.params import FromQuery

from spaces_ctl.api.auth.cookies import address_of, device_of, session_cookie
from spaces_ctl.api.auth.logins import AuthRules
from spaces_ctl.api.injected import Injected
from spaces_ctl.api.oauth import pages
from spaces_ctl.api.oauth.forms import form_of, once
from spaces_ctl.api.security import CsrfTokens
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.clock import Clock
from spaces_ctl.service import scopes
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth import Authorization, OAuth
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.oidc import Oidc
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.redirects import local_path
from spaces_ctl.service.sessions import SessionKind, Sessions

__all__ = ["router"]

Asked = Request[Any, Any, Any]
_PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)


@get("/oauth2/authorize")
async def ask(
    request: Asked,
    principal: Injected[Principal],
    oauth: Injected[OAuth],
    accounts: Injected[Accounts],
    auth_rules: Injected[AuthRules],
    oidc: Injected[Oidc],
    csrf: Injected[CsrfTokens],
) -> Response[Any]:
    """Shows the consent page, to people who are not signed in the page to do so first."""
    query = once(list(request.query_params.multi_items()))
    asked = await oauth.begin(query)
    if principal.account is None or principal.session is None:
        here = "/i/oauth2/authorize?" + urlencode({name: query[name] for name in _PARAMETERS if name in query})
        return _sign_in(auth_rules, oidc, here, app=asked.app.name)
    account = await accounts.get(principal.account)
    fields = {name: query[name] for name in _PARAMETERS if name in query}
    return pages.consent(
        app=asked.app.name,
        handle=account.handle,
        scopes={scope: scopes.FOR_USERS[scope] for scope in asked.scopes},
        fields={**fields, "csrf": csrf.make(principal.session)},
        redirect_uri=asked.redirect_uri,
    )


@post("/oauth2/authorize", status_code=302)
async def answer(
    request: Asked, principal: Injected[Principal], oauth: Injected[OAuth], csrf: Injected[CsrfTokens]
) -> Response[Any]:
    """The person has answered."""
    form = await form_of(request)
    if principal.account is None or principal.session is None:
        raise ServiceError("auth.token_missing")
    csrf.check(principal.session, form.get("csrf"))
    asked: Authorization = await oauth.begin(form)
    if form.get("answer") != "allow":
        return _redirect(oauth.deny(asked))
    return _redirect(await oauth.allow(asked, principal.account))


@get("/login")
async def login_page(
    auth_rules: Injected[AuthRules], oidc: Injected[Oidc], return_to: FromQuery[str] = "/"
) -> Response[str]:
    """Asks people to sign in."""
    return _sign_in(auth_rules, oidc, local_path(return_to))


@post("/login", status_code=303, opt={"rate": "auth"})
async def log_in(
    request: Asked,
    sessions: Injected[Sessions],
    auth_rules: Injected[AuthRules],
    oidc: Injected[Oidc],
    settings: Injected[ApiSettings],
    clock: Injected[Clock],
) -> Response[Any]:
    """Signs in and goes on, or asks again."""
    form = await form_of(request)
    return_to, name = local_path(form.get("return_to", "/")), form.get("name", "")
    try:
        if not auth_rules.local_login:
            raise ServiceError("auth.credentials")
        login = await sessions.login(
            name,
            form.get("password", ""),
            address=address_of(request),
            device=device_of(request),
            kind=SessionKind.COOKIE,
        )
    except ServiceError as error:
        if error.code not in {"auth.credentials", "rate.limited"}:
            raise
        return _sign_in(auth_rules, oidc, return_to, error=error.detail, name=name[:100])
    cookie = session_cookie(login, settings, clock.now_ms())
    return Response(
        b"", status_code=303, media_type="text/plain", headers={"location": return_to, **_FRESH}, cookies=[cookie]
    )


@get("/style.css", opt={"open": True}, media_type="text/css")
async def style() -> str:
    """How these pages look."""
    return pages.STYLE


_FRESH = {"cache-control": "no-store"}


def _sign_in(
    rules: AuthRules, oidc: Oidc, return_to: str, *, app: str | None = None, error: str = "", name: str = ""
) -> Response[str]:
    links = {
        provider.label
        or provider.name: f"/api/v1/auth/oidc/{provider.name}/start?{urlencode({'return_to': return_to})}"
        for provider in oidc.providers.values()
    }
    return pages.sign_in(app=app, return_to=return_to, local=rules.local_login, providers=links, error=error, name=name)


def _redirect(url: str) -> Response[bytes]:
    return Response(b"", status_code=302, media_type="text/plain", headers={"location": url, **_FRESH})


def _refused(request: Asked, error: OAuthError) -> Response[Any]:
    """To the app if it is known where it lives, else to the person (RFC 6749 section 4.1.2.1)."""
    if error.redirect is not None:
        return _redirect(error.redirect)
    return pages.message(title="This link does not work", text=error.description, status=400)


router = Router(
    path="/i",
    route_handlers=[ask, answer, login_page, log_in, style],
    exception_handlers={OAuthError: _refused},
    opt={
        "csrf_exempt": True
    },  # forms bear the token in a field; the browser's word about the origin counts all the same
    include_in_schema=False,
)
"""Needs `principal, oauth, accounts, sessions, auth_rules, oidc, settings, csrf, clock`."""
