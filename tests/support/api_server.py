"""A real uvicorn on loopback, in the test's own event loop; and readers of both kinds of stream."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
import websockets

from tests.support.patience import PATIENCE_S

__all__ = ["Messages", "serving", "sse", "ws"]


@asynccontextmanager
async def serving(app: Any, *, listener: socket.socket | None = None, **config: Any) -> AsyncIterator[str]:
    """The server's base URL. `listener`: a socket of one's own, whose port was to be known before."""
    listener = listener or socket.create_server(("127.0.0.1", 0))
    options: dict[str, Any] = {
        "log_level": "error",
        "lifespan": "on",
        "timeout_graceful_shutdown": 1,
        "ws": "websockets-sansio",
    }
    server = uvicorn.Server(uvicorn.Config(app, **(options | config)))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        scheme = "https" if server.config.is_ssl else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class Messages:
    """What a stream said so far; `until` reads on."""

    def __init__(self, source: AsyncIterator[tuple[int | None, dict[str, Any]]]) -> None:
        self._source = source
        self.seen: list[dict[str, Any]] = []
        self.position: int | None = None

    async def next(self) -> dict[str, Any] | None:
        """The next message but heartbeats; None at the end."""
        async with asyncio.timeout(PATIENCE_S):
            async for position, message in self._source:
                if message["event"] == "heartbeat":
                    continue
                self.seen.append(message)
                if position is not None:
                    self.position = position
                return message
        return None

    async def until(self, event: str) -> dict[str, Any]:
        """Reads up to the first message of that name."""
        while (message := await self.next()) is not None:
            if message["event"] == event:
                return message
        raise AssertionError(f"the stream ended without {event}: {self.seen}")

    def named(self, *but: str) -> list[str]:
        """Names of what was seen."""
        return [message["event"] for message in self.seen if message["event"] not in ("hello", "counts", *but)]

    def versions(self) -> list[int]:
        """Versions of the Space's events that were seen."""
        return [message["version"] for message in self.seen if "version" in message]


@asynccontextmanager
async def sse(url: str, headers: dict[str, str], *, after: int | None = None) -> AsyncIterator[Messages]:
    """A reader of server-sent events, by the rules of the HTML standard."""
    own = headers if after is None else {**headers, "last-event-id": str(after)}
    async with (
        httpx.AsyncClient(timeout=PATIENCE_S) as client,
        client.stream("GET", url, headers=own) as response,
    ):
        if response.status_code != 200:
            await response.aread()
            raise AssertionError(response.text)
        assert response.headers["content-type"].startswith("text/event-stream")

        async def messages() -> AsyncIterator[tuple[int | None, dict[str, Any]]]:
            fields: dict[str, str] = {}
            async for line in response.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    message = json.loads(fields["data"])
                    assert message["event"] == fields["event"]
                    yield (int(fields["id"]) if "id" in fields else None), message
                    fields = {}

        yield Messages(messages())


@asynccontextmanager
async def ws(url: str, headers: dict[str, str], *, after: int | None = None) -> AsyncIterator[Messages]:
    """A reader of the WebSocket."""
    address = url.replace("http", "ws", 1) + ("" if after is None else f"?after={after}")
    async with websockets.connect(address, additional_headers=headers) as socket_:

        async def messages() -> AsyncIterator[tuple[int | None, dict[str, Any]]]:
            async for text in socket_:
                message = json.loads(text)
                data = message.get("data", {})
                position = data.get("position") if message["event"] == "hello" else None
                yield message.get("sequence", message.get("version", position)), message

        yield Messages(messages())
