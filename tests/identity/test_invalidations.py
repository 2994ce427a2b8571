"""A deployment's own graph tells us over HTTP whose accounts have changed."""

from __future__ import annotations

import socket

import httpx
import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.service.graph_http import HttpGraph, Invalidations
from spaces_ctl.service.graph_wire import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from spaces_ctl.store.database import Database
from tests.support.identity import Identity, serving

KEY = b"both ends know it"
PATH = "/api/v1/graph/invalidations"


@pytest.fixture
def db(sqlite_db: Database) -> Database:
    return sqlite_db


async def test_only_signed_words_of_the_graph_are_believed(
    identity: Identity, db: Database, clock: ManualClock
) -> None:
    asked = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(200, json={"profiles": [{"id": "7", "handle": "ada", "name": "Ada"}]})

    graph = HttpGraph(url="http://graph.test", key=KEY, db=db, clock=clock, transport=httpx.MockTransport(answer))
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = identity.app(invalidations=Invalidations(graph, KEY))
    async with serving(app, listener), httpx.AsyncClient(base_url=base) as http:

        async def tell(body: bytes, key: bytes = KEY) -> int:
            now = clock.now_ms() // 1000
            headers = {TIMESTAMP_HEADER: str(now), SIGNATURE_HEADER: sign(key, now, "POST", PATH, body)}
            return (await http.post(PATH, content=body, headers=headers)).status_code

        for _ in range(2):
            await graph.profiles([7])
        assert asked == 1
        assert await tell(b'{"accounts": ["7"]}', b"another key") == 401
        assert (await http.post(PATH, content=b'{"accounts": ["7"]}')).status_code == 401
        assert await tell(b'{"accounts": "all"}') == 422
        await graph.profiles([7])
        assert asked == 1
        assert await tell(b'{"accounts": ["7"]}') == 204
        await graph.profiles([7])
        assert asked == 2
    await graph.aclose()


async def test_without_such_a_graph_there_is_no_such_endpoint(browser: httpx.AsyncClient) -> None:
    assert (await browser.post(PATH, content=b"{}")).status_code == 404
