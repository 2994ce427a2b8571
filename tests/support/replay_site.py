"""A server with one replay of real speech, in a thread of its own, that counts what is asked of it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.media.layout import replay_prefix
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.replay_files import MANIFEST, Manifest
from spaces_ctl.model import SYSTEM
from tests.support.api_server import serving
from tests.support.api_world import ANN, HOST, ApiWorld
from tests.support.patience import PATIENCE_S
from tests.support.replay_world import ANN as TALKING_ANN
from tests.support.replay_world import BEN as TALKING_BEN
from tests.support.replay_world import PREFIX, Talk, packaged, talk

__all__ = ["Asked", "ReplaySite", "replay_site"]


class Asked(msgspec.Struct, frozen=True):
    """A request and how much of the answer was taken."""

    path: str
    range: str
    status: int
    bytes: int


class ReplaySite:
    """Running."""

    def __init__(self) -> None:
        self.url = ""
        self.space = ""
        self.talk: Talk = talk()
        self.asked: list[Asked] = []
        self.world: ApiWorld
        self.loop: asyncio.AbstractEventLoop
        self.stop: Callable[[], object] = lambda: None

    def address(self, name: str) -> str:
        """Of a file of the replay."""
        return f"{self.url}/api/v1/spaces/{self.space}/replay/{name}"

    def do(self, coroutine: Any) -> Any:
        """In the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE_S)

    def counting(self, app: Any) -> Any:
        """The application, watched."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status, size = 0, 0

            async def sending(message: Any) -> None:
                nonlocal status, size
                await send(message)
                status = message.get("status", status)
                size += len(message.get("body", b""))

            try:
                await app(scope, receive, sending)
            finally:
                asked = dict(scope["headers"]).get(b"range", b"").decode()
                self.asked.append(Asked(scope["path"], asked, status, size))

        return watched

    async def prepare(self, directory: Path) -> None:
        """The world, the Space and its replay."""
        self.world = await ApiWorld.open(directory, settings=ApiSettings(public_url=self.url))
        space = await self.world.live(record=True, title="Two cities")
        started_ms = (await self.world.spaces.get(space)).started_ms or 0
        self.world.clock.advance(seconds=80)
        await self.world.speaks(space, ANN)
        self.world.clock.advance(seconds=21)
        await self.world.do(HOST, space, c.End())
        made = Objects.memory()
        await packaged(self.talk, made)
        for name, _ in await made.list(PREFIX):
            data = await made.get(name)
            if name.endswith(MANIFEST):
                known = msgspec.json.decode(data, type=Manifest)
                begin_ms = started_ms - known.first_group * 20
                data = msgspec.json.encode(msgspec.structs.replace(known, started_at_ms=begin_ms))
            for own, account in ((TALKING_ANN, HOST), (TALKING_BEN, ANN)):
                data = data.replace(b'"account":"%d"' % own, b'"account":"%d"' % account)
            await self.world.more.objects.put(name.replace(PREFIX, replay_prefix(space), 1), data)
        await self.world.spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=round(self.talk.seconds * 1000)))
        self.space = wire.space_text(space)


@contextmanager
def replay_site(directory: Path) -> Iterator[ReplaySite]:
    """Until the block ends."""
    site, ready = ReplaySite(), threading.Event()
    failed: list[BaseException] = []

    async def run() -> None:
        site.loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        site.stop = lambda: site.loop.call_soon_threadsafe(stop.set)
        listener = socket.create_server(("127.0.0.1", 0))
        # The page's own origin, or its requests would be taken for another site's.
        site.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await site.prepare(directory)
        try:
            async with serving(site.counting(site.world.app), listener=listener):
                ready.set()
                await stop.wait()
        finally:
            await site.world.aclose()

    def thread() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    running = threading.Thread(target=thread)
    running.start()
    ready.wait(PATIENCE_S)
    try:
        assert not failed, failed
        yield site
    finally:
        if not failed:
            site.stop()
        running.join(PATIENCE_S)
