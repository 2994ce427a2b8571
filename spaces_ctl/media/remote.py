"""The server's handle on a process beside it: starts it, asks it, and starts it again when it died or is stuck.

    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await worker.ask("follow", Follow(...), Done)

Nothing here blocks: whoever asks waits in its own task, at most as long as it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import msgspec

from spaces_ctl.media import frames
from spaces_ctl.media.errors import MediaError, WorkerGone
from spaces_ctl.media.requests import Done, Figures, Open

__all__ = ["RemoteProcess", "RemoteWorker"]

T = TypeVar("T")
F = TypeVar("F", bound=msgspec.Struct)

_log = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m", "spaces_ctl.media.worker")
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_LAST_WORDS_S = 1.0
_STEADY_S = 60.0
"""Whoever lived that long begins with the shortest pause again."""


class RemoteProcess(Generic[F]):
    """One process after the other, each a `spaces_ctl.media.child`. It answers to `figures` how it is doing."""

    def __init__(
        self,
        opened: msgspec.Struct,
        figures: type[F],
        *,
        name: str,
        command: Sequence[str],
        heartbeat_s: float = 5.0,
        stuck_s: float = 60.0,
    ) -> None:
        """`opened` is the first thing that it is told; `name` is what it is called in the log.

        `heartbeat_s`: how often its figures are asked for; `stuck_s`: it is killed if it has no answer.
        """
        self._opened = opened
        self._figures = figures
        self._name = name
        self._command = tuple(command)
        self._heartbeat_s = heartbeat_s
        self._stuck_s = stuck_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._up = asyncio.Event()
        self.started: Callable[[], Awaitable[None]] | None = None
        """Called whenever a worker has come up, in a task of its own."""
        self.pid: int | None = None
        self.restarts = 0
        self.figures: F | None = None
        """The newest; None while there is no worker."""

    @property
    def up(self) -> bool:
        """Whether there is a process that can be asked."""
        return self._up.is_set()

    async def ask(self, operation: str, request: msgspec.Struct, answer: type[T], *, timeout_s: float = 30.0) -> T:
        """Has an operation carried out.

        Raises WorkerGone if there is no worker in time, it died or does not answer in `timeout_s`; MediaError for what
        the worker says.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
                body = await self._send(operation, request)
        except TimeoutError:
            raise WorkerGone("timeout", operation) from None
        return msgspec.msgpack.decode(body, type=answer)

    async def run(self) -> None:
        """Keeps a worker running until cancelled; then it is ended at once, with what it was doing."""
        loop, pause_s = asyncio.get_running_loop(), _FIRST_PAUSE_S
        while True:
            begun = loop.time()
            try:
                await self._live()
            except (OSError, MediaError, frames.BadFrame) as error:
                _log.error("the %s failed: %s", self._name, error)
            except Exception:  # whatever it is, the server goes on
                _log.exception("the %s failed", self._name)
            if loop.time() - begun > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            self.restarts += 1
            _log.warning("the %s is gone; a new one is started", self._name, extra={"pause_s": pause_s})
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _live(self) -> None:
        """One worker, from its start until it is gone."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            theirs.close()
            ours.setblocking(False)
            helpers: list[asyncio.Task[None]] = []
            echo = asyncio.create_task(_echo(process, self._name))
            try:
                reader, self._writer = await asyncio.open_unix_connection(sock=ours)
                self.pid = process.pid
                reading = asyncio.create_task(self._read(reader))
                helpers.append(reading)
                opening: asyncio.Task[None] = asyncio.create_task(self._open())
                helpers.append(opening)
                await asyncio.wait((opening, reading), return_when=asyncio.FIRST_COMPLETED)
                if not opening.done():
                    return
                opening.result()
                self._up.set()
                if self.started is not None:
                    helpers.append(asyncio.create_task(_told(self.started, self._name)))
                beating = asyncio.create_task(self._beat())
                helpers.append(beating)
                await asyncio.wait((reading, beating), return_when=asyncio.FIRST_COMPLETED)
            finally:
                await self._end(process, helpers)
                await asyncio.wait((echo,), timeout=_LAST_WORDS_S)
                echo.cancel()

    async def _end(self, process: asyncio.subprocess.Process, helpers: Sequence[asyncio.Task[None]]) -> None:
        self._up.clear()
        self.pid, self.figures = None, None
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(WorkerGone("gone", f"the {self._name} died"))
        self._waiting.clear()
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await process.wait()

    async def _open(self) -> None:
        await self._send("open", self._opened)

    async def _beat(self) -> None:
        """Returns when the worker is stuck."""
        while True:
            try:
                async with asyncio.timeout(self._stuck_s):
                    body = await self._send("figures", Done())
            except TimeoutError:
                _log.error("the %s is stuck and is ended", self._name, extra={"pid": self.pid})
                return
            except WorkerGone:
                return
            except MediaError:
                pass  # it lives, and has logged it
            else:
                self.figures = msgspec.msgpack.decode(body, type=self._figures)
            await asyncio.sleep(self._heartbeat_s)

    async def _send(self, operation: str, request: msgspec.Struct) -> bytes:
        if self._writer is None:
            raise WorkerGone("gone", operation)
        number = next(self._ids)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            body = msgspec.Raw(msgspec.msgpack.encode(request))
            self._writer.write(frames.encode(frames.Asked(number, operation, body)))
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (message := await frames.receive(reader)) is not None:
            match message:
                case frames.Answered():
                    self._settle(message.id, partial(_answer, body=bytes(message.body)))
                case frames.Failed():
                    self._settle(message.id, partial(_fail, error=MediaError(message.code, message.detail)))
                case frames.Logged():
                    logging.getLogger(message.logger).log(message.level, "%s", message.text)
                case frames.Asked():
                    raise frames.BadFrame("the worker asks")

    def _settle(self, number: int, settle: Callable[[asyncio.Future[bytes]], None]) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            settle(waiting)


def _answer(waiting: asyncio.Future[bytes], body: bytes) -> None:
    waiting.set_result(body)


def _fail(waiting: asyncio.Future[bytes], error: MediaError) -> None:
    waiting.set_exception(error)


class RemoteWorker(RemoteProcess[Figures]):
    """The media worker."""

    def __init__(
        self, opened: Open, *, command: Sequence[str] = _COMMAND, heartbeat_s: float = 5.0, stuck_s: float = 60.0
    ) -> None:
        """As of any process."""
        super().__init__(
            opened, Figures, name="media worker", command=command, heartbeat_s=heartbeat_s, stuck_s=stuck_s
        )


async def _echo(process: asyncio.subprocess.Process, name: str) -> None:
    """What the process says besides: a crash, mostly."""
    assert process.stderr is not None
    async for line in process.stderr:
        _log.warning("%s: %s", name, line.decode(errors="replace").rstrip())


async def _told(started: Callable[[], Awaitable[None]], name: str) -> None:
    try:
        await started()
    except MediaError as error:
        _log.warning("the %s was not told everything: %s", name, error)
    except Exception:
        _log.exception("the %s was not told everything", name)
