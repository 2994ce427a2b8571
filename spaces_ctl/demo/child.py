"""One process of the demo, seen from inside: told what to do in JSON lines on standard input, it reports on standard
output. When the pipe closes, whoever started it is gone, and so is it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

Message = dict[str, Any]
"""`{"kind": …, …}`."""

_PR_SET_PDEATHSIG = 1
_LINE_LIMIT = 1 << 26


class Boss:
    """The process that started this one."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def messages(self) -> AsyncIterator[Message]:
        """What it says, until it hangs up."""
        while line := await self._reader.readline():
            yield json.loads(line)

    async def next(self, kind: str) -> Message:
        """The next thing of this kind it says; others before it are passed over.

        Raises:
            asyncio.CancelledError: It has hung up, so there is nothing left to do.

        """
        async for message in self.messages():
            if message["kind"] == kind:
                return message
        raise asyncio.CancelledError

    @classmethod
    async def open(cls) -> Boss:
        """In the running loop."""
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        return cls(reader)

    @staticmethod
    def first() -> Message | None:
        """The first thing it says, where no loop runs yet; None if it has hung up. What follows is left to be read."""
        line = b""
        while not line.endswith(b"\n"):
            if not (byte := os.read(0, 1)):
                return None
            line += byte
        message: Message = json.loads(line)
        return message

    @staticmethod
    def tell(kind: str, **fields: object) -> None:
        """Reports something. The other end reads eagerly: this does not block for long."""
        line = json.dumps({"kind": kind, **fields}, separators=(",", ":")) + "\n"
        _write_all(line.encode())


Role = Callable[[Boss, Message], Awaitable[None]]

_ROLES: Mapping[str, str] = {
    "speaker": "spaces_ctl.demo.speaker",
    "listeners": "spaces_ctl.demo.listeners",
}


def main() -> None:
    """`python -m spaces_ctl.demo.child ROLE PARENT`."""
    role, parent = sys.argv[1], int(sys.argv[2])
    # Ctrl-C reaches the whole process group; the parent alone decides in which order things end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    if role == "server":
        # It brings a loop of its own.
        sys.exit(import_module("spaces_ctl.demo.server").main())
    sys.exit(asyncio.run(_play(role)))


async def _play(role: str) -> int:
    loop = asyncio.get_running_loop()
    boss = await Boss.open()
    task = asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        first = await anext(boss.messages(), None)
        if first is None:
            return 0
        run: Role = import_module(_ROLES[role]).run
        await run(boss, first)
    except (asyncio.CancelledError, BrokenPipeError):
        return 0
    except Exception as error:  # every failure of a child is told in one line, whatever it is
        if os.environ.get("SPACES_DEBUG"):
            import traceback

            traceback.print_exc()
        with contextlib.suppress(BrokenPipeError):
            boss.tell("error", message=one_line(error))
        return 1
    return 0


def one_line(error: BaseException) -> str:
    """What went wrong, without the task groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split()) or type(error).__name__


def _die_with(parent: int) -> None:
    """Asks Linux for SIGTERM when the parent dies, in case that the event loop is stuck; elsewhere the pipe must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(0)


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
