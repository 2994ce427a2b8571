"""Registering, logging in and out, sessions, passwords, e-mail addresses."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.background_tasks import BackgroundTask
from litestar.params import JSONBody

from spaces_ctl.api.auth.cookies import address_of, device_of, ended_cookie, session_cookie, session_secret
from spaces_ctl.api.injected import Injected
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.security import CsrfTokens
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces.params import NameParam
from spaces_ctl.api.wire import timestamp
from spaces_ctl.clock import Clock
from spaces_ctl.service.accounts import Account, Accounts
from spaces_ctl.service.email_links import EmailLinks
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.sessions import Login, SessionKind, Sessions

__all__ = ["AccountAnswer", "AuthRules", "LoggedIn", "account_answer", "known", "router"]

Asked = Request[Any, Any, Any]
_log = logging.getLogger("spaces.api")


class AuthRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment allows."""

    local_login: bool = True
    registration: bool = True


class AccountAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as itself sees it."""

    id: str
    handle: str
    name: str
    description: str
    picture: str
    protected: bool
    listening_visible: bool
    moderator: bool
    operator: bool
    email: str | None
    email_verified: bool
    has_password: bool
    followers: int
    created_at: str


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session has begun."""

    account: AccountAnswer
    session: str
    """Its id, for ending it."""
    csrf: str
    """For `X-CSRF-Token`, where a cookie is the credential."""
    expires_at: str
    """Unless it is used again before."""
    token: str | None = None
    """For `Authorization: Bearer`; none when the session is a cookie."""


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account."""

    handle: str
    password: str
    name: str = ""
    email: str | None = None
    session: Literal["cookie", "bearer"] = "cookie"


class LogIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`name` is a handle or a verified e-mail address."""

    name: str
    password: str
    session: Literal["cookie", "bearer"] = "cookie"


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`old` may be empty where there is none yet."""

    new: str
    old: str = ""


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An e-mail address."""

    email: str


class Reset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`token` is that of the link."""

    token: str
    password: str


class Verify(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`token` is that of the link."""

    token: str


class SessionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the account is logged in."""

    id: str
    kind: SessionKind
    device: str
    created_at: str
    seen_at: str
    current: bool


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: list[SessionAnswer]
    next: None = None


def known(principal: Principal) -> int:
    """The account that asks. Raises ServiceError `auth.token_missing`."""
    if principal.account is None:
        raise ServiceError("auth.token_missing")
    return principal.account


def account_answer(account: Account) -> AccountAnswer:
    """As JSON."""
    values = {name: getattr(account, name) for name in AccountAnswer.__struct_fields__ if hasattr(account, name)}
    return AccountAnswer(**{**values, "id": str(account.id), "created_at": timestamp(account.created_ms)})


def logged_in(
    login: Login,
    account: Account,
    cookie: bool,
    settings: ApiSettings,
    csrf: CsrfTokens,
    now_ms: int,
    status: int,
) -> Response[LoggedIn]:
    """Answers with a new session, in a cookie or in the body."""
    answer = LoggedIn(
        account=account_answer(account),
        session=login.session,
        csrf=csrf.make(login.session),
        expires_at=timestamp(login.expires_ms),
        token=None if cookie else login.secret,
    )
    cookies = [session_cookie(login, settings, now_ms)] if cookie else []
    return Response(answer, status_code=status, cookies=cookies, headers={"cache-control": "no-store"})


@post(
    "/register",
    status_code=201,
    opt={"rate": "auth", "csrf_exempt": True},
    operation_id="register",
    responses=problems("role.forbidden", "account.exists"),
)
async def register(
    data: JSONBody[Register],
    request: Asked,
    auth_rules: Injected[AuthRules],
    accounts: Injected[Accounts],
    sessions: Injected[Sessions],
    passwords: Injected[Passwords],
    email_links: Injected[EmailLinks | None],
    settings: Injected[ApiSettings],
    csrf: Injected[CsrfTokens],
    clock: Injected[Clock],
) -> Response[LoggedIn]:
    """Makes an account and logs in. An e-mail address is verified by a link; until then it means nothing."""
    if not (auth_rules.registration and auth_rules.local_login):
        raise ServiceError("role.forbidden", "Nobody can register here.")
    secret = await passwords.hash(data.password)
    account = await accounts.create(handle=data.handle, name=data.name, password_hash=secret, email=data.email)
    if account.email is not None and email_links is not None:
        await email_links.send_verification(account.id, account.email)
    kind = SessionKind(data.session)
    login = await sessions.open(account.id, device=device_of(request), kind=kind)
    cookie = kind is SessionKind.COOKIE
    return logged_in(login, account, cookie, settings, csrf, clock.now_ms(), 201)


@post(
    "/login",
    status_code=200,
    opt={"rate": "auth", "csrf_exempt": True},
    operation_id="logIn",
    responses=problems("auth.credentials"),
)
async def log_in(
    data: JSONBody[LogIn],
    request: Asked,
    auth_rules: Injected[AuthRules],
    accounts: Injected[Accounts],
    sessions: Injected[Sessions],
    settings: Injected[ApiSettings],
    csrf: Injected[CsrfTokens],
    clock: Injected[Clock],
) -> Response[LoggedIn]:
    """Logs in with a password."""
    if not auth_rules.local_login:
        raise ServiceError("auth.credentials", "Log in with one of the providers.")
    kind = SessionKind(data.session)
    address, device = address_of(request), device_of(request)
    login = await sessions.login(data.name, data.password, address=address, device=device, kind=kind)
    account, cookie = await accounts.get(login.account), kind is SessionKind.COOKIE
    return logged_in(login, account, cookie, settings, csrf, clock.now_ms(), 200)


@post("/logout", status_code=204, operation_id="logOut", responses=problems("auth.token_missing", "resource.not_found"))
async def log_out(
    principal: Injected[Principal], sessions: Injected[Sessions], settings: Injected[ApiSettings]
) -> Response[None]:
    """Ends the session that asks."""
    if principal.session is not None:
        await sessions.end(known(principal), principal.session)
    return Response(None, status_code=204, cookies=[ended_cookie(settings)])


@get("/session", operation_id="getSession", responses=problems("auth.token_missing", "auth.scope", "account.not_found"))
async def current(
    request: Asked,
    principal: Injected[Principal],
    accounts: Injected[Accounts],
    sessions: Injected[Sessions],
    settings: Injected[ApiSettings],
    csrf: Injected[CsrfTokens],
    clock: Injected[Clock],
) -> Response[LoggedIn]:
    """Who asks, and the CSRF token of the session. Renews a browser's secret once a day."""
    account = await accounts.get(known(principal))
    session = principal.session
    if session is None:
        raise ServiceError("auth.scope", "This is no session.")
    secret = session_secret(request, settings)
    fresh = None
    if secret is not None and "authorization" not in request.headers:
        fresh = await sessions.rotated(secret)
    if fresh is not None:
        return logged_in(fresh, account, True, settings, csrf, clock.now_ms(), 200)
    listed = await sessions.listed(principal)
    expires_ms = next((sessions.expires_ms(each) for each in listed if each.current), clock.now_ms())
    answer = LoggedIn(
        account=account_answer(account),
        session=session,
        csrf=csrf.make(session),
        expires_at=timestamp(expires_ms),
    )
    return Response(answer, headers={"cache-control": "no-store"})


@get("/sessions", operation_id="listSessions", responses=problems("auth.token_missing"))
async def listed(principal: Injected[Principal], sessions: Injected[Sessions]) -> SessionList:
    """Where the account is logged in, the latest used first."""
    found = await sessions.listed(principal)
    return SessionList(
        data=[
            SessionAnswer(
                id=each.id,
                kind=each.kind,
                device=each.device,
                created_at=timestamp(each.created_ms),
                seen_at=timestamp(each.seen_ms),
                current=each.current,
            )
            for each in found
        ]
    )


@delete(
    "/sessions/{session:str}",
    status_code=204,
    operation_id="endSession",
    responses=problems("auth.token_missing", "resource.not_found"),
)
async def end(session: NameParam, principal: Injected[Principal], sessions: Injected[Sessions]) -> None:
    """Ends one session at once, its connections to Spaces included."""
    await sessions.end(known(principal), session)


@delete("/sessions", status_code=204, operation_id="endOtherSessions", responses=problems("auth.token_missing"))
async def end_others(principal: Injected[Principal], sessions: Injected[Sessions]) -> None:
    """Ends all sessions but the one that asks."""
    await sessions.end_all(known(principal), but=principal.session)


@put(
    "/password",
    status_code=204,
    opt={"rate": "auth"},
    operation_id="changePassword",
    responses=problems("auth.token_missing", "auth.credentials", "account.not_found"),
)
async def change_password(
    data: JSONBody[ChangePassword], request: Asked, principal: Injected[Principal], sessions: Injected[Sessions]
) -> None:
    """Sets another password and ends all other sessions."""
    known(principal)
    await sessions.change_password(principal, data.old, data.new)


@post(
    "/email",
    status_code=202,
    media_type="text/plain",
    opt={"rate": "auth"},
    operation_id="verifyAddress",
    responses=problems("auth.token_missing", "resource.not_found"),
)
async def change_email(
    data: JSONBody[Address], principal: Injected[Principal], email_links: Injected[EmailLinks | None]
) -> Response[bytes]:
    """Sends a link to the address; it becomes the account's when the link is opened."""
    account, links = known(principal), _mailing(email_links)
    return Response(
        b"",
        status_code=202,
        media_type="text/plain",
        background=BackgroundTask(mailed, links.send_verification, account, data.email),
    )


@post(
    "/email/verify",
    status_code=204,
    opt={"rate": "auth", "csrf_exempt": True},
    operation_id="addressVerified",
    responses=problems("auth.token_invalid", "account.exists", "resource.not_found"),
)
async def verify(data: JSONBody[Verify], email_links: Injected[EmailLinks | None]) -> None:
    """The link was opened."""
    await _mailing(email_links).verify(data.token)


@post(
    "/password-reset",
    status_code=202,
    media_type="text/plain",
    opt={"rate": "auth", "csrf_exempt": True},
    operation_id="askForReset",
    responses=problems("resource.not_found"),
)
async def ask_for_reset(data: JSONBody[Address], email_links: Injected[EmailLinks | None]) -> Response[bytes]:
    """Sends a link to choose a new password, if the address is known; the answer is the same, and as fast, if not."""
    links = _mailing(email_links)
    return Response(
        b"", status_code=202, media_type="text/plain", background=BackgroundTask(mailed, links.send_reset, data.email)
    )


@put(
    "/password-reset",
    status_code=204,
    opt={"rate": "auth", "csrf_exempt": True},
    operation_id="resetPassword",
    responses=problems("auth.token_invalid", "resource.not_found"),
)
async def reset(data: JSONBody[Reset], email_links: Injected[EmailLinks | None]) -> None:
    """Sets the new password and ends every session."""
    await _mailing(email_links).reset(data.token, data.password)


async def mailed(send: Callable[..., Awaitable[None]], *about: Any) -> None:
    """Sends after the answer was given: there is nobody any more to be told why not, but the log."""
    try:
        await send(*about)
    except ServiceError as error:
        _log.warning("an e-mail could not be sent: %s", error.code)


def _mailing(email_links: EmailLinks | None) -> EmailLinks:
    if email_links is None:
        raise ServiceError("resource.not_found", "This server sends no e-mail.")
    return email_links


router = Router(
    path="/auth",
    route_handlers=[
        register,
        log_in,
        log_out,
        current,
        listed,
        end,
        end_others,
        change_password,
        change_email,
        verify,
        ask_for_reset,
        reset,
    ],
    tags=["Login"],
)
"""Depends on `principal, accounts, sessions, passwords, email_links, auth_rules, settings, csrf, clock`."""
