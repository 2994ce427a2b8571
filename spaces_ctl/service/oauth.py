"""OAuth 2.0 for third-party apps: RFC 6749 with PKCE (7636), revocation (7009), rotation of refresh tokens (9700).

An app sends people to the authorization page (`begin`), they agree (`allow`) or not (`deny`), the app exchanges the
code (`token`). Everything that comes of one consent is a grant, and falls with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service import redirects, scopes
from spaces_ctl.service import secret as secrets
from spaces_ctl.service.answering import AnsweringDatabase
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth_apps import App, OAuthApps
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.secret import Kind
from spaces_ctl.store import oauth as store
from spaces_ctl.store.database import Database

__all__ = ["Authorization", "Grant", "OAuth", "OAuthRules", "Tokens"]

_DAY_MS = 86_400_000
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class OAuthRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long things live."""

    code_ms: int = 60_000
    access_ms: int = 7_200_000
    refresh_ms: int = 180 * _DAY_MS


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """A valid authorization request, to be shown to the person."""

    app: App
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The token endpoint's answer (RFC 6749 section 5.1)."""

    token_type: str
    access_token: str
    scope: str
    expires_in: int | None = None
    """Seconds. None: until it is revoked."""
    refresh_token: str | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has allowed an app."""

    id: str
    app: str
    scopes: tuple[str, ...]
    created_ms: int


class OAuth:
    """The authorization server. Methods raise `OAuthError` towards apps, `ServiceError` towards people."""

    def __init__(
        self, *, db: Database, clock: Clock, apps: OAuthApps, issuer: str, rules: OAuthRules | None = None
    ) -> None:
        """`issuer` is our public URL without a trailing slash (RFC 8414)."""
        self._db = AnsweringDatabase(db)
        self._clock = clock
        self.apps = apps
        self.issuer = issuer
        self._rules = rules or OAuthRules()

    # The authorization endpoint (RFC 6749 section 4.1.1)

    async def begin(self, query: Mapping[str, str]) -> Authorization:
        """Checks a request. Raises OAuthError; its `redirect` is set only once the redirect URI is known to be good."""
        app = await self.apps.find(query.get("client_id", ""))
        if app is None:
            raise OAuthError("invalid_client", "There is no such app.")
        uri = query.get("redirect_uri", "")
        if not any(redirects.matches(registered, uri) for registered in app.redirect_uris):
            raise OAuthError("invalid_request", "This redirect_uri is not registered for the app.")
        state = query.get("state")

        def refused(error: str, description: str) -> OAuthError:
            return OAuthError(error, description, redirect=self._answer(uri, state, error=error, words=description))

        if query.get("response_type") != "code":
            raise refused("unsupported_response_type", "Only response_type=code is supported.")
        challenge = query.get("code_challenge", "")
        if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise refused("invalid_request", "PKCE with code_challenge_method=S256 is required (RFC 7636).")
        wanted = tuple(dict.fromkeys(query.get("scope", "").split())) or tuple(app.scopes)
        if not set(wanted) <= set(app.scopes):
            raise refused("invalid_scope", "The app is not registered for all of these scopes.")
        return Authorization(app=app, redirect_uri=uri, scopes=wanted, state=state, challenge=challenge)

    async def allow(self, request: Authorization, account: AccountId) -> str:
        """The person agrees. Returns where to send them."""
        now = self._clock.now_ms()
        code, grant = secrets.make(Kind.CODE), secrets.identifier()

        def write(c: sa.Connection) -> None:
            granted = {"client_id": request.app.client_id, "account": account, "scopes": list(request.scopes)}
            store.add_grant(c, id=grant, created_ms=now, **granted)
            store.add_code(
                c,
                digest=secrets.digest(code),
                grant_id=grant,
                redirect_uri=request.redirect_uri,
                challenge=request.challenge,
                expires_ms=now + self._rules.code_ms,
            )

        await self._db.write(write)
        return self._answer(request.redirect_uri, request.state, code=code)

    def deny(self, request: Authorization) -> str:
        """The person does not agree. Returns where to send them."""
        return self._answer(request.redirect_uri, request.state, error="access_denied", words="The person said no.")

    def _answer(self, uri: str, state: str | None, *, code: str = "", error: str = "", words: str = "") -> str:
        fields = {"code": code, "error": error, "error_description": words, "state": state or "", "iss": self.issuer}
        query = urlencode({name: value for name, value in fields.items() if value})  # `iss`: RFC 9207
        return f"{uri}{'&' if urlsplit(uri).query else '?'}{query}"

    # The token endpoint

    async def token(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> Tokens:
        """Answers a token request of an app; `basic` is its HTTP Basic authentication, if it used that."""
        match form.get("grant_type"):
            case "authorization_code":
                return await self._exchange(await self._client(form, basic), form)
            case "refresh_token":
                return await self._refresh(await self._client(form, basic), form)
            case "client_credentials":
                return await self._app_only(await self._client(form, basic))
            case None | "":
                raise OAuthError("invalid_request", "grant_type is missing.")
            case _:
                raise OAuthError("unsupported_grant_type", "Not one of the supported grant types.")

    async def _client(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> App:
        named = form.get("client_id")
        if basic is not None and named not in {None, basic[0]}:
            raise OAuthError("invalid_request", "client_id differs from the one in the Authorization header.")
        if basic is not None and "client_secret" in form:
            raise OAuthError("invalid_request", "More than one way of client authentication (RFC 6749 section 2.3).")
        client_id, secret = basic or (named or "", form.get("client_secret"))
        return await self.apps.authenticate(client_id, secret)

    async def _exchange(self, app: App, form: Mapping[str, str]) -> Tokens:
        digest, now = secrets.digest(form.get("code", "")), self._clock.now_ms()
        row = await self._db.read(lambda c: store.code(c, digest))
        invalid = OAuthError("invalid_grant", "The code is not valid, or not any more.")
        if row is None or row.client_id != app.client_id or row.redirect_uri != form.get("redirect_uri"):
            raise invalid
        if row.expires_ms <= now or row.revoked_ms is not None:
            raise invalid
        if not _proves(form.get("code_verifier", ""), row.challenge):
            raise OAuthError("invalid_grant", "code_verifier does not match (RFC 7636 section 4.6).")
        if not await self._db.write(lambda c: store.use_code(c, digest, now)):
            # Used twice: one of the two has stolen it. RFC 6749 section 4.1.2.
            await self._db.write(lambda c: store.revoke_grant(c, row.grant_id, now))
            raise invalid
        return await self._issue(row.grant_id, row.scopes, refresh="offline.access" in row.scopes)

    async def _refresh(self, app: App, form: Mapping[str, str]) -> Tokens:
        digest, now = secrets.digest(form.get("refresh_token", "")), self._clock.now_ms()
        row = await self._db.read(lambda c: store.token(c, digest))
        invalid = OAuthError("invalid_grant", "The refresh token is not valid, or not any more.")
        if row is None or row.kind != "refresh" or row.client_id != app.client_id or row.revoked_ms is not None:
            raise invalid
        if row.expires_ms <= now:
            raise invalid
        wanted = form.get("scope", "").split() or row.scopes
        if not set(wanted) <= set(row.scopes):
            raise OAuthError("invalid_scope", "More than was granted.")
        if not await self._db.write(lambda c: store.use_token(c, digest, now)):
            # Used twice: the app or a thief has a copy. RFC 9700 section 4.14.2.
            await self._db.write(lambda c: store.revoke_grant(c, row.grant_id, now))
            raise invalid
        return await self._issue(row.grant_id, wanted, refresh=True, granted=row.scopes)

    async def _app_only(self, app: App) -> Tokens:
        if not app.confidential:
            raise OAuthError("unauthorized_client", "A public client has no credentials of its own.")
        allowed = sorted(scopes.APP_ONLY & set(app.scopes))
        tokens = await self.issue(app.client_id, None, allowed, life_ms=None)
        return msgspec.structs.replace(tokens, refresh_token=None)

    async def issue(
        self, client_id: str, account: AccountId | None, allowed: list[str], *, life_ms: int | None
    ) -> Tokens:
        """An access token without a person's consent: for an app itself, or a service key's own user."""
        grant, now = secrets.identifier(), self._clock.now_ms()
        values = {"id": grant, "client_id": client_id, "account": account, "scopes": allowed, "created_ms": now}
        await self._db.write(lambda c: store.add_grant(c, **values))
        return await self._issue(grant, allowed, refresh=False, life_ms=life_ms)

    async def _issue(
        self,
        grant: str,
        allowed: list[str],
        *,
        refresh: bool,
        granted: list[str] | None = None,
        life_ms: int | None = 0,
    ) -> Tokens:
        now, life = self._clock.now_ms(), self._rules.access_ms if life_ms == 0 else life_ms
        access, again = secrets.make(Kind.ACCESS), secrets.make(Kind.REFRESH) if refresh else None

        def write(c: sa.Connection) -> None:
            over = None if life is None else now + life
            same = {"grant_id": grant, "scopes": allowed}
            store.add_token(c, digest=secrets.digest(access), kind="access", expires_ms=over, **same)
            if again is not None:
                same["scopes"] = granted or allowed  # a narrower access token does not narrow what comes after
                over = now + self._rules.refresh_ms
                store.add_token(c, digest=secrets.digest(again), kind="refresh", expires_ms=over, **same)

        await self._db.write(write)
        return Tokens(
            token_type="bearer",
            access_token=access,
            expires_in=None if life is None else life // 1000,
            refresh_token=again,
            scope=" ".join(allowed),
        )

    async def revoke(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> None:
        """Revokes a token and its whole grant (RFC 7009). Unknown tokens are no error."""
        app = await self._client(form, basic)
        digest, now = secrets.digest(form.get("token", "")), self._clock.now_ms()
        row = await self._db.read(lambda c: store.token(c, digest))
        if row is not None and row.client_id == app.client_id:
            await self._db.write(lambda c: store.revoke_grant(c, row.grant_id, now))

    # Using tokens

    async def authenticate(self, access_token: str) -> Principal:
        """Who may act with this token. Raises ServiceError `auth.token_invalid`, `auth.token_expired`."""
        digest = secrets.digest(access_token)
        row = await self._db.read(lambda c: store.token(c, digest))
        if row is None or row.kind != "access" or row.revoked_ms is not None:
            raise ServiceError("auth.token_invalid")
        if row.expires_ms is not None and row.expires_ms <= self._clock.now_ms():
            raise ServiceError("auth.token_expired")
        return Principal(account=row.account, scopes=frozenset(row.scopes), app=row.client_id)

    async def grants(self, account: AccountId) -> list[Grant]:
        """What the account has allowed apps."""
        rows = await self._db.read(lambda c: store.grants_of(c, account))
        return [Grant(id=row.id, app=row.name, scopes=tuple(row.scopes), created_ms=row.created_ms) for row in rows]

    async def withdraw(self, account: AccountId, grant: str) -> None:
        """The person takes a grant back. Raises ServiceError `resource.not_found`."""
        if not await self._db.write(lambda c: store.revoke_grant(c, grant, self._clock.now_ms(), account)):
            raise ServiceError("resource.not_found")

    async def forget_expired(self) -> int:
        """Deletes codes and tokens a day after they were over. To be called now and then."""
        before = self._clock.now_ms() - _DAY_MS
        return await self._db.write(lambda c: store.delete_expired(c, before))

    def metadata(self) -> dict[str, Any]:
        """What RFC 8414 says about us."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/i/oauth2/authorize",
            "token_endpoint": f"{self.issuer}/2/oauth2/token",
            "revocation_endpoint": f"{self.issuer}/2/oauth2/revoke",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "scopes_supported": list(scopes.FOR_USERS),
            "authorization_response_iss_parameter_supported": True,
        }


def _proves(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, challenge.encode())
