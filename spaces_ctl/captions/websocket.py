"""Any streaming recogniser over a WebSocket (RFC 6455): one connection a stream.

Client, first message (text): {"type": "begin", "rate": 16000, "language": "en"}
Client, then (binary): 16-bit little-endian mono samples, any number a message, without gaps
Client, at the end (text): {"type": "end"}
Server, at any time (text): {"type": "line", "line": 0, "start_ms": 120, "end_ms": 1840, "text": "...", "final": false}
Server, after "end": {"type": "done"}, then it closes; lines that are not final by then are taken as final
Server, instead: {"type": "error", "detail": "..."}: the stream is over

`line` counts from 0 within the connection, times are milliseconds of the sound sent. A bridge to a recogniser that
speaks otherwise is some forty lines; `docs/captions.md` shows one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from spaces_ctl.captions.recogniser import RATE, Heard, Pcm, RecogniserFailed, Stream

__all__ = ["WebSocketRecogniser"]

_quiet = logging.getLogger("spaces_ctl.captions.websocket.frames")
_quiet.setLevel(logging.INFO)  # below, the library logs what is in the frames
_LARGEST = 64 * 1024
_MOST_LINES = 1_000
"""Changes that may wait for us: a server that sends more is not recognising speech."""


class _Line(msgspec.Struct, tag_field="type", tag="line"):
    line: int
    start_ms: int
    end_ms: int
    text: str
    final: bool = False


class _Done(msgspec.Struct, tag_field="type", tag="done"):
    pass


class _Error(msgspec.Struct, tag_field="type", tag="error"):
    detail: str = ""


_read = msgspec.json.Decoder(_Line | _Done | _Error).decode


class WebSocketRecogniser:
    """A `Recogniser` that runs elsewhere."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None, patience_s: float = 3.0) -> None:
        """`url` is ws: or wss:; `patience_s` is how long connecting, and the last lines, may take."""
        self._url = url
        self._headers = headers or {}
        self._patience_s = patience_s

    async def open(self, language: str) -> Stream:
        """Connects. Raises RecogniserFailed."""
        try:
            socket = await connect(
                self._url,
                additional_headers=self._headers,
                open_timeout=self._patience_s,
                close_timeout=1,
                max_size=_LARGEST,
                compression=None,
                logger=_quiet,
            )
        except (OSError, WebSocketException) as error:
            raise RecogniserFailed(type(error).__name__) from error
        stream = _WebSocketStream(socket, self._patience_s)
        await stream.send({"type": "begin", "rate": RATE, "language": language})
        return stream

    async def aclose(self) -> None:
        """Nothing is shared."""


class _WebSocketStream:
    def __init__(self, socket: ClientConnection, patience_s: float) -> None:
        self._socket = socket
        self._patience_s = patience_s
        self._lines: dict[int, Heard] = {}
        """Changed since the last answer."""
        self._open: dict[int, Heard] = {}
        self._end: Literal["done"] | RecogniserFailed | None = None
        self._reader = asyncio.create_task(self._read())

    async def send(self, message: dict[str, Any] | bytes) -> None:
        if isinstance(self._end, RecogniserFailed):
            raise self._end
        try:
            async with asyncio.timeout(self._patience_s):
                await self._socket.send(
                    message if isinstance(message, bytes) else msgspec.json.encode(message).decode()
                )
        except (OSError, WebSocketException) as error:
            raise RecogniserFailed(type(error).__name__) from error

    async def feed(self, pcm: Pcm) -> Sequence[Heard]:
        await self.send(pcm.astype("<i2").tobytes())
        return self._taken()

    async def finish(self) -> Sequence[Heard]:
        try:
            await self.send({"type": "end"})
            async with asyncio.timeout(self._patience_s):
                await asyncio.shield(self._reader)
        except TimeoutError:
            raise RecogniserFailed("the last lines did not come in time") from None
        finally:
            await self.aclose()
        if isinstance(self._end, RecogniserFailed):
            raise self._end
        unfinished = {number: msgspec.structs.replace(line, final=True) for number, line in self._open.items()}
        self._lines |= unfinished
        return self._taken()

    async def aclose(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    def _taken(self) -> list[Heard]:
        if isinstance(self._end, RecogniserFailed):
            raise self._end
        lines, self._lines = self._lines, {}
        return list(lines.values())

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if self._take(message):
                    return
            self._end = RecogniserFailed("the connection was closed")
        except (OSError, WebSocketException) as error:
            self._end = RecogniserFailed(type(error).__name__)
        except msgspec.ValidationError:
            # Not its text: it may quote what was heard.
            self._end = RecogniserFailed("a message that is none of the protocol's")

    def _take(self, message: str | bytes) -> bool:
        """Whether it was the last."""
        match _read(message):
            case _Line() as line:
                heard = Heard(line.line, line.start_ms, line.end_ms, " ".join(line.text.split()), line.final)
                self._lines[line.line] = heard
                if line.final:
                    self._open.pop(line.line, None)
                else:
                    self._open[line.line] = heard
                if len(self._lines) > _MOST_LINES or len(self._open) > _MOST_LINES:
                    raise msgspec.ValidationError("too many lines")
                return False
            case _Error():
                self._end = RecogniserFailed("the recogniser answers an error")
                return True
            case _:
                self._end = "done"
                return True
