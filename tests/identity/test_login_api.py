"""Registering, logging in and out, sessions and passwords, over HTTP."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import httpx
import pytest

from spaces_ctl.service.sessions import SessionKind
from spaces_ctl.store import oidc as oidc_store
from spaces_ctl.store import sessions as session_store
from spaces_ctl.store.database import Database
from tests.support.identity import Identity

LOGIN = {"name": "ada", "password": "correct horse"}


@pytest.fixture
def db(sqlite_db: Database) -> Database:
    return sqlite_db


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def logged_in(browser: httpx.AsyncClient, **login: str) -> dict[str, str]:
    answer = await browser.post("/api/v1/auth/login", json={**LOGIN, **login})
    assert answer.status_code == 200, answer.text
    return {"x-csrf-token": answer.json()["csrf"]}


async def test_register_then_browse_with_the_cookie(browser: httpx.AsyncClient) -> None:
    account = {"handle": "Ada", "password": "correct horse", "name": "Ada L."}
    made = await browser.post("/api/v1/auth/register", json=account)
    assert made.status_code == 201
    body = made.json()
    assert "token" not in body
    assert (body["account"]["handle"], body["account"]["name"], body["account"]["email"]) == ("ada", "Ada L.", None)
    assert re.fullmatch(r"[0-9]+", body["account"]["id"])
    cookie = made.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert "Domain" not in cookie
    assert (await browser.get("/api/v1/auth/session")).json()["account"] == body["account"]
    assert refusal(await browser.post("/api/v1/auth/register", json=account)) == (409, "account.exists")


@pytest.mark.parametrize(
    "account",
    [
        {"handle": "a b", "password": "correct horse"},
        {"handle": "sixteen_letters_", "password": "correct horse"},
        {"handle": "", "password": "correct horse"},
        {"handle": "ada", "password": "short"},
        {"handle": "ada", "password": "x" * 257},
        {"handle": "ada", "password": "correct horse", "email": "no address"},
        {"handle": "ada", "password": "correct horse", "admin": True},
        {"handle": "ada"},
    ],
)
async def test_what_is_no_account_is_refused(browser: httpx.AsyncClient, account: dict[str, str]) -> None:
    assert refusal(await browser.post("/api/v1/auth/register", json=account)) == (422, "request.invalid")


async def test_a_bearer_session_is_no_cookie_and_the_other_way_round(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.person("ada")
    answer = await browser.post("/api/v1/auth/login", json={**LOGIN, "session": "bearer"})
    assert "set-cookie" not in answer.headers
    token = answer.json()["token"]
    me = await browser.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert me.json()["account"]["handle"] == "ada"
    stolen = await browser.get("/api/v1/me", headers={"cookie": f"spaces_session={token}"})
    assert refusal(stolen) == (401, "auth.token_missing"), "a void cookie is no credential"
    await logged_in(browser)
    secret = browser.cookies["spaces_session"]
    browser.cookies.clear()
    as_bearer = await browser.get("/api/v1/me", headers={"authorization": f"Bearer {secret}"})
    assert refusal(as_bearer) == (401, "auth.token_invalid")


async def test_wrong_name_and_wrong_password_look_the_same(browser: httpx.AsyncClient, identity: Identity) -> None:
    await identity.person("ada")
    await identity.accounts.create(handle="nopassword")
    answers = [
        await browser.post("/api/v1/auth/login", json={"name": name, "password": "wrong horse"})
        for name in ("ada", "nobody", "nopassword", "nobody@example.org")
    ]
    assert {refusal(answer) for answer in answers} == {(401, "auth.credentials")}
    assert len({answer.text for answer in answers}) == 1


async def test_an_unknown_name_costs_as_many_hashes_as_a_known_one(
    identity: Identity, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No enumeration by timing: the same argon2 verification runs, with the same parameters."""
    await identity.person("ada")
    hasher = identity.passwords._hasher
    seen: list[str] = []
    verify = type(hasher).verify

    def counted(self: object, stored: str, password: str) -> bool:
        seen.append(stored.rsplit("$", 2)[0])
        return verify(hasher, stored, password)

    monkeypatch.setattr(type(hasher), "verify", counted)
    for name in ("ada", "nobody"):
        await browser.post("/api/v1/auth/login", json={"name": name, "password": "wrong horse"})
    assert len(seen) == 2
    assert seen[0] == seen[1]


async def test_guessing_is_throttled_by_name_and_forgiven_by_time(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.person("ada")
    for _ in range(10):
        wrong = await browser.post("/api/v1/auth/login", json={**LOGIN, "password": "wrong horse"})
        assert refusal(wrong) == (401, "auth.credentials")
    right = await browser.post("/api/v1/auth/login", json=LOGIN)
    assert refusal(right) == (429, "rate.limited")
    assert right.headers["retry-after"] == "900"
    for _ in range(10):
        unknown = await browser.post("/api/v1/auth/login", json={"name": "nobody", "password": "wrong horse"})
    assert refusal(unknown) == (401, "auth.credentials")
    unknown = await browser.post("/api/v1/auth/login", json={"name": "nobody", "password": "wrong horse"})
    assert refusal(unknown) == (429, "rate.limited"), "names without an account are throttled alike"
    identity.clock.advance(seconds=901)
    await logged_in(browser)


async def test_guessing_many_names_is_throttled_by_address(browser: httpx.AsyncClient) -> None:
    codes = [
        (await browser.post("/api/v1/auth/login", json={"name": f"n{n}", "password": "wrong horse"})).json()["code"]
        for n in range(101)
    ]
    assert codes[:100] == ["auth.credentials"] * 100
    assert codes[100] == "rate.limited"


async def test_sessions_are_listed_and_ended_one_by_one_or_together(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    account = await identity.person("ada")
    ended: list[str] = []

    async def note(session: str) -> None:
        ended.append(session)

    identity.sessions.on_end(note)
    csrf = await logged_in(browser)
    others = []
    for device in ("phone", "tablet", "watch"):
        identity.clock.advance(seconds=1)
        other = await browser.post(
            "/api/v1/auth/login", json={**LOGIN, "session": "bearer"}, headers={"user-agent": device, **csrf}
        )
        others.append(other.json())
    listed = (await browser.get("/api/v1/auth/sessions")).json()["data"]
    assert [each["device"] for each in listed] == ["watch", "tablet", "phone", "Firefox on a laptop"]
    assert [each["current"] for each in listed] == [False, False, False, True]
    phone = {"authorization": f"Bearer {others[0]['token']}"}
    assert (await browser.get("/api/v1/me", headers=phone)).status_code == 200
    gone = await browser.delete(f"/api/v1/auth/sessions/{others[0]['session']}", headers=csrf)
    assert gone.status_code == 204
    assert refusal(await browser.get("/api/v1/me", headers=phone)) == (401, "auth.token_invalid")
    again = await browser.delete(f"/api/v1/auth/sessions/{others[0]['session']}", headers=csrf)
    assert refusal(again) == (404, "resource.not_found")
    assert (await browser.delete("/api/v1/auth/sessions", headers=csrf)).status_code == 204
    assert len((await browser.get("/api/v1/auth/sessions")).json()["data"]) == 1
    assert ended[0] == others[0]["session"]
    assert set(ended[1:]) == {other["session"] for other in others[1:]}
    bob = await identity.person("bob")
    theirs = await identity.sessions.open(bob, device="bob's", kind=SessionKind.BEARER)
    foreign = await browser.delete(f"/api/v1/auth/sessions/{theirs.session}", headers=csrf)
    assert refusal(foreign) == (404, "resource.not_found")
    assert account != bob


async def test_logging_out_ends_the_session_and_takes_the_cookie(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.person("ada")
    csrf = await logged_in(browser)
    cookie = browser.cookies["spaces_session"]
    assert (await browser.post("/api/v1/auth/logout", headers=csrf)).status_code == 204
    assert "spaces_session" not in browser.cookies
    stale = await browser.get("/api/v1/me", headers={"cookie": f"spaces_session={cookie}"})
    assert refusal(stale) == (401, "auth.token_missing")
    assert refusal(await browser.get("/api/v1/me")) == (401, "auth.token_missing")


async def test_a_session_is_over_when_idle_and_at_last_in_any_case(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.person("ada")
    await logged_in(browser)
    for _ in range(12):
        identity.clock.advance(days=29.9)
        assert (await browser.get("/api/v1/me")).status_code == 200, "used now and then"
    identity.clock.advance(days=10)
    assert refusal(await browser.get("/api/v1/me")) == (401, "auth.token_missing")
    browser.cookies.clear()
    await logged_in(browser)
    identity.clock.advance(days=30.1)
    assert refusal(await browser.get("/api/v1/me")) == (401, "auth.token_missing")
    assert await identity.sessions.forget_expired() == 2


async def test_what_nobody_came_back_for_is_forgotten(identity: Identity) -> None:
    """Links sent by e-mail and logins at other providers that were given up."""
    account = await identity.person("ada")
    now = identity.clock.now_ms()
    link: dict[str, Any] = {"digest": b"l" * 32, "account": account, "purpose": "verify", "email": "ada@example.org"}
    state: dict[str, Any] = {
        "state": b"s" * 32,
        "provider": "p",
        "nonce": "n",
        "verifier": "v",
        "browser": b"b",
        "return_to": "",
    }
    for life in (1_000, 2_000):
        link |= {"digest": str(life).encode(), "purpose": str(life), "expires_ms": now + life}
        state |= {"state": str(life).encode(), "expires_ms": now + life}
        await identity.db.write(partial(session_store.add_link, **link))
        await identity.db.write(partial(oidc_store.add_state, now_ms=now, **state))
    assert await identity.sessions.forget_expired() == 0
    identity.clock.advance(ms=1_000)
    assert await identity.sessions.forget_expired() == 2
    identity.clock.advance(ms=1_000)
    assert await identity.sessions.forget_expired() == 2


async def test_a_browsers_secret_is_renewed_daily_and_the_old_one_found_late_ends_the_session(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.person("ada")
    csrf = await logged_in(browser)
    old = browser.cookies["spaces_session"]
    assert "set-cookie" not in (await browser.get("/api/v1/auth/session")).headers
    identity.clock.advance(days=1.01)
    renewed = await browser.get("/api/v1/auth/session")
    new = browser.cookies["spaces_session"]
    assert new != old
    assert renewed.json()["csrf"] == csrf["x-csrf-token"], "the session is the same"
    other_tab = await browser.get("/api/v1/me", headers={"cookie": f"spaces_session={old}"})
    assert other_tab.status_code == 200, "a request that was under way"
    identity.clock.advance(seconds=61)
    thief = await browser.get("/api/v1/me", headers={"cookie": f"spaces_session={old}"})
    assert refusal(thief) == (401, "auth.token_missing")
    assert refusal(await browser.get("/api/v1/me")) == (401, "auth.token_missing"), "nobody keeps it"


async def test_changing_the_password_ends_other_sessions(browser: httpx.AsyncClient, identity: Identity) -> None:
    await identity.person("ada")
    csrf = await logged_in(browser)
    other = await browser.post("/api/v1/auth/login", json={**LOGIN, "session": "bearer"}, headers=csrf)
    wrong = {"old": "wrong horse", "new": "battery staple"}
    assert refusal(await browser.put("/api/v1/auth/password", json=wrong, headers=csrf)) == (401, "auth.credentials")
    right = {"old": "correct horse", "new": "battery staple"}
    assert (await browser.put("/api/v1/auth/password", json=right, headers=csrf)).status_code == 204
    assert (await browser.get("/api/v1/me")).status_code == 200
    theirs = await browser.get("/api/v1/me", headers={"authorization": f"Bearer {other.json()['token']}"})
    assert refusal(theirs) == (401, "auth.token_invalid")
    browser.cookies.clear()
    assert refusal(await browser.post("/api/v1/auth/login", json=LOGIN)) == (401, "auth.credentials")
    await logged_in(browser, password="battery staple")


async def test_a_password_hashed_with_old_parameters_is_hashed_again_at_login(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    from argon2 import PasswordHasher

    from spaces_ctl.store import accounts as store

    account = await identity.person("ada")
    weak = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("correct horse")
    await identity.db.write(lambda c: store.update(c, account, password=weak))
    await logged_in(browser)
    row = await identity.db.read(lambda c: store.one(c, account))
    assert row is not None
    assert "m=8,t=1" in row.password


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "https://other.spaces.test"},
        {"origin": "null"},
    ],
)
async def test_other_sites_pages_change_nothing_with_our_cookie(
    browser: httpx.AsyncClient, identity: Identity, headers: dict[str, str]
) -> None:
    await identity.person("ada")
    csrf = await logged_in(browser)
    for method, path in (("POST", "/api/v1/auth/logout"), ("DELETE", "/api/v1/auth/sessions")):
        forged = await browser.request(method, path, headers={**headers, **csrf})
        assert refusal(forged) == (403, "auth.csrf")
    assert refusal(await browser.post("/api/v1/auth/logout")) == (403, "auth.csrf"), "no token"
    assert (await browser.get("/api/v1/me")).status_code == 200


async def test_other_sites_pages_cannot_log_people_in_as_somebody_else(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await identity.person("ada")
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert refusal(await browser.post("/api/v1/auth/login", json=LOGIN, headers=foreign)) == (403, "auth.csrf")


async def test_edit_profile_and_read_others(browser: httpx.AsyncClient, identity: Identity) -> None:
    await identity.person("ada")
    bob = await identity.person("bob")
    csrf = await logged_in(browser)
    edited = await browser.patch(
        "/api/v1/me", json={"name": "Countess", "picture": "https://example.org/a.png"}, headers=csrf
    )
    assert (edited.json()["name"], edited.json()["picture"]) == ("Countess", "https://example.org/a.png")
    for change, expected in (
        ({"handle": "bob"}, (409, "account.exists")),
        ({"picture": "javascript:alert(1)"}, (422, "request.invalid")),
        ({"name": "x" * 51}, (422, "request.invalid")),
        ({"name": "a\x00b"}, (422, "request.invalid")),
    ):
        assert refusal(await browser.patch("/api/v1/me", json=change, headers=csrf)) == expected
    seen = (await browser.get(f"/api/v1/accounts/{bob}")).json()
    assert seen == (await browser.get("/api/v1/accounts/by-handle/Bob")).json()
    assert set(seen) == {"id", "handle", "name", "description", "picture", "protected", "created_at"}
    for path in ("/api/v1/accounts/999", "/api/v1/accounts/by-handle/nobody"):
        assert refusal(await browser.get(path)) == (404, "account.not_found")
    assert refusal(await browser.get("/api/v1/accounts/x")) == (422, "request.invalid")


async def test_many_accounts_are_asked_for_at_once(browser: httpx.AsyncClient, identity: Identity) -> None:
    ada, bob = await identity.person("ada"), await identity.person("bob")
    found = (await browser.get("/api/v1/accounts", params={"ids": f"{bob},999,{ada},{bob}"})).json()
    assert [one["handle"] for one in found["data"]] == ["bob", "ada"]
    for ids in ("", "x", "1,", "0", ",".join(str(1 + n) for n in range(101))):
        assert refusal(await browser.get("/api/v1/accounts", params={"ids": ids})) == (422, "request.invalid")


async def test_how_one_stands_to_somebody_says_nothing_of_their_blocks(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    from spaces_ctl import commands as cmd
    from spaces_ctl.service.ports import Principal

    bob = await identity.person("bob")
    url = f"/api/v1/accounts/{bob}/relation"
    made = (await browser.post("/api/v1/auth/register", json={"handle": "ada", "password": "correct horse"})).json()
    ada, me = Principal(account=int(made["account"]["id"])), Principal(account=bob)
    await identity.accounts.execute(ada, cmd.Follow(account=bob))
    await identity.accounts.execute(ada, cmd.MuteAccount(account=bob))
    seen = {"account": str(bob), "followers": 1, "following": True, "follows_you": False}
    assert (await browser.get(url)).json() == {**seen, "blocking": False, "muting": True}
    await identity.accounts.execute(me, cmd.Block(account=ada.account or 0))
    seen = {**seen, "followers": 0, "following": False}
    assert (await browser.get(url)).json() == {**seen, "blocking": False, "muting": True}
    await identity.accounts.execute(ada, cmd.Block(account=bob))
    assert (await browser.get(url)).json()["blocking"] is True
    browser.cookies.clear()
    assert (await browser.get(url)).json() == {**seen, "blocking": False, "muting": False}
    assert refusal(await browser.get("/api/v1/accounts/999/relation")) == (404, "account.not_found")


async def test_lists_of_people_are_paged(browser: httpx.AsyncClient, identity: Identity) -> None:
    from spaces_ctl import commands as cmd
    from spaces_ctl.service.ports import Principal

    ada = Principal(account=await identity.person("ada"))
    others = [(await identity.accounts.create(handle=f"p{n}")).id for n in range(5)]
    for other in others:
        await identity.accounts.execute(ada, cmd.Follow(account=other))
        await identity.accounts.execute(Principal(account=other), cmd.Follow(account=ada.account or 0))
        await identity.accounts.execute(ada, cmd.MuteAccount(account=other))
    await logged_in(browser)
    for path in ("following", "followers", "mutes"):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            page = (await browser.get(f"/api/v1/me/{path}", params=query)).json()
            assert len(page["data"]) <= 2
            seen += [each["id"] for each in page["data"]]
            cursor = page["next"]
        assert seen == [str(other) for other in sorted(others)]
    assert (await browser.get("/api/v1/me/blocks")).json() == {"data": [], "next": None}
