"""A real HTTP receiver on the loopback that verifies as a customer would: with the library's own verifier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from standardwebhooks import Webhook, WebhookVerificationError

__all__ = ["Received", "Receiver", "receiving"]


class Received(msgspec.Struct):
    """One request."""

    path: str
    id: str
    body: dict[str, Any]
    verified: bool
    host: str


class Receiver:
    """Answers POST requests; `answer` decides with which status, and may hold or drop the connection."""

    def __init__(self) -> None:
        self.port = 0
        self.secret: str | None = None
        self.got: list[Received] = []
        self.answer: Callable[[Received], Any] = lambda _: 200
        self.headers = ""
        self.open_now = 0
        self.open_most = 0
        self.arrived = asyncio.Event()
        self.never = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            received = Received(
                path=first.split(" ")[1],
                id=headers.get("webhook-id", ""),
                body=msgspec.json.decode(body),
                verified=self._verify(body, headers),
                host=headers.get("host", ""),
            )
            self.got.append(received)
            self.arrived.set()
            status = self.answer(received)
            if asyncio.iscoroutine(status):
                status = await status
            if status is not None:
                writer.write(f"HTTP/1.1 {status} X\r\n{self.headers}content-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            writer.close()

    def _verify(self, body: bytes, headers: dict[str, str]) -> bool:
        if self.secret is None:
            return False
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    handlers: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(receiver.serve(reader, writer))
        handlers.add(task)
        task.add_done_callback(handlers.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()
