"""The cookie of a browser's session, and what sessions are recognised by."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from spaces_ctl.api.security import SESSION_COOKIE, cookie_name
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service.sessions import Login

__all__ = ["address_of", "device_of", "ended_cookie", "session_cookie", "session_secret"]


def session_secret(connection: ASGIConnection[Any, Any, Any, Any], settings: ApiSettings) -> str | None:
    """What the browser's cookie holds."""
    return connection.cookies.get(cookie_name(settings, SESSION_COOKIE))


def session_cookie(login: Login, settings: ApiSettings, now_ms: int) -> Cookie:
    """The cookie of a browser's session: this host only, no script reads it (RFC 6265bis)."""
    return _cookie(settings, login.secret, max(0, login.expires_ms - now_ms) // 1000)


def ended_cookie(settings: ApiSettings) -> Cookie:
    """Takes the cookie away."""
    return _cookie(settings, "", 0)


def _cookie(settings: ApiSettings, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        key=cookie_name(settings, SESSION_COOKIE),
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
