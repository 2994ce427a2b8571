"""The server's end of the captions process."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from spaces_ctl.captions.messages import Figures, FromCaptioner, FromServer, Open, Tell, Told
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.remote import RemoteProcess
from spaces_ctl.media.requests import Done

__all__ = ["RemoteCaptioner"]

log = logging.getLogger(__name__)

_COMMAND = (sys.executable, "-m", "spaces_ctl.captions.process")
_AGAIN_S = 0.2


class RemoteCaptioner:
    """Keeps a process running from the first message on; hands over what it says."""

    def __init__(self, opened: Open, *, command: Sequence[str] = _COMMAND, **times: float) -> None:
        """`times`: as of `RemoteProcess`."""
        self.process: RemoteProcess[Figures] = RemoteProcess(
            opened, Figures, name="captions process", command=command, **times
        )
        self._needed = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, message: FromServer) -> None:
        """Tells the process; nothing while there is none: whoever comes up is told everything."""
        self._needed.set()
        if self.process.up:
            task = asyncio.create_task(self._send(message))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def run(self, resume: Callable[[], None], hear: Callable[[FromCaptioner], Awaitable[None]]) -> None:
        """Until cancelled. `resume` is called when a process has come up, `hear` with all that it says, in order."""

        async def started() -> None:
            resume()

        self.process.started = started
        await self._needed.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.process.run())
            group.create_task(self._hear(hear))

    async def _hear(self, hear: Callable[[FromCaptioner], Awaitable[None]]) -> None:
        while True:
            try:
                told = await self.process.ask("hear", Done(), Told)
            except MediaError:
                await asyncio.sleep(_AGAIN_S)
                continue
            for message in told.messages:
                try:
                    await hear(message)
                except Exception as error:
                    # Its type only: a database's error quotes what was to be written.
                    log.error("a line of captions was lost: %s", type(error).__name__)

    async def _send(self, message: FromServer) -> None:
        try:
            await self.process.ask("tell", Tell(message=message), msgspec.Raw)
        except MediaError as error:
            log.info("the captions process was not told: %s", error.code)
