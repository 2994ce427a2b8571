"""How the server and its media worker talk: messages of msgpack, each after its length in four bytes, both ways."""

from __future__ import annotations

import asyncio

import msgspec

__all__ = ["MOST_BYTES", "Answered", "Asked", "BadFrame", "Failed", "Logged", "Message", "encode", "receive"]

MOST_BYTES = 16 * 1024 * 1024
"""No message is longer: audio goes by files and objects, never through here."""


class BadFrame(ValueError):
    """The other side does not speak as we do."""


class _Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Asked(_Message, frozen=True):
    """Server to worker."""

    id: int
    operation: str
    body: msgspec.Raw


class Answered(_Message, frozen=True):
    """Worker to server."""

    id: int
    body: msgspec.Raw


class Failed(_Message, frozen=True):
    """Worker to server: a `MediaError`."""

    id: int
    code: str
    detail: str


class Logged(_Message, frozen=True):
    """Worker to server: a line for the log."""

    level: int
    logger: str
    text: str


Message = Asked | Answered | Failed | Logged

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """The message with its length before it."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


async def receive(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None at the end. Raises BadFrame."""
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > MOST_BYTES:
            raise BadFrame(f"a message of {length} bytes")
        return _decoder.decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except msgspec.MsgspecError as error:
        raise BadFrame(str(error)) from error
