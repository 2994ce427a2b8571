"""Pages load nothing from elsewhere; health, metrics, time limits, cursors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.testing import AsyncTestClient

from spaces_ctl.api.paging import Cursors
from spaces_ctl.service.errors import ServiceError
from tests.support.api_world import HOST, SETTINGS, ApiWorld, bearer, path
from tests.support.patience import PATIENCE_S

Client = AsyncTestClient[Litestar]


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
    await world.opened.aclose()
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


async def test_an_answer_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = msgspec.structs.replace(SETTINGS, request_timeout_s=0.05)
    world = await ApiWorld.open(tmp_path, settings=settings)

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(world.reading, "look", never)
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
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
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
