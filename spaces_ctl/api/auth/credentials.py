"""A request's credentials: a session cookie, or `Authorization: Bearer` with a session, OAuth token or service key.

None at all is a guest; wrong ones are refused, never taken for none. `Spaces-Acting-For` names the user for whom a
service key's owner asks.
"""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from spaces_ctl.api.gate import Authenticate, Connection
from spaces_ctl.api.security import cookie_name
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service import scopes
from spaces_ctl.service.authentication import GUEST, Authentication
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.sessions import Login

__all__ = [
    "ACTING_FOR",
    "address_of",
    "authenticate_with",
    "device_of",
    "ended_cookie",
    "session_cookie",
    "session_secret",
]

ACTING_FOR = "spaces-acting-for"
_SESSION = "spaces_session"


def authenticate_with(authentication: Authentication, settings: ApiSettings) -> Authenticate:
    """For the application's gate."""

    async def authenticate(connection: Connection) -> tuple[Principal, bool]:
        authorization = connection.headers.get("authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "basic":
                return GUEST, False  # an OAuth client's: its endpoint reads it
            if scheme.lower() != "bearer":
                raise ServiceError("auth.token_invalid", "Only Bearer tokens are taken (RFC 6750).")
            principal = await authentication.by_bearer(token.strip(), acting_for=connection.headers.get(ACTING_FOR))
            if "*" not in principal.scopes:
                method = str(connection.scope.get("method", "GET"))
                scopes.require(principal, scopes.needed(method, connection.scope["path"]))
            return principal, False
        secret = session_secret(connection, settings)
        if secret is None:
            return GUEST, False
        return await authentication.by_cookie(secret), True

    return authenticate


def session_secret(connection: ASGIConnection[Any, Any, Any, Any], settings: ApiSettings) -> str | None:
    """What the browser's cookie holds."""
    return connection.cookies.get(cookie_name(settings, _SESSION))


def session_cookie(login: Login, settings: ApiSettings, now_ms: int) -> Cookie:
    """The cookie of a browser's session: this host only, no script reads it (RFC 6265bis)."""
    return _cookie(settings, login.secret, max(0, login.expires_ms - now_ms) // 1000)


def ended_cookie(settings: ApiSettings) -> Cookie:
    """Takes the cookie away."""
    return _cookie(settings, "", 0)


def _cookie(settings: ApiSettings, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        key=cookie_name(settings, _SESSION),
        value=value,
        max_age=max_age_s,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="lax",  # a link from elsewhere leads into the Space; nothing that changes anything is a GET
    )


def address_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The client's address; proxies that are trusted have been seen through already."""
    return connection.client.host if connection.client else ""


def device_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """What people recognise a session by."""
    return connection.headers.get("user-agent", "")[:200]
