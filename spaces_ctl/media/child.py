"""A process beside the server, from the inside: what it is asked for by `remote.RemoteProcess` it answers.

It speaks on a socket that it is given by number (`frames`). The server holds the other end of its stdin: when that
ends, the server is gone, and so is the process at once, whatever it is doing. Its log goes to the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from spaces_ctl.media import frames
from spaces_ctl.media.errors import MediaError

__all__ = ["Answering", "main"]

T = TypeVar("T", bound=msgspec.Struct)


class Answering(AbstractAsyncContextManager[Any], Protocol):
    """What the process does."""

    async def answer(self, operation: str, body: bytes) -> bytes:
        """Carries out one operation: msgpack in and out. Raises MediaError. Calls overlap; they begin in order."""
        ...


def main(arguments: list[str], kind: type[T], begin: Callable[[T], Answering], *, nice: int) -> None:
    """The process: `arguments` name the socket; the first that it is told is a `kind`.

    `begin` may raise MediaError.
    """
    with contextlib.suppress(OSError):
        os.nice(nice)
    # Ctrl-C and a service manager's SIGTERM reach every process: the server says when this one has to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_die_with_the_server, name="life-line", daemon=True).start()
    with socket.socket(fileno=int(arguments[0])) as sock:
        sock.setblocking(False)
        asyncio.run(_serve(sock, kind, begin))


class _Teller(logging.Handler):
    """Hands log records to the server."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        message = frames.encode(frames.Logged(record.levelno, record.name, self.format(record)))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._writer.write, message)


async def _serve(sock: socket.socket, kind: type[T], begin: Callable[[T], Answering]) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    logging.basicConfig(level=logging.INFO, handlers=[_Teller(writer)], force=True)
    first = await frames.receive(reader)
    if not isinstance(first, frames.Asked):
        return
    try:
        answering = begin(msgspec.msgpack.decode(first.body, type=kind))
    except MediaError as error:
        writer.write(frames.encode(frames.Failed(first.id, error.code, error.detail)))
        await writer.drain()
        return
    writer.write(frames.encode(frames.Answered(first.id, msgspec.Raw(msgspec.msgpack.encode(None)))))
    async with answering, asyncio.TaskGroup() as group:
        while (message := await frames.receive(reader)) is not None:
            if isinstance(message, frames.Asked):
                group.create_task(_answer(answering, message, writer))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


async def _answer(answering: Answering, asked: frames.Asked, writer: asyncio.StreamWriter) -> None:
    try:
        answer: frames.Message = frames.Answered(
            asked.id, msgspec.Raw(await answering.answer(asked.operation, bytes(asked.body)))
        )
    except MediaError as error:
        answer = frames.Failed(asked.id, error.code, error.detail)
    writer.write(frames.encode(answer))


def _die_with_the_server() -> None:
    """Also in the middle of a long computation."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1):
            pass
    os._exit(0)
