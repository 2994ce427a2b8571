"""Who makes a request: the one place where credentials become a `Principal`."""

from __future__ import annotations

from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth import OAuth
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.secret import Kind, kind_of
from spaces_ctl.service.service_keys import ServiceKeys
from spaces_ctl.service.sessions import SessionKind, Sessions

__all__ = ["GUEST", "Authentication"]

GUEST = Principal(scopes=frozenset({"*"}))
"""Nobody in particular; may do what is open to guests."""


class Authentication:
    """Knows every kind of credential."""

    def __init__(self, *, sessions: Sessions, oauth: OAuth, service_keys: ServiceKeys) -> None:
        """On the services that know each kind."""
        self._sessions = sessions
        self._oauth = oauth
        self._service_keys = service_keys

    async def by_cookie(self, secret: str) -> Principal:
        """A browser's session. Raises ServiceError `auth.*`."""
        return await self._sessions.authenticate(secret, SessionKind.COOKIE)

    async def by_bearer(self, token: str, *, acting_for: str | None = None) -> Principal:
        """A session, an OAuth access token or a service key (for one of its users). Raises ServiceError `auth.*`."""
        match kind_of(token):
            case Kind.SESSION:
                principal = await self._sessions.authenticate(token, SessionKind.BEARER)
            case Kind.ACCESS:
                principal = await self._oauth.authenticate(token)
            case Kind.SERVICE_KEY:
                principal = await self._service_keys.authenticate(token)
                if acting_for is not None:
                    return await self._service_keys.acting_for(principal, acting_for)
            case _:
                raise ServiceError("auth.token_invalid")
        if acting_for is not None:
            raise ServiceError("auth.scope", "Only a service key acts for its users.")
        return principal
