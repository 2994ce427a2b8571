"""Login with an account elsewhere: OpenID Connect Core 1.0, code flow with PKCE, state and nonce.

`start` gives the URL to send the browser to and a secret for its cookie; `finish` takes the provider's answer. An
identity is the provider's `iss` and `sub`; an e-mail address never links anything: it may be another's tomorrow.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping, Sequence
from typing import Any, cast

import httpx2
import msgspec
from authlib.integrations.base_client import OAuthError as ProviderError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service import redirects
from spaces_ctl.service import secret as secrets
from spaces_ctl.service.accounts import Accounts, free_handle
from spaces_ctl.service.answering import AnsweringDatabase
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.secret import Kind
from spaces_ctl.store import oidc as store
from spaces_ctl.store.database import Database

__all__ = ["Finished", "Oidc", "OidcProvider", "Started"]

_LIFE_MS = 600_000
_KEYS_MS = 3_600_000
_ALGORITHMS = ["RS256", "PS256", "ES256", "Ed25519", "EdDSA"]


class OidcProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider, as configured."""

    name: str
    """In URLs."""
    issuer: str
    client_id: str
    client_secret: str = ""
    label: str = ""
    """On the button."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send the browser, and what it has to bring back in a cookie."""

    url: str
    browser: str


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """Who it is, and where they wanted to go (a path here)."""

    account: AccountId
    return_to: str
    created: bool = False


class _Discovered(msgspec.Struct, frozen=True, kw_only=True):
    """What we use of OpenID Connect Discovery 1.0 section 3."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    authorization_response_iss_parameter_supported: bool = False


class Oidc:
    """The logins of all configured providers."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        accounts: Accounts,
        providers: Sequence[OidcProvider],
        public_url: str,
        registration: bool = True,
        timeout_s: float = 5.0,
    ) -> None:
        """Providers send people back to `public_url`/api/v1/auth/oidc/NAME/callback.

        Without `registration` only people who are linked already can log in.
        """
        self._db = AnsweringDatabase(db)
        self._clock = clock
        self._accounts = accounts
        self.providers = {provider.name: provider for provider in providers}
        self._url = public_url.rstrip("/")
        self._registration = registration
        self._timeout_s = timeout_s
        self._discovered: dict[str, _Discovered] = {}
        self._keys: dict[str, tuple[int, KeySet]] = {}

    async def start(self, name: str, *, return_to: str = "/", account: AccountId | None = None) -> Started:
        """Begins a login, or links another identity to `account`. `return_to` is made a path on this server.

        Raises ServiceError `resource.not_found`, `provider.unavailable`.
        """
        provider = self._provider(name)
        found = await self._discover(provider)
        browser, nonce, verifier = secrets.make(Kind.BROWSER), random.token_urlsafe(24), random.token_urlsafe(48)
        async with self._client(provider) as client:
            url, state = client.create_authorization_url(
                found.authorization_endpoint, code_verifier=verifier, nonce=nonce, state=random.token_urlsafe(32)
            )
        now = self._clock.now_ms()
        values = {
            "state": secrets.digest(state),
            "browser": secrets.digest(browser),
            "provider": name,
            "nonce": nonce,
            "verifier": verifier,
            "return_to": redirects.local_path(return_to),
            "account": account,
            "expires_ms": now + _LIFE_MS,
        }
        await self._db.write(lambda c: store.add_state(c, now, **values))
        return Started(url=url, browser=browser)

    async def finish(self, name: str, query: Mapping[str, str], browser: str | None) -> Finished:
        """Takes the provider's answer; makes an account at the first time. Raises ServiceError `auth.*`."""
        provider = self._provider(name)
        state, now = secrets.digest(query.get("state", "")), self._clock.now_ms()
        row = await self._db.write(lambda c: store.take_state(c, state, now))
        if row is None or row.provider != name or browser is None or row.browser != secrets.digest(browser):
            # Another browser than the one that began: somebody hands around a link to log others in as themselves.
            raise ServiceError("auth.token_invalid", "This login did not begin here, or too long ago.")
        found = await self._discover(provider)
        if query.get("iss", found.issuer) != found.issuer or (
            found.authorization_response_iss_parameter_supported and "iss" not in query
        ):
            raise ServiceError("auth.token_invalid", "The answer is from another provider (RFC 9207).")
        if "code" not in query:
            raise ServiceError("auth.credentials", f"{provider.label or name} did not log you in.")
        claims = await self._claims(provider, found, query["code"], row.verifier, row.nonce)
        account, created = await self._account(found.issuer, claims, row.account)
        return Finished(account=account, return_to=row.return_to, created=created)

    async def _claims(
        self, provider: OidcProvider, found: _Discovered, code: str, verifier: str, nonce: str
    ) -> dict[str, Any]:
        try:
            async with self._client(provider) as client:
                token = await client.fetch_token(
                    found.token_endpoint, code=code, code_verifier=verifier, grant_type="authorization_code"
                )
            id_token = cast("str", token["id_token"])
            claims = await self._verified(provider, found, id_token)
        except (httpx2.HTTPError, ProviderError, JoseError, KeyError, ValueError, TypeError) as error:
            raise ServiceError("auth.token_invalid", "The provider's answer is not valid.") from error
        if not random.compare_digest(str(claims.get("nonce", "")), nonce):
            raise ServiceError("auth.token_invalid", "The provider's answer belongs to another login.")
        return claims

    async def _verified(self, provider: OidcProvider, found: _Discovered, id_token: str) -> dict[str, Any]:
        try:
            keys = await self._key_set(found, fresh=False)
            token = jwt.decode(id_token, keys, algorithms=_ALGORITHMS)
        except (InvalidKeyIdError, ValueError):
            # The provider has new keys since we looked.
            token = jwt.decode(id_token, await self._key_set(found, fresh=True), algorithms=_ALGORITHMS)
        # OpenID Connect Core 1.0 section 3.1.3.7
        registry = jwt.JWTClaimsRegistry(
            now=self._clock.now_ms() // 1000,
            leeway=60,
            iss={"essential": True, "value": found.issuer},
            aud={"essential": True, "value": provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        registry.validate(token.claims)
        audience = token.claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and token.claims.get("azp") != provider.client_id:
            raise ValueError("azp is another client")
        return token.claims

    async def _account(
        self, issuer: str, claims: Mapping[str, Any], wanted: AccountId | None
    ) -> tuple[AccountId, bool]:
        subject, now = str(claims["sub"])[:255], self._clock.now_ms()
        known = await self._db.read(lambda c: store.account_of(c, issuer, subject))
        if known is not None:
            if wanted not in {None, known}:
                raise ServiceError("account.exists", "This identity belongs to another account.")
            return known, False
        created = wanted is None
        if wanted is None:
            if not self._registration:
                raise ServiceError("auth.credentials", "Nobody here has this identity.")
            wish = str(claims.get("preferred_username") or claims.get("nickname") or claims.get("name") or "guest")
            handle = await free_handle(self._accounts, wish.split("@")[0])
            name = str(claims.get("name") or handle).strip()[:50]
            wanted = (await self._accounts.create(handle=handle, name=name)).id
        account = wanted
        if not await self._db.write(lambda c: store.link(c, issuer, subject, account, now)):
            raise ServiceError("version.conflict")
        return account, created

    def _provider(self, name: str) -> OidcProvider:
        try:
            return self.providers[name]
        except KeyError:
            raise ServiceError("resource.not_found", "There is no such login provider.") from None

    def _client(self, provider: OidcProvider) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=provider.client_id,
            client_secret=provider.client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if provider.client_secret else "none",
            scope=" ".join(provider.scopes),
            redirect_uri=f"{self._url}/api/v1/auth/oidc/{provider.name}/callback",
            code_challenge_method="S256",
            timeout=self._timeout_s,
        )

    async def _discover(self, provider: OidcProvider) -> _Discovered:
        if provider.name not in self._discovered:
            url = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
            try:
                found = msgspec.convert(await self._get(url), _Discovered)
            except msgspec.ValidationError as error:
                raise ServiceError("provider.unavailable", "The provider's metadata is not valid.") from error
            if found.issuer != provider.issuer:  # Discovery 1.0 section 4.3
                raise ServiceError("provider.unavailable", "The provider names another issuer.")
            self._discovered[provider.name] = found
        return self._discovered[provider.name]

    async def _key_set(self, found: _Discovered, *, fresh: bool) -> KeySet:
        at, keys = self._keys.get(found.issuer, (0, None))
        now = self._clock.now_ms()
        if keys is None or fresh or now - at > _KEYS_MS:
            keys = KeySet.import_key_set(cast("Any", await self._get(found.jwks_uri)))
            self._keys[found.issuer] = (now, keys)
        return keys

    async def _get(self, url: str) -> Any:
        try:
            async with httpx2.AsyncClient(timeout=self._timeout_s) as client:
                response = await client.get(url)
                response.raise_for_status()
                return msgspec.json.decode(response.content)
        except (httpx2.HTTPError, msgspec.DecodeError) as error:
            raise ServiceError("provider.unavailable") from error
