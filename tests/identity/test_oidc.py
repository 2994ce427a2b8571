"""Login with an account elsewhere: an independent provider end to end, and one of our own that misbehaves."""

from __future__ import annotations

import base64
import hmac
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from litestar import Litestar, Request, get, post

from spaces_ctl.clock import ManualClock, SystemClock
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oidc import Oidc, OidcProvider, Started
from spaces_ctl.store.database import Database
from tests.support.identity import Identity, serving
from tests.support.patience import PATIENCE_S

HOME = "http://spaces.test"


@pytest.fixture
def db(sqlite_db: Database) -> Database:
    return sqlite_db


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


class Crooked:
    """A provider whose ID tokens are what the test makes of them."""

    def __init__(self, clock: ManualClock, issuer: str) -> None:
        self.clock, self.issuer = clock, issuer
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.published = KeySet([self.key])
        self.nonce = ""
        self.challenge = ""
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.signing: Any = None
        self.verifiers: list[str] = []

    def app(self) -> Litestar:
        @get("/.well-known/openid-configuration")
        async def discovery() -> dict[str, Any]:
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
            }

        @get("/jwks")
        async def jwks() -> dict[str, Any]:
            return dict(self.published.as_dict(private=False))

        @post("/token", status_code=200)
        async def token(request: Request[Any, Any, Any]) -> dict[str, Any]:
            form = await request.form()
            self.verifiers.append(form["code_verifier"])
            return {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token()}

        return Litestar([discovery, jwks, token], openapi_config=None)

    def id_token(self) -> str:
        now = self.clock.now_ms() // 1000
        claims = {
            "iss": self.issuer,
            "sub": "ada-elsewhere",
            "aud": "spaces",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "preferred_username": "Ada.L@example.org",
            "name": "Ada L.",
            **self.claims,
        }
        header = {"alg": "RS256", "kid": "1", **self.header}
        algorithms = [header["alg"]]
        claims = {name: value for name, value in claims.items() if value is not None}
        if callable(self.signing):
            # What joserfc refuses to make.
            text = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
            return (text + b"." + _base64(self.signing(self, text))).decode()
        return jwt.encode(header, claims, self.signing or self.key, algorithms=algorithms)

    def sees(self, started: Started) -> dict[str, str]:
        """The browser arrives and comes back."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(started.url).query).items()}
        self.nonce, self.challenge = query["nonce"], query["code_challenge"]
        assert query["code_challenge_method"] == "S256"
        assert query["redirect_uri"] == f"{HOME}/api/v1/auth/oidc/crooked/callback"
        assert set(query["scope"].split()) == {"openid", "profile", "email"}
        return {"code": "c", "state": query["state"]}


@pytest.fixture
async def crooked(clock: ManualClock) -> AsyncIterator[Crooked]:
    listener = socket.create_server(("127.0.0.1", 0))
    provider = Crooked(clock, f"http://127.0.0.1:{listener.getsockname()[1]}")
    async with serving(provider.app(), listener):
        yield provider


@pytest.fixture
def oidc(identity: Identity, db: Database, clock: ManualClock, crooked: Crooked) -> Oidc:
    provider = OidcProvider(name="crooked", issuer=crooked.issuer, client_id="spaces", client_secret="s")
    return Oidc(db=db, clock=clock, accounts=identity.accounts, providers=[provider], public_url=HOME)


async def test_the_first_login_makes_an_account_and_the_second_finds_it(
    oidc: Oidc, crooked: Crooked, identity: Identity
) -> None:
    await identity.accounts.create(handle="ada_l")
    started = await oidc.start("crooked", return_to="/spaces/1?x=2")
    finished = await oidc.finish("crooked", crooked.sees(started), started.browser)
    assert (finished.created, finished.return_to) == (True, "/spaces/1?x=2")
    account = await identity.accounts.get(finished.account)
    assert (account.handle, account.name, account.email) == ("ada_l2", "Ada L.", None)
    assert len(crooked.verifiers[0]) >= 43
    again = await oidc.start("crooked", return_to="https://evil.example/")
    found = await oidc.finish("crooked", crooked.sees(again), again.browser)
    assert (found.account, found.created, found.return_to) == (finished.account, False, "/")


async def test_an_address_never_links_accounts(oidc: Oidc, crooked: Crooked, identity: Identity) -> None:
    victim = await identity.person("victim")
    await identity.email_links.send_verification(victim, "ada@example.org")
    token = re.search(r"token=(\S+)", identity.outbox.sent[-1][2])
    assert token is not None
    await identity.email_links.verify(token[1])
    crooked.claims = {"email": "ada@example.org", "email_verified": True}
    started = await oidc.start("crooked")
    assert (await oidc.finish("crooked", crooked.sees(started), started.browser)).account != victim


async def test_linking_to_an_account_that_is_signed_in(oidc: Oidc, crooked: Crooked, identity: Identity) -> None:
    ada, bob = await identity.person("ada"), await identity.person("bob")
    started = await oidc.start("crooked", account=ada)
    assert (await oidc.finish("crooked", crooked.sees(started), started.browser)).account == ada
    started = await oidc.start("crooked")
    assert (await oidc.finish("crooked", crooked.sees(started), started.browser)).account == ada
    started = await oidc.start("crooked", account=bob)
    with pytest.raises(ServiceError, match=r"account\.exists"):
        await oidc.finish("crooked", crooked.sees(started), started.browser)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["spaces", "another"]},
        {"aud": ["spaces", "another"], "azp": "another"},
        {"exp": 1},
        {"exp": None},
        {"iat": 9_999_999_999},
        {"iat": None},
        {"sub": None},
        {"sub": 7},
        {"nbf": 9_999_999_999},
    ],
)
async def test_an_id_token_with_wrong_claims_logs_nobody_in(
    oidc: Oidc, crooked: Crooked, claims: dict[str, Any]
) -> None:
    crooked.claims = claims
    started = await oidc.start("crooked")
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await oidc.finish("crooked", crooked.sees(started), started.browser)


async def test_an_id_token_that_is_not_signed_by_the_provider_logs_nobody_in(oidc: Oidc, crooked: Crooked) -> None:
    forgeries: list[tuple[Any, dict[str, Any]]] = [
        (RSAKey.generate_key(2048), {}),
        (OctKey.import_key("s" * 32), {"alg": "HS256"}),
        (_public_key_as_secret, {"alg": "HS256"}),
        (_unsigned, {"alg": "none"}),
    ]
    for signing, header in forgeries:
        crooked.signing, crooked.header = signing, header
        started = await oidc.start("crooked")
        with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
            await oidc.finish("crooked", crooked.sees(started), started.browser)


def _public_key_as_secret(crooked: Crooked, text: bytes) -> bytes:
    return hmac.digest(crooked.key.as_pem(private=False), text, "sha256")


def _unsigned(crooked: Crooked, text: bytes) -> bytes:
    return b""


async def test_new_keys_of_the_provider_are_fetched(oidc: Oidc, crooked: Crooked) -> None:
    started = await oidc.start("crooked")
    first = await oidc.finish("crooked", crooked.sees(started), started.browser)
    crooked.key = RSAKey.generate_key(2048, {"kid": "2", "use": "sig", "alg": "RS256"})
    crooked.published, crooked.header = KeySet([crooked.key]), {"kid": "2"}
    started = await oidc.start("crooked")
    assert (await oidc.finish("crooked", crooked.sees(started), started.browser)).account == first.account


async def test_only_the_browser_that_began_finishes_once_and_in_time(oidc: Oidc, crooked: Crooked) -> None:
    started, other = await oidc.start("crooked"), await oidc.start("crooked")
    query = crooked.sees(started)
    for browser in (None, other.browser, ""):
        started = await oidc.start("crooked")
        with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
            await oidc.finish("crooked", crooked.sees(started), browser)
    started = await oidc.start("crooked")
    query = crooked.sees(started)
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await oidc.finish("crooked", {**query, "state": "guessed"}, started.browser)
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await oidc.finish("crooked", {**query, "iss": "https://evil.example"}, started.browser)
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await oidc.finish("crooked", query, started.browser)  # used up by the mix-up
    started = await oidc.start("crooked")
    query = crooked.sees(started)
    crooked.clock.advance(seconds=601)
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await oidc.finish("crooked", query, started.browser)
    started = await oidc.start("crooked")
    denied = {"error": "access_denied", "state": crooked.sees(started)["state"]}
    with pytest.raises(ServiceError, match=r"auth\.credentials"):
        await oidc.finish("crooked", denied, started.browser)


async def test_a_provider_that_is_not_there_or_names_another_issuer(
    identity: Identity, db: Database, clock: ManualClock, crooked: Crooked
) -> None:
    def at(issuer: str) -> Oidc:
        provider = OidcProvider(name="p", issuer=issuer, client_id="spaces")
        return Oidc(db=db, clock=clock, accounts=identity.accounts, providers=[provider], public_url=HOME)

    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for issuer in (f"http://127.0.0.1:{port}", crooked.issuer.replace("127.0.0.1", "localhost")):
        with pytest.raises(ServiceError, match=r"provider\.unavailable"):
            await at(issuer).start("p")
    with pytest.raises(ServiceError, match=r"resource\.not_found"):
        await at(crooked.issuer).start("unknown")


async def test_without_registration_strangers_stay_outside(
    identity: Identity, db: Database, clock: ManualClock, crooked: Crooked
) -> None:
    provider = OidcProvider(name="crooked", issuer=crooked.issuer, client_id="spaces")
    closed = Oidc(
        db=db, clock=clock, accounts=identity.accounts, providers=[provider], public_url=HOME, registration=False
    )
    started = await closed.start("crooked")
    with pytest.raises(ServiceError, match=r"auth\.credentials"):
        await closed.finish("crooked", crooked.sees(started), started.browser)


# End to end, with a provider that shares no code with us


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """oidc-provider-mock (Authlib's server) in a process of its own: it warns of its own deprecations."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = f"import oidc_provider_mock as o; o.app(require_nonce=True).run('localhost', {port}, debug=False)"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    issuer = f"http://localhost:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(issuer + "/.well-known/openid-configuration", timeout=5).raise_for_status()
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    pytest.fail("the provider did not start")
                time.sleep(0.05)
        yield issuer
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


async def test_round_trip_over_http_with_an_independent_provider(db: Database, provider: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    elsewhere = OidcProvider(name="mock", issuer=provider, client_id="spaces", client_secret="s", label="Elsewhere")
    identity = Identity(db, SystemClock(), url, [elsewhere])  # the provider's tokens bear real times
    async with serving(identity.app(), listener), httpx.AsyncClient() as browser:
        listed = (await browser.get(f"{url}/api/v1/auth/oidc")).json()
        assert listed["data"] == [{"name": "mock", "label": "Elsewhere"}]
        handles = []
        for _ in range(2):
            browser.cookies.clear()
            start = await browser.get(f"{url}/api/v1/auth/oidc/mock/start", params={"return_to": "/i/style.css"})
            assert start.status_code == 302
            consent = await browser.post(start.headers["location"], data={"sub": "ada"})
            assert consent.status_code == 302
            assert consent.headers["location"].startswith(f"{url}/api/v1/auth/oidc/mock/callback?")
            back = await browser.get(consent.headers["location"])
            assert (back.status_code, back.headers["location"]) == (302, "/i/style.css")
            me = (await browser.get(f"{url}/api/v1/me")).json()["account"]
            handles.append((me["id"], me["handle"]))
            replayed = await browser.get(consent.headers["location"])
            assert replayed.status_code == 401
        assert handles[0] == handles[1]
    identity.close()
