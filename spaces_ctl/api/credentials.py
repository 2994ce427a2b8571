"""A request's credentials: a bearer token, else our session cookie. Never the query: it is logged everywhere."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection

from spaces_ctl.api.gate import Authenticate
from spaces_ctl.api.security import SESSION_COOKIE, cookie_name
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service.authentication import GUEST, Authentication
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal

__all__ = ["ACTING_FOR", "authenticate_by"]

ACTING_FOR = "spaces-acting-for"
"""Header with which a service key names the one of its users for whom it asks."""


def authenticate_by(authentication: Authentication, settings: ApiSettings) -> Authenticate:
    """What the gate asks. A guest has no credentials; wrong ones are refused, not taken for a guest's."""
    cookie = cookie_name(settings, SESSION_COOKIE)

    async def authenticate(connection: ASGIConnection[Any, Any, Any, Any]) -> tuple[Principal, bool]:
        header = connection.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                # Basic is for OAuth's token endpoint (RFC 6749 section 2.3.1), which reads it itself.
                if scheme.lower() == "basic":
                    return GUEST, False
                raise ServiceError("auth.token_invalid")
            acting_for = connection.headers.get(ACTING_FOR)
            return await authentication.by_bearer(token.strip(), acting_for=acting_for), False
        secret = connection.cookies.get(cookie)
        if secret:
            return await authentication.by_cookie(secret), True
        return GUEST, False

    return authenticate
