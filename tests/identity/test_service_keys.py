"""Service keys: another product's users, without accounts of ours."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey

from spaces_ctl.model import Role
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.joins import Admission
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.service_keys import JWT_BEARER, NewServiceKey
from spaces_ctl.service.sessions import SessionKind
from tests.support.identity import Identity, serving

SCOPES = ("join_tokens", "act_as", "space.read", "space.join", "users.read")


@pytest.fixture
def signer() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "1"})


@pytest.fixture
async def key(identity: Identity, signer: OKPKey) -> NewServiceKey:
    jwks = KeySet([signer]).as_dict(private=False)
    return await identity.service_keys.create(
        name="Forum", namespace="forum", scopes_wanted=SCOPES, jwks=dict(jwks), per_minute=50
    )


def assertion(identity: Identity, key: NewServiceKey, signer: Any, alg: str = "Ed25519", **changed: Any) -> str:
    now = identity.clock.now_ms() // 1000
    claims = {
        "iss": key.key.id,
        "sub": "user-7",
        "aud": f"{identity.url}/2/oauth2/token",
        "exp": now + 60,
        "jti": "1",
        "name": "Grace",
        **changed,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": "1"}, claims, signer, algorithms=[alg])


def ask(text: str, **more: str) -> dict[str, str]:
    return {"grant_type": JWT_BEARER, "assertion": text, **more}


async def test_an_assertion_becomes_the_users_token(identity: Identity, key: NewServiceKey, signer: OKPKey) -> None:
    tokens = await identity.service_keys.exchange(ask(assertion(identity, key, signer)))
    assert (tokens.token_type, tokens.refresh_token) == ("bearer", None)
    principal = await identity.authentication.by_bearer(tokens.access_token)
    assert principal.scopes == {"space.read", "space.join", "users.read"}
    account = await identity.accounts.get(principal.account or 0)
    assert (account.namespace, account.external, account.name) == ("forum", "user-7", "Grace")
    assert not account.has_password
    again = await identity.service_keys.exchange(ask(assertion(identity, key, signer, jti="2"), scope="space.read"))
    same = await identity.authentication.by_bearer(again.access_token)
    assert same.account == principal.account
    assert same.scopes == {"space.read"}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "unknown"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"aud": "https://other.example"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": 9_999_999_999},
        {"jti": None},
        {"jti": ""},
        {"nbf": 9_999_999_999},
    ],
)
async def test_an_assertion_that_does_not_say_all_is_refused(
    identity: Identity, key: NewServiceKey, signer: OKPKey, changed: dict[str, Any]
) -> None:
    with pytest.raises((OAuthError, ServiceError)) as refused:
        await identity.service_keys.exchange(ask(assertion(identity, key, signer, **changed)))
    assert getattr(refused.value, "error", "invalid_grant") == "invalid_grant"
    assert getattr(refused.value, "code", "request.invalid") == "request.invalid"


async def test_an_assertion_is_good_once_and_only_with_the_products_signature(
    identity: Identity, key: NewServiceKey, signer: OKPKey
) -> None:
    text = assertion(identity, key, signer)
    await identity.service_keys.exchange(ask(text))
    with pytest.raises(OAuthError, match="used before"):
        await identity.service_keys.exchange(ask(text))
    head, body, _ = text.split(".")
    forged = [
        assertion(identity, key, OKPKey.generate_key("Ed25519", {"kid": "1"}), jti="2"),
        assertion(identity, key, ECKey.generate_key("P-256", {"kid": "1"}), "ES256", jti="3"),
        assertion(identity, key, OctKey.import_key(key.secret), "HS256", jti="4"),
        f"{head}.{body}.",
        "eyJhbGciOiJub25lIn0." + body + ".",
        "nonsense",
        "",
    ]
    for text in forged:
        with pytest.raises(OAuthError, match="invalid_grant"):
            await identity.service_keys.exchange(ask(text))
    with pytest.raises(OAuthError, match="invalid_scope"):
        await identity.service_keys.exchange(ask(assertion(identity, key, signer, jti="5"), scope="space.write"))


async def test_revoking_a_key_ends_its_users_tokens(identity: Identity, key: NewServiceKey, signer: OKPKey) -> None:
    tokens = await identity.service_keys.exchange(ask(assertion(identity, key, signer)))
    await identity.service_keys.revoke(key.key.id)
    for token in (tokens.access_token, key.secret):
        with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
            await identity.authentication.by_bearer(token)
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.service_keys.exchange(ask(assertion(identity, key, signer, jti="2")))
    with pytest.raises(ServiceError, match=r"resource\.not_found"):
        await identity.service_keys.revoke(key.key.id)
    assert [each.revoked_ms for each in await identity.service_keys.listed()] == [identity.clock.now_ms()]


async def test_acting_for_a_user_and_two_namespaces_apart(identity: Identity, key: NewServiceKey) -> None:
    one = await identity.authentication.by_bearer(key.secret, acting_for="user-7")
    assert one.account == (await identity.authentication.by_bearer(key.secret, acting_for="user-7")).account
    other = await identity.service_keys.create(name="Shop", namespace="shop", scopes_wanted=["act_as"])
    two = await identity.authentication.by_bearer(other.secret, acting_for="user-7")
    assert two.account != one.account
    ada = await identity.person("ada")
    session = await identity.sessions.open(ada, device="", kind=SessionKind.BEARER)
    with pytest.raises(ServiceError, match=r"auth\.scope"):
        await identity.authentication.by_bearer(session.secret, acting_for="user-7")
    weak = await identity.service_keys.create(name="Weak", namespace="forum", scopes_wanted=["space.read"])
    with pytest.raises(ServiceError, match=r"auth\.scope"):
        await identity.authentication.by_bearer(weak.secret, acting_for="user-7")


async def test_a_key_has_its_own_rate(identity: Identity, key: NewServiceKey) -> None:
    for _ in range(50):
        await identity.authentication.by_bearer(key.secret)
    with pytest.raises(ServiceError, match=r"rate\.limited"):
        await identity.authentication.by_bearer(key.secret)
    identity.clock.advance(seconds=60)
    await identity.authentication.by_bearer(key.secret)


async def test_what_is_no_key_is_refused(identity: Identity, signer: OKPKey) -> None:
    private = dict(KeySet([signer]).as_dict(private=True))
    shared = {"keys": [OctKey.import_key("secret" * 8).as_dict()]}
    wrongs: list[dict[str, Any]] = [
        {"jwks": private},
        {"jwks": shared},
        {"jwks": {"keys": []}},
        {"jwks": {"a": 1}},
        {"per_minute": 0},
    ]
    for wrong in wrongs:
        with pytest.raises(ServiceError, match=r"request\.invalid"):
            await identity.service_keys.create(name="K", namespace="n", scopes_wanted=["act_as"], **wrong)
    with pytest.raises(ServiceError, match="Unknown scopes"):
        await identity.service_keys.create(name="K", namespace="n", scopes_wanted=["root"])


class _Joins:
    """Answers as `Joins` does; what it decides is tested with it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, bool, int]] = []

    async def join(self, actor: Any, space: int, session: str | None = None) -> Admission:
        self.asked.append((actor.account, actor.anonymous, space))
        if space == 404:
            raise ServiceError("space.not_found")
        return Admission(
            urls=("https://media.test:1/spaces/a",),
            certificate_sha256=b"\0" * 32,
            token="jwt",
            expires_ms=1_700_000_060_000,
            role=Role.LISTENER,
            seat=None,
            muted=True,
        )


async def test_join_tokens_for_a_products_users_over_http(identity: Identity, key: NewServiceKey) -> None:
    joins = _Joins()
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    bearer = {"authorization": f"Bearer {key.secret}"}
    async with serving(identity.app(joins=joins), listener), httpx.AsyncClient(base_url=base, headers=bearer) as http:
        made = await http.post("/api/v1/join-tokens", json={"space": "1a", "user": "user-7", "name": "Grace"})
        assert made.status_code == 201, made.text
        body = made.json()
        account = await identity.accounts.get(int(body["account"]))
        assert (account.external, account.name) == ("user-7", "Grace")
        assert body == {
            "token": "jwt",
            "urls": ["https://media.test:1/spaces/a"],
            "expires_at": "2023-11-14T22:14:20.000Z",
            "role": "listener",
            "account": str(account.id),
            "certificate_sha256": "A" * 43 + "=",
        }
        guest = await http.post("/api/v1/join-tokens", json={"space": "1a"})
        assert guest.json()["account"] is None
        assert joins.asked == [(account.id, False, 98), (None, False, 98)]
        gone = await http.post("/api/v1/join-tokens", json={"space": "6W", "user": "user-7"})
        assert (gone.status_code, gone.json()["code"]) == (404, "space.not_found")
        weak = await identity.service_keys.create(name="Weak", namespace="forum", scopes_wanted=["space.read"])
        for token, status in ((weak.secret, 403), ("nonsense", 401)):
            refused = await http.post(
                "/api/v1/join-tokens", json={"space": "1a"}, headers={"authorization": f"Bearer {token}"}
            )
            assert refused.status_code == status
        nobody = await http.get("/api/v1/service-keys")
        assert (nobody.status_code, nobody.json()["code"]) == (403, "auth.scope")


async def test_operators_make_keys_over_http(browser: httpx.AsyncClient, identity: Identity) -> None:
    await identity.person("root", operator=True)
    await identity.person("ada")
    new = {"name": "Forum", "namespace": "forum"}
    for name, status in (("ada", 403), ("root", 201)):
        browser.cookies.clear()
        login = await browser.post("/api/v1/auth/login", json={"name": name, "password": "correct horse"})
        csrf = {"x-csrf-token": login.json()["csrf"]}
        made = await browser.post("/api/v1/service-keys", json=new, headers=csrf)
        assert made.status_code == status, made.text
    key = made.json()
    assert key["secret"].startswith("spk_")
    [listed] = (await browser.get("/api/v1/service-keys")).json()["data"]
    assert listed == {name: value for name, value in key.items() if name != "secret"}
    assert (await browser.delete(f"/api/v1/service-keys/{key['id']}", headers=csrf)).status_code == 204
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.authentication.by_bearer(key["secret"])
