"""The authorization server: what it grants, and every way in which it refuses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.oauth_apps import Registered
from spaces_ctl.service.oauth_errors import OAuthError
from spaces_ctl.service.sessions import SessionKind
from spaces_ctl.store.tables.all import metadata
from tests.support.identity import Identity

VERIFIER = "v" * 43
CALLBACK = "https://app.example/callback"


def challenge(verifier: str = VERIFIER) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def question(app: Registered, **changed: str | None) -> dict[str, str]:
    fields = {
        "response_type": "code",
        "client_id": app.app.client_id,
        "redirect_uri": CALLBACK,
        "scope": "space.read offline.access",
        "state": "opaque",
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
        **changed,
    }
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
async def app(identity: Identity) -> Registered:
    dev = await identity.person("dev")
    return await identity.oauth.apps.register(dev, name="Watcher", redirect_uris=[CALLBACK, "http://127.0.0.1/cb"])


@pytest.fixture
async def ada(identity: Identity) -> int:
    return await identity.person("ada")


async def a_code(identity: Identity, app: Registered, account: int, **changed: str | None) -> str:
    target = await identity.oauth.allow(await identity.oauth.begin(question(app, **changed)), account)
    return parse_qs(urlsplit(target).query)["code"][0]


def basic(app: Registered) -> tuple[str, str]:
    assert app.client_secret is not None
    return app.app.client_id, app.client_secret


def exchange(code: str, /, **changed: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "error", "redirects"),
    [
        ({"client_id": "unknown"}, "invalid_client", False),
        ({"client_id": None}, "invalid_client", False),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request", False),
        ({"redirect_uri": "https://app.example/callback/"}, "invalid_request", False),
        ({"redirect_uri": "https://app.example/callback?x=1"}, "invalid_request", False),
        ({"redirect_uri": "https://app.example/callback/../evil"}, "invalid_request", False),
        ({"redirect_uri": "https://app.example.evil.example/callback"}, "invalid_request", False),
        ({"redirect_uri": "https://app.example@evil.example/callback"}, "invalid_request", False),
        ({"redirect_uri": "HTTPS://APP.EXAMPLE/callback"}, "invalid_request", False),
        ({"redirect_uri": "http://127.0.0.1:5000/other"}, "invalid_request", False),
        ({"redirect_uri": "http://127.0.0.1@evil.example/cb"}, "invalid_request", False),
        ({"redirect_uri": "javascript:alert(1)"}, "invalid_request", False),
        ({"redirect_uri": None}, "invalid_request", False),
        ({"response_type": "token"}, "unsupported_response_type", True),
        ({"response_type": None}, "unsupported_response_type", True),
        ({"code_challenge": None}, "invalid_request", True),
        ({"code_challenge": "short"}, "invalid_request", True),
        ({"code_challenge_method": "plain"}, "invalid_request", True),
        ({"code_challenge_method": None}, "invalid_request", True),
        ({"scope": "space.read moderation"}, "invalid_scope", True),
    ],
)
async def test_a_request_that_is_not_valid_is_carried_by_the_browser_only_to_a_known_place(
    identity: Identity, app: Registered, changed: dict[str, str | None], error: str, redirects: bool
) -> None:
    with pytest.raises(OAuthError) as refused:
        await identity.oauth.begin(question(app, **changed))
    assert refused.value.error == error
    assert (refused.value.redirect is not None) == redirects
    if refused.value.redirect is not None:
        assert refused.value.redirect.startswith(CALLBACK + "?")
        query = parse_qs(urlsplit(refused.value.redirect).query)
        assert (query["error"], query["state"], query["iss"]) == ([error], ["opaque"], [identity.url])


async def test_a_loopback_app_may_listen_on_any_port(identity: Identity, app: Registered) -> None:
    asked = await identity.oauth.begin(question(app, redirect_uri="http://127.0.0.1:51004/cb"))
    assert identity.oauth.deny(asked).startswith("http://127.0.0.1:51004/cb?error=access_denied")


async def test_a_code_is_good_once_and_the_second_time_ends_what_the_first_gave(
    identity: Identity, app: Registered, ada: int
) -> None:
    code = await a_code(identity, app, ada)
    tokens = await identity.oauth.token(exchange(code), basic(app))
    principal = await identity.oauth.authenticate(tokens.access_token)
    assert (principal.account, principal.app) == (ada, app.app.client_id)
    assert principal.scopes == {"space.read", "offline.access"}
    assert not principal.moderator
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(exchange(code), basic(app))
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.oauth.authenticate(tokens.access_token)


async def test_two_exchanges_at_once_give_one_token_at_most(identity: Identity, app: Registered, ada: int) -> None:
    code = await a_code(identity, app, ada)
    answers = await asyncio.gather(
        *(identity.oauth.token(exchange(code), basic(app)) for _ in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"code": "spc_wrong"},
        {"redirect_uri": "http://127.0.0.1/cb"},
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"code_verifier": VERIFIER[:-1]},
        {"code_verifier": challenge()},
    ],
)
async def test_a_stolen_code_is_worth_nothing(
    identity: Identity, app: Registered, ada: int, changed: dict[str, str]
) -> None:
    code = await a_code(identity, app, ada)
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(exchange(code, **changed), basic(app))
    await identity.oauth.token(exchange(code), basic(app))  # the thief has not used it up


async def test_a_code_is_over_after_a_minute_and_only_for_its_app(
    identity: Identity, app: Registered, ada: int
) -> None:
    other = await identity.oauth.apps.register(ada, name="Other", redirect_uris=[CALLBACK])
    code = await a_code(identity, app, ada)
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(exchange(code), basic(other))
    identity.clock.advance(seconds=60)
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(exchange(code), basic(app))


async def test_without_offline_access_there_is_nothing_to_refresh(
    identity: Identity, app: Registered, ada: int
) -> None:
    code = await a_code(identity, app, ada, scope="space.read")
    assert (await identity.oauth.token(exchange(code), basic(app))).refresh_token is None


async def test_refreshing_rotates_and_reuse_ends_the_whole_family(
    identity: Identity, app: Registered, ada: int
) -> None:
    first = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    again = {"grant_type": "refresh_token", "refresh_token": first.refresh_token or ""}
    second = await identity.oauth.token(again, basic(app))
    third = await identity.oauth.token({**again, "refresh_token": second.refresh_token or ""}, basic(app))
    await identity.oauth.authenticate(third.access_token)
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(again, basic(app))
    for token in (first, second, third):
        with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
            await identity.oauth.authenticate(token.access_token)
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token({**again, "refresh_token": third.refresh_token or ""}, basic(app))


async def test_refreshing_may_narrow_the_access_token_but_not_widen_it(
    identity: Identity, app: Registered, ada: int
) -> None:
    code = await a_code(identity, app, ada, scope="space.read tweet.read offline.access")
    tokens = await identity.oauth.token(exchange(code), basic(app))
    again = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token or ""}
    with pytest.raises(OAuthError, match="invalid_scope"):
        await identity.oauth.token({**again, "scope": "space.write"}, basic(app))
    narrow = await identity.oauth.token({**again, "scope": "space.read"}, basic(app))
    assert narrow.scope == "space.read"
    wide = await identity.oauth.token({**again, "refresh_token": narrow.refresh_token or ""}, basic(app))
    assert wide.scope == "space.read tweet.read offline.access"


async def test_tokens_are_over_in_time(identity: Identity, app: Registered, ada: int) -> None:
    tokens = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    identity.clock.advance(ms=(tokens.expires_in or 0) * 1000)
    with pytest.raises(ServiceError, match=r"auth\.token_expired"):
        await identity.oauth.authenticate(tokens.access_token)
    identity.clock.advance(days=180)
    again = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token or ""}
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(again, basic(app))
    assert await identity.oauth.forget_expired() == 2  # the code and the access token; the refresh token a day later


@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_revoking_either_token_ends_the_grant(identity: Identity, app: Registered, ada: int, kind: str) -> None:
    tokens = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    other = await identity.oauth.apps.register(ada, name="Other", redirect_uris=[CALLBACK])
    token = tokens.access_token if kind == "access" else tokens.refresh_token or ""
    await identity.oauth.revoke({"token": token}, basic(other))  # not theirs: nothing happens, nothing is told
    await identity.oauth.authenticate(tokens.access_token)
    await identity.oauth.revoke({"token": "unknown"}, basic(app))
    await identity.oauth.revoke({"token": token}, basic(app))
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.oauth.authenticate(tokens.access_token)


async def test_a_refresh_token_opens_nothing_and_an_access_token_refreshes_nothing(
    identity: Identity, app: Registered, ada: int
) -> None:
    tokens = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.oauth.authenticate(tokens.refresh_token or "")
    again = {"grant_type": "refresh_token", "refresh_token": tokens.access_token}
    with pytest.raises(OAuthError, match="invalid_grant"):
        await identity.oauth.token(again, basic(app))


async def test_clients_show_who_they_are_in_one_way(identity: Identity, app: Registered, ada: int) -> None:
    public = await identity.oauth.apps.register(ada, name="Phone", redirect_uris=[CALLBACK], confidential=False)
    client_id, secret = basic(app)
    form = {"grant_type": "client_credentials"}
    for given, credentials in (
        (form, None),
        (form, (client_id, "wrong")),
        (form, (client_id, "")),
        ({**form, "client_id": client_id}, None),
        ({**form, "client_id": client_id, "client_secret": "wrong"}, None),
        ({**form, "client_id": public.app.client_id, "client_secret": "guessed"}, None),
    ):
        with pytest.raises(OAuthError, match="invalid_client"):
            await identity.oauth.token(given, credentials)
    for given, credentials in (
        ({**form, "client_id": "other"}, (client_id, secret)),
        ({**form, "client_secret": secret}, (client_id, secret)),
    ):
        with pytest.raises(OAuthError, match="invalid_request"):
            await identity.oauth.token(given, credentials)
    with pytest.raises(OAuthError, match="unauthorized_client"):
        await identity.oauth.token({**form, "client_id": public.app.client_id}, None)
    await identity.oauth.token({**form, "client_id": client_id, "client_secret": secret}, None)
    principal = await identity.oauth.authenticate((await identity.oauth.token(form, (client_id, secret))).access_token)
    assert principal.account is None
    assert principal.scopes == {"space.read", "tweet.read", "users.read"}


async def test_a_new_secret_or_no_app_at_all(identity: Identity, app: Registered, ada: int) -> None:
    tokens = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    with pytest.raises(ServiceError, match=r"resource\.not_found"):
        await identity.oauth.apps.new_secret(ada, app.app.client_id)  # not hers
    renewed = await identity.oauth.apps.new_secret(app.app.owner, app.app.client_id)
    with pytest.raises(OAuthError, match="invalid_client"):
        await identity.oauth.token({"grant_type": "client_credentials"}, basic(app))
    await identity.oauth.token({"grant_type": "client_credentials"}, basic(renewed))
    await identity.oauth.apps.delete(app.app.owner, app.app.client_id)
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.oauth.authenticate(tokens.access_token)


async def test_people_see_what_they_allowed_and_take_it_back(identity: Identity, app: Registered, ada: int) -> None:
    tokens = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    [grant] = await identity.oauth.grants(ada)
    assert (grant.app, grant.scopes) == ("Watcher", ("space.read", "offline.access"))
    with pytest.raises(ServiceError, match=r"resource\.not_found"):
        await identity.oauth.withdraw(app.app.owner, grant.id)  # somebody else's
    await identity.oauth.withdraw(ada, grant.id)
    assert await identity.oauth.grants(ada) == []
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.oauth.authenticate(tokens.access_token)


async def test_nothing_in_the_database_opens_anything(identity: Identity, app: Registered, ada: int) -> None:
    """A copy of it logs nobody in: digests only."""
    code = await a_code(identity, app, ada)
    tokens = await identity.oauth.token(exchange(code), basic(app))
    login = await identity.sessions.open(ada, device="", kind=SessionKind.BEARER)
    secrets = [code, tokens.access_token, tokens.refresh_token or "", app.client_secret or "", login.secret]

    def dump(c: Any) -> str:
        return repr([c.execute(table.select()).all() for table in metadata.sorted_tables])

    everything = await identity.db.read(dump)
    assert not [secret for secret in secrets if secret in everything or secret[4:] in everything]


# Over HTTP


async def test_the_token_endpoint_refuses_as_rfc_6749_says(browser: httpx.AsyncClient, app: Registered) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for content, headers, status, error in (
        ("grant_type=client_credentials", form, 401, "invalid_client"),
        ("", form, 400, "invalid_request"),
        ("grant_type=a&grant_type=b", form, 400, "invalid_request"),
        ('{"grant_type": "client_credentials"}', {"content-type": "application/json"}, 400, "invalid_request"),
        ("grant_type=client_credentials", {**form, "authorization": "Basic !!!"}, 401, "invalid_client"),
        ("grant_type=%ff", form, 400, "invalid_request"),
    ):
        answer = await browser.post("/2/oauth2/token", content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (status, error), content
        assert answer.headers["cache-control"] == "no-store"
        assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_the_consent_page_cannot_be_framed_and_its_form_cannot_be_forged(
    browser: httpx.AsyncClient, identity: Identity, app: Registered, ada: int
) -> None:
    path = "/i/oauth2/authorize"
    signed_out = await browser.get(path, params=question(app))
    assert 'action="/i/login"' in signed_out.text
    await browser.post("/api/v1/auth/login", json={"name": "ada", "password": "correct horse"})
    page = await browser.get(path, params=question(app))
    assert "Watcher wants to access your account" in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example" in policy
    assert page.headers["x-frame-options"] == "DENY"
    forged = await browser.post(path, data={**question(app), "answer": "allow"})
    assert (forged.status_code, forged.json()["code"]) == (403, "auth.csrf")
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    csrf = (await browser.get("/api/v1/me/csrf")).json()["token"]
    elsewhere = await browser.post(path, data={**question(app), "answer": "allow", "csrf": csrf}, headers=foreign)
    assert elsewhere.status_code == 403
    assert await identity.oauth.grants(ada) == []
    allowed = await browser.post(path, data={**question(app), "answer": "allow", "csrf": csrf})
    assert allowed.status_code == 302
    assert len(await identity.oauth.grants(ada)) == 1


async def test_a_bad_link_is_explained_here_not_there(browser: httpx.AsyncClient, app: Registered) -> None:
    evil = await browser.get("/i/oauth2/authorize", params=question(app, redirect_uri="https://evil.example/"))
    assert (evil.status_code, "location" in evil.headers) == (400, False)
    twice = await browser.get("/i/oauth2/authorize?client_id=a&client_id=b")
    assert twice.status_code == 400
    known = await browser.get("/i/oauth2/authorize", params=question(app, response_type="token"))
    assert known.headers["location"].startswith(CALLBACK + "?error=unsupported_response_type")


async def test_an_apps_name_is_shown_as_text(browser: httpx.AsyncClient, identity: Identity, ada: int) -> None:
    name = "<script>alert(1)</script>"
    crooked = await identity.oauth.apps.register(ada, name=name, redirect_uris=[CALLBACK])
    page = await browser.get("/i/oauth2/authorize", params=question(crooked, state='"><script>'))
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "return_to",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example", "evil"],
)
async def test_logging_in_sends_nobody_elsewhere(
    browser: httpx.AsyncClient, identity: Identity, ada: int, return_to: str
) -> None:
    page = await browser.get("/i/login", params={"return_to": return_to})
    assert "evil" not in page.text
    login = {"name": "ada", "password": "correct horse", "return_to": return_to}
    assert (await browser.post("/i/login", data=login)).headers["location"] == "/"


async def test_apps_are_registered_and_deleted_over_the_api(
    browser: httpx.AsyncClient, identity: Identity, ada: int
) -> None:
    login = await browser.post("/api/v1/auth/login", json={"name": "ada", "password": "correct horse"})
    csrf = {"x-csrf-token": login.json()["csrf"]}
    new = {"name": "Mine", "redirect_uris": [CALLBACK], "scopes": ["space.read"]}
    made = (await browser.post("/api/v1/oauth/apps", json=new, headers=csrf)).json()
    assert made["client_secret"].startswith("spo_")
    [listed] = (await browser.get("/api/v1/oauth/apps")).json()["data"]
    assert "client_secret" not in listed
    for bad in ("http://app.example/cb", "https://app.example/cb#x", "javascript:alert(1)", "ftp://x/y", "data:,x"):
        refused = await browser.post("/api/v1/oauth/apps", json={**new, "redirect_uris": [bad]}, headers=csrf)
        assert (refused.status_code, refused.json()["code"]) == (422, "request.invalid"), bad
    path = f"/api/v1/oauth/apps/{made['client_id']}"
    assert (await browser.delete(path, headers=csrf)).status_code == 204
    assert (await browser.get("/api/v1/oauth/apps")).json()["data"] == []


async def test_an_apps_token_does_what_its_scopes_say_and_no_more(
    browser: httpx.AsyncClient, identity: Identity, app: Registered, ada: int
) -> None:
    tokens = await identity.oauth.token(exchange(await a_code(identity, app, ada)), basic(app))
    bearer = {"authorization": f"Bearer {tokens.access_token}"}
    for method, path in (
        ("GET", "/api/v1/me"),
        ("GET", "/api/v1/auth/sessions"),
        ("POST", "/api/v1/auth/logout"),
        ("POST", "/api/v1/oauth/apps"),
        ("POST", "/api/v1/service-keys"),
        ("PATCH", "/api/v1/me"),
    ):
        refused = await browser.request(method, path, headers=bearer, json={} if method != "GET" else None)
        assert (refused.status_code, refused.json()["code"]) == (403, "auth.scope"), path
