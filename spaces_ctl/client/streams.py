"""Events as they happen, over SSE or a WebSocket: after a lost connection the stream goes on where it stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any, Literal

import httpx
import httpx_sse
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from spaces_ctl.client.backoff import Backoff
from spaces_ctl.client.errors import RateLimited, SpacesError, Unavailable, UnexpectedAnswer, refusal, refusal_by_code
from spaces_ctl.client.transport import Transport, retry_after

__all__ = ["Over", "StreamEvent", "stream"]

Over = Literal["sse", "websocket"]
_SILENCE_S = 60.0
"""The server says something every 15 s; a connection that is silent for longer than this is dead."""
_LARGEST = 1 << 20


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    event: str
    """Its name: `muted`, `speaker_added`, …; `counts` once a second while it changes."""
    data: dict[str, Any] = {}
    """What happened, as the API has it: ids and times are strings."""
    version: int | None = None
    """Of the Space, without gaps for what one may see. None: not part of its log."""
    at: datetime | None = None
    space: str | None = None
    """In an account's stream: which Space it is about."""
    sequence: int | None = None
    """In an account's stream: ascending over all Spaces."""

    @property
    def position(self) -> int | None:
        """Give it as `after` to go on from here."""
        return self.version if self.sequence is None else self.sequence


async def stream(
    transport: Transport, path: str, *, after: int | None = None, over: Over = "sse", captions: bool = False
) -> AsyncGenerator[StreamEvent]:
    """Events after the position `after` (None: from now on), for good.

    `path` without its last part, which differs by transport. Reconnects by itself; each event comes once, in order.
    `captions` (which are not events: nobody catches up with them) come as the event `caption`.
    Raises Refused if the server lets nobody in for good, or has forgotten what came after `after` (Gone).
    """
    backoff = Backoff(chance=transport.retries.chance)
    position = after
    while True:
        at_least_s: float | None = None
        source = (_sse if over == "sse" else _websocket)(
            transport, path, position, {"captions": "true"} if captions else {}
        )
        try:
            async with aclosing(source) as events:
                async for event in events:
                    backoff.reset()
                    if event.position is not None:
                        position = event.position
                    match event.event:
                        case "hello":
                            # Also who has missed nothing yet knows from where to go on.
                            position = event.data.get("position", position)
                        case "heartbeat":
                            pass
                        case "closed":
                            raise refusal_by_code(str(event.data.get("code")), str(event.data.get("detail", "")))
                        case _:
                            yield event
        except _Finished:
            return
        except (RateLimited, Unavailable) as error:
            at_least_s = error.retry_after_s
        except (httpx.UnsupportedProtocol, httpx.ProxyError):
            raise
        except (httpx.TransportError, OSError, ConnectionClosed):
            pass
        await transport.retries.sleep(backoff.next_s(at_least_s))


class _Finished(Exception):
    """The server has no more events."""


async def _sse(
    transport: Transport, path: str, position: int | None, query: dict[str, str]
) -> AsyncGenerator[StreamEvent]:
    headers = transport.headers() | {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if position is not None:
        headers["Last-Event-ID"] = str(position)
    timeout = httpx.Timeout(transport.timeout_s, read=_SILENCE_S)
    async with transport.http.stream(
        "GET", f"{path}/events", params=query, headers=headers, timeout=timeout
    ) as response:
        if response.status_code == 204:
            # The HTML standard's way to say: do not reconnect.
            raise _Finished
        if response.status_code >= 400:
            raise _refused(transport, response.status_code, response.headers, await response.aread())
        try:
            async for message in httpx_sse.EventSource(response).aiter_sse():
                if message.data:
                    yield _event(message.data)
        except httpx_sse.SSEError as error:
            raise UnexpectedAnswer(f"not an event stream: {error}") from error


async def _websocket(
    transport: Transport, path: str, position: int | None, query: dict[str, str]
) -> AsyncGenerator[StreamEvent]:
    base = transport.http.base_url
    url = base.copy_with(
        scheme="wss" if base.scheme == "https" else "ws",
        path=f"{base.path.rstrip('/')}{path}/ws",
        params=query if position is None else {"after": str(position), **query},
    )
    try:
        async with connect(
            str(url), additional_headers=transport.headers(), max_size=_LARGEST, ssl=transport.tls
        ) as socket:
            async for message in socket:
                yield _event(message)
    except InvalidStatus as error:
        response = error.response
        raise _refused(transport, response.status_code, response.headers, bytes(response.body or b"")) from error
    except ConnectionClosed as error:
        if error.rcvd is not None and 4400 <= error.rcvd.code < 4600:
            # 4000 and the HTTP status; the reason is the code.
            raise refusal_by_code(error.rcvd.reason) from error
        raise
    except WebSocketException as error:
        raise UnexpectedAnswer(f"not a WebSocket: {error}") from error


def _refused(transport: Transport, status: int, headers: Any, body: bytes) -> SpacesError:
    return refusal(status, body, retry_after(headers.get("Retry-After"), transport.retries.now_s()))


def _event(text: str | bytes) -> StreamEvent:
    try:
        return msgspec.json.decode(text, type=StreamEvent)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(f"not an event: {error}") from error
