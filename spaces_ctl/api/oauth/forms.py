"""Form bodies, read strictly: of the right type, each name once (RFC 6749 section 3.2)."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from litestar import Request

from spaces_ctl.service.oauth_errors import OAuthError

__all__ = ["basic_of", "form_of", "once"]

_MOST_FIELDS = 40


async def form_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The body's fields. Raises OAuthError `invalid_request`."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body has to be application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(
            (await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise OAuthError("invalid_request", "The body cannot be read.") from error
    return once(pairs)


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Raises OAuthError `invalid_request` if a name comes twice."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A parameter was given more than once.")
    return fields


def basic_of(request: Request[Any, Any, Any]) -> tuple[str, str] | None:
    """Client id and secret of HTTP Basic authentication, form-decoded as RFC 6749 section 2.3.1 says."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise OAuthError("invalid_client", "The Authorization header cannot be read.") from error
    if not colon:
        raise OAuthError("invalid_client", "The Authorization header cannot be read.")
    return unquote_plus(name), unquote_plus(secret)
