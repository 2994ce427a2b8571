"""Third-party apps: their registration and how they show who they are."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service import redirects, scopes
from spaces_ctl.service import secret as secrets
from spaces_ctl.service.answering import AnsweringDatabase
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.secret import Kind
from spaces_ctl.store import oauth as store
from spaces_ctl.store.database import Database

__all__ = ["App", "OAuthApps", "Registered"]

_MOST_APPS = 100


class App(msgspec.Struct, frozen=True, kw_only=True):
    """A third-party app."""

    client_id: str
    name: str
    owner: AccountId
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    confidential: bool
    """Has a secret; a public client (RFC 6749 section 2.1) has none."""
    created_ms: int


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """An app and its secret, told once."""

    app: App
    client_secret: str | None


class OAuthApps:
    """The registry of apps."""

    def __init__(self, *, db: Database, clock: Clock) -> None:
        """On an open database."""
        self._db = AnsweringDatabase(db)
        self._clock = clock

    async def register(
        self,
        owner: AccountId,
        *,
        name: str,
        redirect_uris: Sequence[str],
        scopes_wanted: Sequence[str] = tuple(scopes.FOR_USERS),
        confidential: bool = True,
    ) -> Registered:
        """Registers an app. Raises ServiceError `request.invalid`."""
        if not 1 <= len(name.strip()) <= 60:
            raise ServiceError("request.invalid", "An app's name has 1 to 60 characters.")
        if not 1 <= len(redirect_uris) <= 10 or not all(map(redirects.acceptable, redirect_uris)):
            raise ServiceError("request.invalid", "1 to 10 redirect URIs: https, or http on loopback; no fragment.")
        if unknown := set(scopes_wanted) - set(scopes.FOR_USERS):
            raise ServiceError("request.invalid", f"Unknown scopes: {' '.join(sorted(unknown))}.")
        if len(await self.of(owner)) >= _MOST_APPS:
            raise ServiceError("request.invalid", f"An account has at most {_MOST_APPS} apps.")
        secret = secrets.make(Kind.APP) if confidential else None
        values: dict[str, Any] = {
            "client_id": secrets.identifier(),
            "secret": secrets.digest(secret) if secret else None,
            "name": name.strip(),
            "owner": owner,
            "redirect_uris": list(redirect_uris),
            "scopes": list(dict.fromkeys(scopes_wanted)),
            "created_ms": self._clock.now_ms(),
        }
        await self._db.write(lambda c: store.add_app(c, **values))
        app = await self.find(values["client_id"])
        assert app is not None
        return Registered(app=app, client_secret=secret)

    async def find(self, client_id: str) -> App | None:
        """The app, if there is one."""
        row = await self._db.read(lambda c: store.app(c, client_id))
        return _app(row) if row is not None else None

    async def of(self, owner: AccountId) -> list[App]:
        """The apps of an account, oldest first."""
        return [_app(row) for row in await self._db.read(lambda c: store.apps_of(c, owner))]

    async def new_secret(self, owner: AccountId, client_id: str) -> Registered:
        """Another secret; the old one is worth nothing any more. Raises ServiceError `resource.not_found`."""
        app = await self._own(owner, client_id)
        if not app.confidential:
            raise ServiceError("request.invalid", "A public client has no secret.")
        secret = secrets.make(Kind.APP)
        await self._db.write(lambda c: store.set_app_secret(c, client_id, secrets.digest(secret)))
        return Registered(app=app, client_secret=secret)

    async def delete(self, owner: AccountId, client_id: str) -> None:
        """Deletes an app and everything anybody allowed it. Raises ServiceError `resource.not_found`."""
        await self._own(owner, client_id)
        await self._db.write(lambda c: store.delete_app(c, client_id, self._clock.now_ms()))

    async def authenticate(self, client_id: str, secret: str | None) -> App:
        """The app that makes a token request (RFC 6749 section 2.3). Raises OAuthError `invalid_client`."""
        row = await self._db.read(lambda c: store.app(c, client_id))
        if row is None:
            raise OAuthError("invalid_client", "Client authentication failed.")
        if row.secret is None:
            if secret:
                raise OAuthError("invalid_client", "Client authentication failed.")
        elif not secret or not hmac.compare_digest(row.secret, secrets.digest(secret)):
            raise OAuthError("invalid_client", "Client authentication failed.")
        return _app(row)

    async def _own(self, owner: AccountId, client_id: str) -> App:
        app = await self.find(client_id)
        if app is None or app.owner != owner:
            raise ServiceError("resource.not_found")
        return app


def _app(row: sa.Row[Any]) -> App:
    return App(
        client_id=row.client_id,
        name=row.name,
        owner=row.owner,
        redirect_uris=tuple(row.redirect_uris),
        scopes=tuple(row.scopes),
        confidential=row.secret is not None,
        created_ms=row.created_ms,
    )
