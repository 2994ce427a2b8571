"""The event stream: in order, each event once, over broken connections."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve

from spaces_ctl import client as api


def event(number: int, name: str = "muted") -> str:
    message = {"event": name, "version": number, "at": "2026-01-01T00:00:00.000Z", "data": {"n": number}}
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(message)}\n\n"


COUNTS = 'event: counts\ndata: {"event": "counts", "data": {}}\n\n'
"""A message that is not in the log does not move the position."""


async def take(events: AsyncIterator[api.StreamEvent], count: int, taken: list[int] | None = None) -> list[int]:
    taken = [] if taken is None else taken
    async for one in events:
        taken.append(one.data["n"])
        if len(taken) == count:
            break
    return taken


async def test_events_come_in_order_in_whatever_pieces(script: Any, sse: Any) -> None:
    text = ": hello\n\n" + event(1) + event(2, "ended")
    script.answers = [sse(*text), httpx.Response(204)]
    async with script.client() as client:
        events = [one async for one in client.space("abc").events()]
    assert [(one.position, one.event, one.data) for one in events] == [(1, "muted", {"n": 1}), (2, "ended", {"n": 2})]
    first, second = script.asked
    assert first.url.path == "/api/v1/spaces/abc/events"
    assert first.headers["Authorization"] == "Bearer t"
    assert "Last-Event-ID" not in first.headers
    assert second.headers["Last-Event-ID"] == "2"


async def test_it_goes_on_where_it_broke(script: Any, sse: Any) -> None:
    script.answers = [
        sse(event(1), COUNTS, event(2), 'id: 3\nevent: muted\ndata: {"n"', broken=True),
        httpx.ConnectError("gone"),
        httpx.ConnectError("gone"),
        sse(event(3)),
        httpx.Response(204),
    ]
    async with script.client() as client:
        names = [one.data.get("n", one.event) async for one in client.space("abc").events(after=0)]
    assert names == [1, "counts", 2, 3]
    assert [request.headers["Last-Event-ID"] for request in script.asked] == ["0", "2", "2", "2", "3"]
    assert script.waited == [0.5, 1.0, 2.0, 0.5], "after a success the waits begin anew"


async def test_a_busy_server_is_asked_later(script: Any, sse: Any) -> None:
    busy = httpx.Response(429, json={"code": "rate.limited"}, headers={"Retry-After": "40"})
    away = httpx.Response(503, json={"code": "store.unavailable"})
    script.answers = [busy, away, sse(event(1)), httpx.Response(204)]
    async with script.client() as client:
        assert [one.data["n"] async for one in client.space("abc").events()] == [1]
    assert 40.0 <= script.waited[0] <= 41.0


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(401, "auth.token_expired", api.Unauthorized), (404, "space.not_found", api.NotFound)]
)
async def test_who_may_not_is_told(script: Any, sse: Any, status: int, code: str, kind: type[api.Refused]) -> None:
    script.answers = [sse(event(1)), httpx.Response(status, json={"code": code})]
    taken: list[int] = []
    async with script.client() as client:
        with pytest.raises(kind):
            await take(client.space("abc").events(), 2, taken)
    assert taken == [1]


async def test_something_that_is_no_stream(script: Any) -> None:
    script.answers = [httpx.Response(200, text="<html>")]
    async with script.client() as client:
        with pytest.raises(api.UnexpectedAnswer, match="not an event stream"):
            await take(client.space("abc").events(), 1)


async def test_leaving_early_closes_the_connection(script: Any, sse: Any) -> None:
    response = sse(event(1), event(2))
    script.answers = [response]
    async with script.client() as client:
        async with aclosing(client.space("abc").events()) as events:
            assert await take(events, 1) == [1]
        assert response.is_closed


async def test_hello_tells_where_to_go_on_and_heartbeats_nothing(script: Any, sse: Any) -> None:
    hello = 'id: 7\nevent: hello\ndata: {"event": "hello", "data": {"position": 7}}\n\n'
    beat = 'event: heartbeat\ndata: {"event": "heartbeat", "data": {}}\n\n'
    script.answers = [sse(hello, beat), sse(event(8)), httpx.Response(204)]
    async with script.client() as client:
        assert [one.data["n"] async for one in client.space("abc").events()] == [8]
    assert script.asked[1].headers["Last-Event-ID"] == "7"


def closed(code: str) -> str:
    return f'event: closed\ndata: {{"event": "closed", "data": {{"code": "{code}", "detail": "d"}}}}\n\n'


async def test_a_reader_that_was_too_slow_comes_back(script: Any, sse: Any) -> None:
    script.answers = [sse(event(1), closed("stream.slow")), sse(event(2)), httpx.Response(204)]
    async with script.client() as client:
        assert [one.data["n"] async for one in client.space("abc").events()] == [1, 2]
    assert script.asked[1].headers["Last-Event-ID"] == "1"


async def test_a_session_that_was_ended_is_told(script: Any, sse: Any) -> None:
    script.answers = [sse(event(1), closed("auth.session_revoked"))]
    async with script.client() as client:
        with pytest.raises(api.Unauthorized, match=r"auth\.session_revoked: d"):
            await take(client.space("abc").events(), 2)


async def test_over_a_websocket() -> None:
    asked: list[tuple[str, str | None]] = []

    async def handler(socket: ServerConnection) -> None:
        assert socket.request is not None
        asked.append((socket.request.path, socket.request.headers.get("Authorization")))
        first = 2 * len(asked) - 1
        for number in (first, first + 1):
            await socket.send(json.dumps({"event": "muted", "version": number, "data": {"n": number}}))
        match len(asked):
            case 1:
                socket.transport.abort()
            case 2:
                await socket.close(4503, "stream.slow")
            case _:
                await socket.close(4404, "space.not_found")

    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    taken: list[int] = []
    async with serve(handler, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        retries = api.Retries(sleep=sleep, chance=lambda: 1.0)
        async with api.SpacesClient(f"http://127.0.0.1:{port}", token="t", retries=retries) as client:
            with pytest.raises(api.NotFound, match=r"space\.not_found"):
                await take(client.space("abc").events(over="websocket"), 99, taken)
    assert taken == [1, 2, 3, 4, 5, 6]
    assert asked == [
        ("/api/v1/spaces/abc/ws", "Bearer t"),
        ("/api/v1/spaces/abc/ws?after=2", "Bearer t"),
        ("/api/v1/spaces/abc/ws?after=4", "Bearer t"),
    ]
    assert waits == [0.5, 0.5]
