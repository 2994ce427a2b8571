"""A push service on loopback, as Firefox knows them: https for servers (RFC 8030), a WebSocket for the browser
(autopush, https://mozilla-push-service.readthedocs.io/en/latest/design/#simplepush-protocol).
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets import ConnectionClosed
from websockets.asyncio.server import ServerConnection, serve

from tests.support.certificates import write_certificate

__all__ = ["PushService", "push_service"]


class PushService:
    """One browser's."""

    def __init__(self, certificate: Path) -> None:
        self.certificate = certificate
        """Of its https side."""
        self.browser_url = ""
        """Where the browser connects (`dom.push.serverURL`)."""
        self.endpoint = ""
        """Where servers send to."""
        self.headers: list[dict[str, str]] = []
        """Of what was sent."""
        self._browser: ServerConnection | None = None
        self._channel = ""

    async def talk(self, browser: ServerConnection) -> None:
        """With the browser, as long as it is there."""
        self._browser = browser
        with suppress(ConnectionClosed):  # a browser that ends says no goodbye
            await self._answer(browser)

    async def _answer(self, browser: ServerConnection) -> None:
        async for text in browser:
            asked = json.loads(text)
            kind = asked.get("messageType")
            answer: dict[str, Any] = {"messageType": kind, "status": 200}
            if kind == "hello":
                answer |= {"uaid": uuid.uuid4().hex, "use_webpush": True}
            elif kind == "register":
                self._channel = asked["channelID"]
                answer |= {"channelID": self._channel, "pushEndpoint": self.endpoint}
            else:
                continue
            await browser.send(json.dumps(answer))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A server's message: handed on as it is, since only the browser can read it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.headers.append(headers)
        assert self._browser is not None
        notification = {
            "messageType": "notification",
            "channelID": self._channel,
            "version": uuid.uuid4().hex,
            "data": base64.urlsafe_b64encode(body).rstrip(b"=").decode(),
            "headers": {"encoding": headers["content-encoding"]},
        }
        await self._browser.send(json.dumps(notification))
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def push_service(directory: Path) -> AsyncIterator[PushService]:
    """Until the block ends."""
    certificate, key = write_certificate(directory, "push")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    service = PushService(certificate)
    async with (
        serve(service.talk, "127.0.0.1", 0) as browsers,
        await asyncio.start_server(service.take, "127.0.0.1", 0, ssl=context) as servers,
    ):
        service.browser_url = f"ws://127.0.0.1:{next(iter(browsers.sockets)).getsockname()[1]}/"
        service.endpoint = f"https://127.0.0.1:{servers.sockets[0].getsockname()[1]}/push/one"
        yield service
