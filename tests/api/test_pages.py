"""The web app's files and addresses over HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.pages import ADDRESSES, Site
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service.ports import Principal
from tests.support.api_world import HOST, ApiWorld
from tests.support.site import SCRIPT

Client = AsyncTestClient[Litestar]
ROUTES = Path(__file__).parents[2] / "web" / "src" / "routes.ts"
BROWSER = {"accept": "text/html,application/xhtml+xml"}


def test_the_server_knows_every_address_of_the_app() -> None:
    routes = re.findall(r'^ *\[?"(/[^"]*)",', ROUTES.read_text(), re.M)
    assert "/s/:space/replay" in routes
    assert sorted(routes) == sorted(ADDRESSES)


@pytest.mark.parametrize(
    "address", [a for a in ADDRESSES if a not in ("/:handle", "/s/:space", "/s/:space/clips/:clip")]
)
async def test_every_address_answers_with_the_app(client: Client, address: str) -> None:
    answer = await client.get(re.sub(r":\w+", "1", address), headers=BROWSER)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    assert '<div id="app">' in answer.text


async def test_a_handle_begins_with_an_at(client: Client) -> None:
    assert (await client.get("/@ann", headers=BROWSER)).status_code == 200
    for path in ("/ann", "/@ann/x", "/nothing.js", "/s/1/nothing"):
        answer = await client.get(path, headers=BROWSER)
        assert answer.status_code == 404
        assert '<div id="app">' in answer.text, path


async def test_programs_are_told_in_json_what_is_not_there(client: Client) -> None:
    for path in ("/nothing", "/api/v1/nothing", "/assets/nothing.js"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "resource.not_found"), path
    assert (await client.get("/api/v1/nothing", headers=BROWSER)).json()["code"] == "resource.not_found"


async def test_files_with_a_hash_are_kept_for_ever_and_others_asked_for_again(client: Client) -> None:
    script = await client.get(f"/{SCRIPT}")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["content-encoding"] == "gzip"
    assert (await client.get(f"/{SCRIPT}", headers={"accept-encoding": "identity"})).text == script.text
    worker = await client.get("/sw.js")
    assert worker.headers["cache-control"] == "no-cache"
    again = await client.get("/sw.js", headers={"if-none-match": worker.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_not_modified_does_not_replace_the_policy_of_what_is_kept(client: Client) -> None:
    # A worker that was asked for again had the policy of data, and could open no connection from then on.
    worker = await client.get("/sw.js")
    assert "connect-src" in worker.headers["content-security-policy"]
    again = await client.get("/sw.js", headers={"if-none-match": worker.headers["etag"]})
    assert again.status_code == 304
    assert "content-security-policy" not in again.headers


@pytest.mark.parametrize(
    "path", ["/..%2fapi.db", "/%2e%2e/api.db", "/assets/..%2f..%2fapi.db", "/index.html", "//etc/passwd"]
)
async def test_nothing_outside_the_site_is_handed_out(client: Client, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_the_policy_lets_our_own_scripts_and_the_engine_in_and_nobody_else(tmp_path: Path) -> None:
    world = await ApiWorld.open(tmp_path, settings=ApiSettings(media_urls=("https://media.example:4433/x",)))
    try:
        async with AsyncTestClient(world.app) as client:
            policy = (await client.get("/")).headers["content-security-policy"]
    finally:
        await world.aclose()
    said = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert said["script-src"] == ["'self'", "'wasm-unsafe-eval'"]
    assert said["connect-src"] == ["'self'", "https://media.example:4433", "wss://media.example:4433"]
    assert said["worker-src"] == said["style-src"] == said["manifest-src"] == ["'self'"]
    assert said["default-src"] == said["frame-ancestors"] == ["'none'"]


async def test_a_space_that_nobody_may_know_is_a_page_with_404(client: Client, world: ApiWorld) -> None:
    lobby = await world.spaces.create(Principal(account=HOST).actor(), c.Create(title="Secret"))
    for space in (wire.space_text(lobby.space.id), "1", "no-id"):
        answer = await client.get(f"/s/{space}", headers=BROWSER)
        assert answer.status_code == 404
        assert '<div id="app">' in answer.text
        assert "Secret" not in answer.text


async def test_the_page_of_a_space_stays_when_the_database_is_away(client: Client, world: ApiWorld) -> None:
    world.db.down = True
    answer = await client.get("/s/1", headers=BROWSER)
    assert answer.status_code == 503
    assert '<div id="app">' in answer.text


async def test_a_server_whose_app_is_not_built_says_what_to_do(tmp_path: Path) -> None:
    world = await ApiWorld.open(tmp_path, site=Site(tmp_path / "nowhere"))
    try:
        async with AsyncTestClient(world.app) as client:
            answer = await client.get("/")
            space = await world.live(title="Jazz")
            shared = await client.get(f"/s/{wire.space_text(space)}")
    finally:
        await world.aclose()
    assert answer.status_code == 503
    assert "make web" in answer.text
    assert 'property="og:title" content="Jazz"' in shared.text
