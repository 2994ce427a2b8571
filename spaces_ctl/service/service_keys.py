"""Service keys: another product embeds rooms for its own users, without accounts of ours.

A key has a namespace; its users are named by that product's ids in it, and each stands for an account that is made when
first named. The product acts for a user by a header (`ServiceKeys.acting_for`), or hands the user a token of their own,
which it gets for a signed assertion (`exchange`, RFC 7523).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import ClaimsOption

from spaces_ctl.clock import Clock
from spaces_ctl.service import scopes
from spaces_ctl.service import secret as secrets
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.answering import AnsweringDatabase
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth import OAuth, Tokens
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.secret import Kind
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.store import service_keys as store
from spaces_ctl.store.database import Database

__all__ = ["JWT_BEARER", "NewServiceKey", "ServiceKey", "ServiceKeys"]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ALGORITHMS = ["Ed25519", "EdDSA", "ES256", "ES384", "PS256", "RS256"]
_LONGEST_S = 600
"""An assertion may be valid for so long; it is meant to be used at once."""


class ServiceKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret."""

    id: str
    name: str
    namespace: str
    scopes: tuple[str, ...]
    jwks: dict[str, Any] | None
    per_minute: int
    created_ms: int
    revoked_ms: int | None = None


class NewServiceKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key and its secret, told once."""

    key: ServiceKey
    secret: str


class ServiceKeys:
    """Makes, knows and revokes service keys."""

    def __init__(
        self, *, db: Database, clock: Clock, accounts: Accounts, oauth: OAuth, windows: Windows, audience: Sequence[str]
    ) -> None:
        """`audience` are the names under which an assertion may mean us: issuer and token endpoint."""
        self._db = AnsweringDatabase(db)
        self._clock = clock
        self._accounts = accounts
        self._oauth = oauth
        self._windows = windows
        self._audience = list(audience)

    async def create(
        self,
        *,
        name: str,
        namespace: str,
        scopes_wanted: Sequence[str],
        jwks: Mapping[str, Any] | None = None,
        per_minute: int = 600,
    ) -> NewServiceKey:
        """Makes a key; two keys with one namespace share its users. Raises ServiceError `request.invalid`."""
        if not 1 <= len(name) <= 60 or not namespace.isascii() or not 1 <= len(namespace) <= 40:
            raise ServiceError("request.invalid", "A name has 1 to 60 characters, a namespace 1 to 40 of ASCII.")
        if unknown := set(scopes_wanted) - set(scopes.FOR_KEYS) - {"*"}:
            raise ServiceError("request.invalid", f"Unknown scopes: {' '.join(sorted(unknown))}.")
        if per_minute < 1:
            raise ServiceError("request.invalid", "per_minute is 1 or more.")
        if jwks is not None:
            _public_keys(jwks)
        secret = secrets.make(Kind.SERVICE_KEY)
        values: dict[str, Any] = {
            "id": secrets.identifier(),
            "secret": secrets.digest(secret),
            "name": name,
            "namespace": namespace,
            "scopes": list(dict.fromkeys(scopes_wanted)),
            "jwks": dict(jwks) if jwks is not None else None,
            "per_minute": per_minute,
            "created_ms": self._clock.now_ms(),
        }
        await self._db.write(lambda c: store.add(c, **values))
        return NewServiceKey(key=await self._get(values["id"]), secret=secret)

    async def listed(self) -> list[ServiceKey]:
        """All keys, oldest first, revoked ones too."""
        return [_key(row) for row in await self._db.read(store.listed)]

    async def revoke(self, key: str) -> None:
        """Revokes a key and all its users' tokens. Raises ServiceError `resource.not_found`."""
        if not await self._db.write(lambda c: store.revoke(c, key, self._clock.now_ms())):
            raise ServiceError("resource.not_found")

    async def authenticate(self, secret: str) -> Principal:
        """Who has this secret. Raises ServiceError `auth.token_invalid`, `rate.limited`."""
        digest = secrets.digest(secret)
        row = await self._db.read(lambda c: store.by_digest(c, digest))
        if row is None or row.revoked_ms is not None:
            raise ServiceError("auth.token_invalid")
        self._count(row)
        return Principal(scopes=frozenset(row.scopes), app=row.id, operator="*" in row.scopes)

    async def acting_for(self, principal: Principal, external: str, name: str = "") -> Principal:
        """The key's principal as one of its users. Raises ServiceError `auth.scope`, `request.invalid`."""
        scopes.require(principal, "act_as")
        account = await self._accounts.external((await self._of(principal)).namespace, external, name)
        return msgspec.structs.replace(principal, account=account.id, operator=False)

    def may_mint(self, principal: Principal) -> None:
        """Raises ServiceError `auth.scope` unless this is a service key that may mint join tokens."""
        scopes.require(principal, "join_tokens")
        if principal.app is None:
            raise ServiceError("auth.scope", "Needs a service key.")

    async def user(self, principal: Principal, external: str, name: str = "") -> int:
        """The account of one of the key's users. Raises ServiceError `auth.scope`, `request.invalid`."""
        self.may_mint(principal)
        return (await self._accounts.external((await self._of(principal)).namespace, external, name)).id

    async def exchange(self, form: Mapping[str, str]) -> Tokens:
        """A user's access token for an assertion that the product has signed (RFC 7523 section 2.1).

        Claims: `iss` the key's id, `sub` the user's external id, `aud` us, `exp` at most 10 minutes ahead, `jti` new;
        optional `name`. `scope` in the form narrows. Raises OAuthError, ServiceError `rate.limited`.
        """
        assertion = form.get("assertion", "")
        key = await self._key_of(assertion)
        claims = self._verified(assertion, key)
        now = self._clock.now_ms()
        fresh = await self._db.write(lambda c: store.see_assertion(c, key.id, claims["jti"], claims["exp"] * 1000, now))
        if not fresh:
            raise OAuthError("invalid_grant", "The assertion was used before.")
        for_users = [scope for scope in key.scopes if scope in scopes.FOR_USERS]
        wanted = form.get("scope", "").split() or for_users
        if not set(wanted) <= set(for_users):
            raise OAuthError("invalid_scope", "More than the key may.")
        account = await self._accounts.external(key.namespace, claims["sub"], str(claims.get("name", "")))
        return await self._oauth.issue(key.id, account.id, wanted, life_ms=3_600_000)

    async def _key_of(self, assertion: str) -> ServiceKey:
        try:
            issuer = msgspec.json.decode(jws.extract_compact(assertion.encode()).payload, type=dict[str, Any])["iss"]
        except (JoseError, ValueError, KeyError, msgspec.DecodeError) as error:
            raise OAuthError("invalid_grant", "The assertion cannot be read.") from error
        row = await self._db.read(lambda c: store.by_id(c, str(issuer)))
        if row is None or row.revoked_ms is not None or row.jwks is None:
            raise OAuthError("invalid_grant", "The assertion's issuer is not a service key with keys of its own.")
        self._count(row)
        return _key(row)

    def _verified(self, assertion: str, key: ServiceKey) -> dict[str, Any]:
        required: ClaimsOption = {"essential": True}
        registry = jwt.JWTClaimsRegistry(
            now=self._clock.now_ms() // 1000,
            leeway=30,
            iss={"essential": True, "value": key.id},
            sub=required,
            aud={"essential": True, "values": self._audience},
            exp=required,
            jti=required,
        )
        try:
            claims = jwt.decode(assertion, _public_keys(key.jwks or {}), algorithms=_ALGORITHMS).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise OAuthError("invalid_grant", "The assertion is not valid.") from error
        if claims["exp"] > self._clock.now_ms() // 1000 + _LONGEST_S or not 1 <= len(claims["jti"]) <= 128:
            raise OAuthError("invalid_grant", "An assertion lives at most 10 minutes; jti has 1 to 128 characters.")
        return {**claims, "exp": int(claims["exp"])}

    def _count(self, row: sa.Row[Any]) -> None:
        standing = self._windows.take(("service key", row.id), Window(row.per_minute, 60_000))
        if not standing.allowed:
            raise ServiceError("rate.limited", retry_after_s=standing.retry_after_s(self._clock.now_ms()))

    async def _of(self, principal: Principal) -> ServiceKey:
        if principal.app is None:
            raise ServiceError("auth.scope", "Needs a service key.")
        return await self._get(principal.app)

    async def _get(self, key: str) -> ServiceKey:
        row = await self._db.read(lambda c: store.by_id(c, key))
        if row is None:
            raise ServiceError("auth.scope", "Needs a service key.")
        return _key(row)


def _public_keys(jwks: Mapping[str, Any]) -> KeySet:
    """Raises ServiceError `request.invalid` for what is no set of public keys."""
    try:
        given: Any = dict(jwks)  # what it is, `import_key_set` finds out
        keys = KeySet.import_key_set(given)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ServiceError("request.invalid", "Not a JWK set (RFC 7517).") from error
    if not keys.keys or any(key.key_type == "oct" or key.is_private for key in keys.keys):
        raise ServiceError("request.invalid", "The JWK set has to consist of public keys.")
    return keys


def _key(row: sa.Row[Any]) -> ServiceKey:
    return ServiceKey(
        id=row.id,
        name=row.name,
        namespace=row.namespace,
        scopes=tuple(row.scopes),
        jwks=row.jwks,
        per_minute=row.per_minute,
        created_ms=row.created_ms,
        revoked_ms=row.revoked_ms,
    )
