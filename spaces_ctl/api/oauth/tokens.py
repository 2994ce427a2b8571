"""The token and revocation endpoints, and the server's metadata (RFC 6749, 7009, 8414). Paths are X's."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post

from spaces_ctl.api.injected import Injected
from spaces_ctl.api.oauth.forms import basic_of, form_of
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth import OAuth, Tokens
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.service_keys import JWT_BEARER, ServiceKeys

__all__ = ["refused", "router"]

Asked = Request[Any, Any, Any]
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


@post("/2/oauth2/token", status_code=200, operation_id="oauth_token")
async def token(request: Asked, oauth: Injected[OAuth], service_keys: Injected[ServiceKeys]) -> Response[bytes]:
    """Exchanges a code, a refresh token, an app's own credentials or a signed assertion (RFC 7523)."""
    form = await form_of(request)
    if form.get("grant_type") == JWT_BEARER:
        try:
            return _answer(await service_keys.exchange(form))
        except ServiceError as error:
            if error.code != "request.invalid":
                raise
            raise OAuthError("invalid_grant", error.detail) from error
    return _answer(await oauth.token(form, basic_of(request)))


@post("/oauth2/token", status_code=200, operation_id="oauth_app_token")
async def app_token(request: Asked, oauth: Injected[OAuth]) -> Response[bytes]:
    """X's other token endpoint, for apps without a user."""
    form = await form_of(request)
    if form.get("grant_type") != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Here only client_credentials.")
    return _answer(await oauth.token(form, basic_of(request)))


@post(["/2/oauth2/revoke", "/oauth2/invalidate_token"], status_code=200, operation_id="oauth_revoke")
async def revoke(request: Asked, oauth: Injected[OAuth]) -> Response[bytes]:
    """Revokes a token with all that came of the same consent (RFC 7009)."""
    await oauth.revoke(await form_of(request), basic_of(request))
    return Response(b'{"revoked":true}', media_type="application/json", headers=_NO_STORE)


@get("/.well-known/oauth-authorization-server", opt={"open": True}, operation_id="oauth_metadata")
async def metadata(oauth: Injected[OAuth]) -> dict[str, Any]:
    """What clients find out by themselves (RFC 8414)."""
    return oauth.metadata()


def refused(request: Asked, error: OAuthError) -> Response[bytes]:
    """RFC 6749 section 5.2."""
    body = {"error": error.error, "error_description": error.description}
    headers = dict(_NO_STORE)
    if error.status == 401:
        headers["www-authenticate"] = 'Basic realm="spaces"'
    return Response(msgspec.json.encode(body), status_code=error.status, media_type="application/json", headers=headers)


def _answer(tokens: Tokens) -> Response[bytes]:
    return Response(msgspec.json.encode(tokens), media_type="application/json", headers=_NO_STORE)


router = Router(
    path="/",
    route_handlers=[token, app_token, revoke, metadata],
    exception_handlers={OAuthError: refused},
    opt={"rate": "auth", "csrf_exempt": True},
    tags=["OAuth"],
    include_in_schema=False,
)
"""Depends on `oauth, service_keys`."""
