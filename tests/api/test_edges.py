"""What every request meets before its handler: forms of refusal, limits, idempotency, CSRF, CORS, headers."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.testing import AsyncTestClient

from spaces_ctl.api.body import errors_of
from spaces_ctl.api.limits import Caller, RateLimiter
from spaces_ctl.api.paging import Cursors
from spaces_ctl.api.security import CsrfTokens
from spaces_ctl.api.settings import ApiSettings, Rate
from spaces_ctl.clock import ManualClock
from spaces_ctl.policy.codes import CODES
from spaces_ctl.service.errors import ServiceError
from tests.support.api_world import ANN, HOST, SETTINGS, ApiWorld, bearer, path

Client = AsyncTestClient[Litestar]


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    a: int


class Outer(msgspec.Struct):
    inner: list[Inner]
    other: Inner | None = None


# Problems


async def test_every_error_of_a_body_is_listed(client: Client) -> None:
    body = {"title": 3, "topics": ["a", 4], "x/y": 1, "ticketing": {"currency": "e", "quantity": 1}}
    answer = await client.post("/api/v1/spaces", json=body, headers=bearer(HOST))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["type"]) == (
        422,
        "request.invalid",
        "/problems/request.invalid",
    )
    assert {(error["where"], error["pointer"]) for error in problem["errors"]} == {
        ("body", "/title"),
        ("body", "/topics/1"),
        ("body", "/x~1y"),
        ("body", "/ticketing/price_minor"),
        ("body", "/ticketing/currency"),
    }


async def test_every_wrong_parameter_is_listed(client: Client) -> None:
    answer = await client.get("/api/v1/spaces/a-b/people?limit=0&q=")
    assert {(error["where"], error["pointer"]) for error in answer.json()["errors"]} == {
        ("path", "/space"),
        ("query", "/limit"),
        ("query", "/q"),
    }


@pytest.mark.parametrize(
    ("method", "where", "options", "code"),
    [
        ("GET", "/api/v1/nothing", {}, "resource.not_found"),
        ("GET", "/api/v1/spaces", {}, "method.not_allowed"),
        ("POST", "/api/v1/spaces", {"content": b"{", "type": "application/json"}, "request.malformed"),
        ("POST", "/api/v1/spaces", {"content": b"\xff", "type": "application/json"}, "request.malformed"),
        ("POST", "/api/v1/spaces", {"content": b"[" * 9999, "type": "application/json"}, "request.malformed"),
        ("POST", "/api/v1/spaces", {"content": b"title=1", "type": "text/plain"}, "request.media_type"),
        ("POST", "/api/v1/spaces", {"content": b" " * 300_000, "type": "application/json"}, "request.too_large"),
        ("PUT", path(1, "/settings/speak"), {}, "request.invalid"),
    ],
)
async def test_the_frameworks_refusals_are_ours(
    client: Client, method: str, where: str, options: dict[str, Any], code: str
) -> None:
    headers = bearer(HOST) | ({"content-type": options["type"]} if options else {})
    answer = await client.request(method, where, content=options.get("content"), headers=headers)
    assert (answer.json()["code"], answer.status_code) == (code, CODES[code].http)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_method_not_allowed_names_those_that_are(client: Client) -> None:
    answer = await client.put("/api/v1/spaces", headers=bearer(HOST))
    assert {"POST"} <= set(answer.headers["allow"].split(", "))


async def test_what_nobody_foresaw_has_an_id_that_is_in_the_log(
    world: ApiWorld, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(world.reading, "look", fails)
    with caplog.at_level(logging.ERROR, logger="spaces.api"):
        answer = await client.get(path(1) + "?secret=hidden", headers=bearer(HOST))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (500, "internal")
    assert "boom" not in answer.text
    assert problem["id"] in caplog.text
    assert "boom" in caplog.text
    assert "hidden" not in caplog.records[0].getMessage()
    assert "test/1" not in caplog.text


async def test_every_code_has_its_page(client: Client) -> None:
    index = await client.get("/problems")
    for code in CODES:
        page = await client.get(f"/problems/{code}")
        assert (page.status_code, f'href="/problems/{code}"' in index.text) == (200, True)
    assert (await client.get("/problems/no.such")).status_code == 404


def test_errors_in_nested_values_have_pointers() -> None:
    tree = {"inner": [{"a": 1}, {"a": "x"}, {}], "other": {"a": None, "b": 2}}
    assert [error.pointer for error in errors_of(tree, Outer)] == ["/inner/1/a", "/inner/2/a", "/other/a", "/other/b"]


# Rate limits


def test_a_bucket_empties_and_fills() -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock, {"read": Rate(2, 60)})
    someone = [Caller("account:1")]
    assert [limiter.take("read", someone).allowed for _ in range(3)] == [True, True, False]
    refused = limiter.take("read", someone)
    assert (refused.quota, refused.window_s, refused.remaining, refused.reset_s) == (2, 2, 0, 1)
    assert limiter.take("read", [Caller("account:2")]).allowed
    clock.advance(ms=999)
    assert not limiter.take("read", someone).allowed
    clock.advance(ms=1)
    assert limiter.take("read", someone).allowed


def test_a_refusal_takes_from_no_bucket() -> None:
    limiter = RateLimiter(ManualClock(), {"read": Rate(1, 60)})
    address, account = Caller("ip:a", 3), Caller("account:1")
    assert limiter.take("read", [address, account]).allowed
    for _ in range(5):
        assert not limiter.take("read", [address, account]).allowed
    assert limiter.take("read", [address, Caller("account:2")]).allowed
    assert limiter.take("read", [address, Caller("account:3")]).allowed
    assert not limiter.take("read", [address, Caller("account:4")]).allowed


def test_the_buckets_memory_is_bounded() -> None:
    limiter = RateLimiter(ManualClock(), {"read": Rate(1, 60)}, most=10)
    for account in range(1000):
        limiter.take("read", [Caller(f"account:{account}")])
    assert len(limiter) == 10


async def test_limits_are_told_in_headers(tmp_path: Path) -> None:
    settings = ApiSettings(rates={**ApiSettings().rates, "read": Rate(2, 60), "report": Rate(1, 60)})
    world = await ApiWorld.open(tmp_path, settings=settings)
    async with AsyncTestClient(world.app) as client:
        first = await client.get("/api/v1/me", headers=bearer(ANN))
        assert (first.headers["ratelimit-policy"], first.headers["ratelimit"]) == ('"read";q=2;w=2', '"read";r=1;t=1')
        await client.get("/api/v1/me", headers=bearer(ANN))
        refused = await client.get("/api/v1/me", headers=bearer(ANN))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
        assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("1", '"read";r=0;t=1')
        assert (await client.get("/api/v1/me", headers=bearer(HOST))).status_code == 200
        assert (await client.put(f"/api/v1/me/following/{HOST}", headers=bearer(ANN))).status_code == 204
        world.clock.advance(seconds=1)
        assert (await client.get("/api/v1/me", headers=bearer(ANN))).status_code == 200
    await world.aclose()


async def test_guessing_tokens_is_limited_by_address(tmp_path: Path) -> None:
    world = await ApiWorld.open(
        tmp_path, settings=ApiSettings(rates={**ApiSettings().rates, "read": Rate(1, 1)}, address_factor=3)
    )
    async with AsyncTestClient(world.app) as client:
        answers = [await client.get("/api/v1/me", headers={"authorization": f"Bearer no{n}"}) for n in range(4)]
        assert [answer.json()["code"] for answer in answers] == ["auth.token_invalid"] * 3 + ["rate.limited"]
    await world.aclose()


async def test_streams_a_caller_are_limited(world: ApiWorld) -> None:
    feeds: Any = world.app.dependencies["feeds"].dependency()  # type: ignore[union-attr,operator]
    async with feeds.admitted("a"):
        for _ in range(world.settings.streams_per_caller - 1):
            await feeds.admitted("a").__aenter__()
        with pytest.raises(ServiceError, match=r"rate\.limited"):
            await feeds.admitted("a").__aenter__()
        async with feeds.admitted("b"):
            pass


# Idempotency


def keyed(who: int, key: str) -> dict[str, str]:
    return bearer(who) | {"idempotency-key": key}


async def test_the_same_request_twice_is_carried_out_once(world: ApiWorld, client: Client) -> None:
    first = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "k1"))
    again = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "k1"))
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "?1"
    assert again.headers["location"] == first.headers["location"]
    other = await client.post("/api/v1/spaces", json={"title": "B"}, headers=keyed(HOST, "k1"))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")
    elses = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(ANN, "k1"))
    assert elses.json()["id"] != first.json()["id"]
    world.clock.advance(days=2)
    late = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "k1"))
    assert late.json()["id"] != first.json()["id"]


async def test_duplicates_at_once_wait_for_the_first(world: ApiWorld, client: Client) -> None:
    answers = await asyncio.gather(
        *(client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "same")) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


async def test_duplicates_in_two_processes_wait_too(world: ApiWorld) -> None:
    from spaces_ctl.service.idempotency import IdempotencyKeys

    other = IdempotencyKeys(db=world.db, clock=world.clock)
    owner, print_ = b"o" * 32, b"f" * 32
    begun = asyncio.Event()

    async def first() -> None:
        async with world.keys.once(owner, "k", print_) as once:
            begun.set()
            await asyncio.sleep(0.1)
            assert once.answer is None
            once.finish(b"done")

    async def second() -> bytes | None:
        await begun.wait()
        async with other.once(owner, "k", print_) as once:
            return once.answer

    _, answer = await asyncio.gather(first(), second())
    assert answer == b"done"


async def test_a_holder_that_died_is_succeeded_when_its_time_is_up(world: ApiWorld) -> None:
    from spaces_ctl.store import idempotency as store

    now = world.clock.now_ms()
    owner, print_ = b"o" * 32, b"f" * 32
    await world.db.write(lambda c: store.hold(c, owner, "k", print_, b"dead" * 4, now, now + 60_000, now + 10**9))
    world.clock.advance(seconds=61)
    async with world.keys.once(owner, "k", print_) as once:
        assert once.answer is None


async def test_a_refusal_is_kept_and_not_now_is_not(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    refused = await client.post(path(space, "/end"), headers=keyed(ANN, "k"))
    again = await client.post(path(space, "/end"), headers=keyed(ANN, "k"))
    assert (refused.status_code, again.headers.get("idempotency-replayed")) == (403, "?1")
    working, world.spaces.execute = world.spaces.execute, failing  # type: ignore[method-assign]
    down = await client.post(path(space, "/end"), headers=keyed(HOST, "k"))
    world.spaces.execute = working  # type: ignore[method-assign]
    up = await client.post(path(space, "/end"), headers=keyed(HOST, "k"))
    assert (down.status_code, up.status_code) == (503, 200)


async def failing(*_: Any) -> Any:
    raise ServiceError("store.unavailable")


async def test_keys_of_secrets_are_not_kept(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    for _ in range(2):
        joined = await client.post(path(space, "/join"), headers=keyed(ANN, "k"))
        assert "idempotency-replayed" not in joined.headers


async def test_expired_keys_are_deleted(world: ApiWorld, client: Client) -> None:
    await client.post("/api/v1/spaces", json={}, headers=keyed(HOST, "k"))
    assert await world.keys.forget_expired() == 0
    world.clock.advance(days=2)
    assert await world.keys.forget_expired() == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 300])
async def test_a_key_has_a_form(client: Client, key: str) -> None:
    answer = await client.post("/api/v1/spaces", json={}, headers=keyed(HOST, key))
    assert answer.json()["errors"][0]["pointer"] == "/idempotency-key"


# CSRF and CORS

OWN = SETTINGS.origin
FOREIGN = "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "cookie", "token", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, True, True, 204),
        ({"sec-fetch-site": "same-origin", "origin": OWN}, True, True, 204),
        ({"origin": OWN}, True, True, 204),
        ({"sec-fetch-site": "same-origin"}, True, False, 403),
        ({"origin": OWN}, True, False, 403),
        ({}, True, True, 403),
        ({"sec-fetch-site": "cross-site"}, True, True, 403),
        ({"sec-fetch-site": "same-site"}, True, True, 403),
        ({"sec-fetch-site": "none"}, True, True, 403),
        ({"origin": FOREIGN}, True, True, 403),
        ({"origin": "null"}, True, True, 403),
        ({"sec-fetch-site": "same-origin", "origin": FOREIGN}, True, True, 403),
        # A bearer token is sent by who knows it: no page can make a browser do so.
        ({"origin": FOREIGN} | bearer(ANN), False, False, 204),
        # Without credentials nothing is protected but the login, which another page must not do for somebody.
        ({"origin": FOREIGN}, False, False, 403),
        ({"sec-fetch-site": "cross-site"}, False, False, 403),
        ({"sec-fetch-site": "same-origin"}, False, False, 401),
    ],
)
async def test_csrf(client: Client, headers: dict[str, str], cookie: bool, token: bool, status: int) -> None:
    sent = dict(headers)
    if cookie:
        sent["cookie"] = f"spaces_session={ANN}"
    if token:
        got = await client.get("/api/v1/me/csrf", headers={"cookie": f"spaces_session={ANN}"})
        sent["x-csrf-token"] = got.json()["token"]
    answer = await client.put(f"/api/v1/me/following/{HOST}", headers=sent)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["code"] == "auth.csrf"


async def test_another_sessions_csrf_token_is_none(client: Client) -> None:
    got = await client.get("/api/v1/me/csrf", headers={"cookie": f"spaces_session={HOST}"})
    headers = {
        "cookie": f"spaces_session={ANN}",
        "sec-fetch-site": "same-origin",
        "x-csrf-token": got.json()["token"],
    }
    assert (await client.put(f"/api/v1/me/following/{HOST}", headers=headers)).json()["code"] == "auth.csrf"


async def test_reading_needs_no_csrf_token_and_a_void_cookie_is_a_guests(client: Client) -> None:
    assert (await client.get("/api/v1/me", headers={"cookie": f"spaces_session={ANN}"})).status_code == 200
    void = {"cookie": "spaces_session=void", "sec-fetch-site": "same-origin"}
    assert (await client.get("/api/v1/me", headers=void)).json()["code"] == "auth.token_missing"
    assert (await client.post("/api/v1/spaces", headers=void)).json()["code"] == "auth.session_revoked"


def test_csrf_tokens_are_of_a_key() -> None:
    one, other = CsrfTokens(b"a" * 32), CsrfTokens(b"b" * 32)
    one.check("s", one.make("s"))
    for token in (other.make("s"), one.make("t"), "", "é", None):
        with pytest.raises(ServiceError, match=r"auth\.csrf"):
            one.check("s", token)
    with pytest.raises(ValueError, match="16 bytes"):
        CsrfTokens(b"short")


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://app.example", True), (FOREIGN, False), ("https://app.example.evil", False)]
)
async def test_cors(tmp_path: Path, origin: str, allowed: bool) -> None:
    settings = msgspec.structs.replace(SETTINGS, cors_origins=("https://app.example",))
    world = await ApiWorld.open(tmp_path, settings=settings)
    async with AsyncTestClient(world.app) as client:
        asked = {"origin": origin, "access-control-request-method": "PUT"}
        asked["access-control-request-headers"] = "authorization,content-type"
        preflight = await client.options("/api/v1/me/following/1", headers=asked)
        answer = await client.get("/api/v1/me", headers=bearer(ANN) | {"origin": origin})
        for one in (preflight, answer):
            assert one.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert "access-control-allow-credentials" not in one.headers
        if allowed:
            assert "PUT" in preflight.headers["access-control-allow-methods"]
            assert "ratelimit" in answer.headers["access-control-expose-headers"]
    await world.aclose()


async def test_security_headers(tmp_path: Path) -> None:
    settings = ApiSettings(public_url="https://spaces.example", media_urls=("https://media.example:4433",))
    world = await ApiWorld.open(tmp_path, settings=settings)
    async with AsyncTestClient(world.app) as client:
        page, data, lost = [await client.get(at) for at in ("/", "/api/v1/openapi.json", "/api/v1/nothing")]
    await world.aclose()
    csp = page.headers["content-security-policy"]
    assert "script-src 'self';" in csp
    assert "connect-src 'self' https://media.example:4433;" in csp
    assert "unsafe" not in csp
    assert data.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    for answer in (page, data, lost):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_scopes_bound_what_an_app_may_do(client: Client) -> None:
    app = bearer(ANN, scopes="space.read", app="app")
    refused = await client.post("/api/v1/spaces", json={}, headers=app)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.scope")


# Pages, health


async def test_nothing_is_loaded_from_elsewhere(client: Client) -> None:
    for at in ("/reference/", "/reference/reference.js", "/reference/style.css", "/", "/problems"):
        answer = await client.get(at)
        assert answer.status_code == 200, at
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
        assert "https://" not in answer.text
        assert "<script>" not in answer.text
        assert "style=" not in answer.text


async def test_health(world: ApiWorld, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"database": "ok"}
    await world.db.aclose()
    broken = await client.get("/readyz")
    assert (broken.status_code, broken.json()) == (503, {"database": "failing"})


async def test_metrics_are_for_the_operators_networks(tmp_path: Path) -> None:
    for networks, status in ((("127.0.0.0/8",), 200), (("10.0.0.0/8",), 403)):
        (tmp_path / str(status)).mkdir()
        world = await ApiWorld.open(
            tmp_path / str(status), settings=msgspec.structs.replace(SETTINGS, metrics_from=networks)
        )
        from tests.support.api_server import serving

        async with serving(world.app) as url:
            import httpx

            async with httpx.AsyncClient() as client:
                await client.get(f"{url}/api/v1/spaces/abc")
                answer = await client.get(f"{url}/metrics")
        assert answer.status_code == status
        if status == 200:
            assert 'path="/api/v1/spaces/{space}"' in answer.text
            assert "spaces_event_streams 0.0" in answer.text
        await world.aclose()


# Time


async def test_an_answer_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(SETTINGS, request_timeout_s=0.05)
    world = await ApiWorld.open(tmp_path, settings=settings)

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    world.reading.look = never  # type: ignore[method-assign,assignment]
    async with AsyncTestClient(world.app) as client:
        answer = await client.get(path(1))
    assert (answer.status_code, answer.json()["code"]) == (504, "node.timeout")
    await world.aclose()


async def test_a_body_that_does_not_arrive_is_refused(tmp_path: Path) -> None:
    from tests.support.api_server import serving

    world = await ApiWorld.open(tmp_path, settings=msgspec.structs.replace(SETTINGS, body_timeout_s=0.05))
    async with serving(world.app) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        authorization = bearer(HOST)["authorization"]
        writer.write(
            f"POST /api/v1/spaces HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n"
            "content-type: application/json\r\ncontent-length: 10\r\n\r\n{".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b" 408 " in head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert json.loads(await reader.readexactly(length))["code"] == "request.timeout"
        writer.close()
    await world.aclose()


def test_cursors_belong_to_one_list() -> None:
    cursors = Cursors(b"k" * 32)
    cursor = cursors.make("a", [1, 2])
    assert cursors.read("a", cursor, list[int]) == [1, 2]
    for name, text in (("b", cursor), ("a", cursor[:-2]), ("a", "!!!"), ("a", "é"), ("a", "")):
        with pytest.raises(ServiceError, match=r"request\.cursor"):
            cursors.read(name, text, list[int])


async def test_routers_of_others_are_mounted(tmp_path: Path) -> None:
    @get("/extra", sync_to_thread=False)
    def extra() -> dict[str, int]:
        return {"a": 1}

    @post("/oauth2/extra", sync_to_thread=False)
    def root() -> dict[str, int]:
        return {"b": 2}

    world = await ApiWorld.open(tmp_path, routers=[extra], root_routers=[root])
    async with AsyncTestClient(world.app) as client:
        assert (await client.get("/api/v1/extra")).json() == {"a": 1}
        assert (await client.post("/oauth2/extra")).json() == {"b": 2}
    await world.aclose()
