"""Other people's pages are kept out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl.api.security import CsrfTokens
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service.errors import ServiceError
from tests.support.api_world import ANN, HOST, SETTINGS, ApiWorld, bearer

Client = AsyncTestClient[Litestar]


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
    assert "script-src 'self' 'wasm-unsafe-eval';" in csp
    assert "connect-src 'self' https://media.example:4433 wss://media.example:4433;" in csp
    assert csp.count("unsafe") == 1
    assert data.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    for answer in (page, data, lost):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_scopes_bound_what_an_app_may_do(client: Client) -> None:
    app = bearer(ANN, scopes="space.read", app="app")
    refused = await client.post("/api/v1/spaces", json={}, headers=app)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.scope")
