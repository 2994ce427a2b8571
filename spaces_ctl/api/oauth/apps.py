"""People's own apps, and what they have allowed others'."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get, post
from litestar.params import JSONBody

from spaces_ctl.api.auth.logins import known
from spaces_ctl.api.injected import Injected
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.params import NameParam
from spaces_ctl.api.wire import timestamp
from spaces_ctl.service import scopes
from spaces_ctl.service.oauth import OAuth
from spaces_ctl.service.oauth_apps import App, Registered
from spaces_ctl.service.ports import Principal

__all__ = ["router"]


class NewApp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app to be registered. Public clients (in browsers, on phones) have no secret."""

    name: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...] = tuple(scopes.FOR_USERS)
    confidential: bool = True


class AppAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An app. `client_secret` is told once."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    confidential: bool
    created_at: str
    client_secret: str | None = None


class AppList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: list[AppAnswer]
    next: None = None


class GrantAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an app was allowed."""

    id: str
    app: str
    scopes: tuple[str, ...]
    created_at: str


class GrantList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: list[GrantAnswer]
    next: None = None


@post(
    "/apps", status_code=201, operation_id="registerApp", opt={"secret": True}, responses=problems("auth.token_missing")
)
async def register(data: JSONBody[NewApp], principal: Injected[Principal], oauth: Injected[OAuth]) -> AppAnswer:
    """Registers an app of one's own."""
    made = await oauth.apps.register(
        known(principal),
        name=data.name,
        redirect_uris=data.redirect_uris,
        scopes_wanted=data.scopes,
        confidential=data.confidential,
    )
    return _with_secret(made)


@get("/apps", operation_id="listApps", responses=problems("auth.token_missing"))
async def listed(principal: Injected[Principal], oauth: Injected[OAuth]) -> AppList:
    """One's own apps, oldest first."""
    return AppList(data=[_app(app) for app in await oauth.apps.of(known(principal))])


@post(
    "/apps/{client_id:str}/secret",
    status_code=201,
    operation_id="renewAppSecret",
    opt={"secret": True},
    responses=problems("auth.token_missing", "resource.not_found"),
)
async def new_secret(client_id: NameParam, principal: Injected[Principal], oauth: Injected[OAuth]) -> AppAnswer:
    """Another secret; the old one is worth nothing any more."""
    return _with_secret(await oauth.apps.new_secret(known(principal), client_id))


@delete(
    "/apps/{client_id:str}",
    status_code=204,
    operation_id="deleteApp",
    responses=problems("auth.token_missing", "resource.not_found"),
)
async def remove(client_id: NameParam, principal: Injected[Principal], oauth: Injected[OAuth]) -> None:
    """Deletes an app and everything anybody allowed it."""
    await oauth.apps.delete(known(principal), client_id)


@get("/grants", operation_id="listGrants", responses=problems("auth.token_missing"))
async def grants(principal: Injected[Principal], oauth: Injected[OAuth]) -> GrantList:
    """What one has allowed apps, newest first."""
    found = await oauth.grants(known(principal))
    return GrantList(
        data=[
            GrantAnswer(id=each.id, app=each.app, scopes=each.scopes, created_at=timestamp(each.created_ms))
            for each in found
        ]
    )


@delete(
    "/grants/{grant:str}",
    status_code=204,
    operation_id="withdrawGrant",
    responses=problems("auth.token_missing", "resource.not_found"),
)
async def withdraw(grant: NameParam, principal: Injected[Principal], oauth: Injected[OAuth]) -> None:
    """Takes it back; the app's tokens are worth nothing from now on."""
    await oauth.withdraw(known(principal), grant)


def _app(app: App) -> AppAnswer:
    return AppAnswer(
        client_id=app.client_id,
        name=app.name,
        redirect_uris=app.redirect_uris,
        scopes=app.scopes,
        confidential=app.confidential,
        created_at=timestamp(app.created_ms),
    )


def _with_secret(made: Registered) -> AppAnswer:
    return msgspec.structs.replace(_app(made.app), client_secret=made.client_secret)


router = Router(path="/oauth", route_handlers=[register, listed, new_secret, remove, grants, withdraw], tags=["OAuth"])
"""Depends on `principal, oauth`."""
