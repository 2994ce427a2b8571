"""The processes of the demo, seen from the one that starts them: none outlives it, and a failure of one is one line."""

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from spaces_ctl.demo.child import Message

_LINE_LIMIT = 1 << 26


class ChildFailed(Exception):
    """A process ended when it should not have; says which, and why."""


class Child:
    """A process of the demo. `start`, then `tell` and `ask`; `stop` always."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, heard: Callable[[Message], None]) -> None:
        self.name = name
        self.process = process
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with `ChildFailed` when the process ends by itself."""
        self._heard = heard
        self._awaited: dict[str, asyncio.Future[Message]] = {}
        self._stopping = False
        self._last_words: deque[str] = deque(maxlen=5)
        self._error: str | None = None
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._overhear())]

    @classmethod
    async def start(cls, role: str, name: str, heard: Callable[[Message], None], **first: object) -> Self:
        """Starts a role of `spaces_ctl.demo.child`; `first` is its first message, `heard` gets everything it says."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "spaces_ctl.demo.child",
            role,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_LIMIT,
        )
        child = cls(name, process, heard)
        child.tell("start", **first)
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def tell(self, kind: str, **fields: object) -> None:
        """Says something, unless the process has ended (which `failed` tells)."""
        stdin = self.process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode() + b"\n")

    async def hear(self, kind: str, timeout: float) -> Message:
        """Waits for the first message of this kind, if it has not been said yet.

        Raises:
            ChildFailed: The process ended, or said nothing for `timeout` seconds.

        """
        said = self._awaited.setdefault(kind, asyncio.get_running_loop().create_future())
        either: set[asyncio.Future[Any]] = {said, self.failed}
        await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if said.done():
            return said.result()
        if self.failed.done():
            self.failed.result()
        raise ChildFailed(f"{self.name}: no answer within {timeout:.0f} s (waiting for “{kind}”)")

    async def stop(self, grace: float = 5.0) -> None:
        """Hangs up, waits, then insists. Afterwards the process is gone and reaped."""
        self._stopping = True
        stdin = self.process.stdin
        if stdin is not None:
            stdin.close()
        for insist in (self.process.terminate, self.process.kill, None):
            try:
                await asyncio.wait_for(self.process.wait(), grace)
                break
            except TimeoutError:
                if insist is not None:
                    with contextlib.suppress(ProcessLookupError):
                        insist()
        await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()
        if not self.failed.done():
            self.failed.cancel()
        elif not self.failed.cancelled():
            self.failed.exception()

    async def _listen(self) -> None:
        stdout = self.process.stdout
        while stdout is not None and (line := await stdout.readline()):
            try:
                message: Message = json.loads(line)
                kind = message["kind"]
            except (ValueError, TypeError, KeyError):
                # A library that prints: worth knowing, no reason to stop.
                self._last_words.append(line.decode(errors="replace").strip())
                continue
            if kind == "error":
                self._error = str(message["message"])
                continue
            self._heard(message)
            said = self._awaited.setdefault(kind, asyncio.get_running_loop().create_future())
            if not said.done():
                said.set_result(message)
        code = await self.process.wait()
        await asyncio.wait(self._tasks[1:], timeout=1.0)
        if not self._stopping and not self.failed.done():
            self.failed.set_exception(ChildFailed(f"{self.name}: {self._error or self._why(code)}"))

    async def _overhear(self) -> None:
        stderr = self.process.stderr
        while stderr is not None and (line := await stderr.readline()):
            text = line.decode(errors="replace").strip()
            if text:
                self._last_words.append(text)
                if os.environ.get("SPACES_DEBUG"):
                    print(f"[{self.name}] {text}", file=sys.stderr)

    def _why(self, code: int) -> str:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"{how} ({self._last_words[-1]})" if self._last_words and code >= 0 else how
