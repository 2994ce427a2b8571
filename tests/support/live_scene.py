"""One live Space with a native speaker on stage; a page of the live harness listens, perhaps over a bad network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spaces_ctl.client import SpacesClient
from spaces_ctl.client.space import Space
from spaces_ctl.engine import Speaker
from spaces_ctl.model import Speak
from tests.support.audio import Pcm
from tests.support.dev_server import DevServer, dev_server
from tests.support.live_harness import HarnessPage, as_json, build_harness, serving
from tests.support.lossy_udp import LossyUdp, through

__all__ = ["Place", "Stage", "live_stage", "on_stage", "place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A server and the harness page."""

    server: DevServer
    page: str
    """The harness' address."""


@contextmanager
def place(directory: Path, *arguments: str) -> Iterator[Place]:
    """Both, until the block ends; `arguments` are those of `spaces serve`."""
    with ExitStack() as stack:
        (directory / "server").mkdir()
        page = stack.enter_context(serving(build_harness(directory / "harness")))
        yield Place(stack.enter_context(dev_server(directory / "server", *arguments)), page)


@dataclass(slots=True)
class Stage:
    """A live Space; `host` sits on seat 0 and is unmuted."""

    place: Place
    space: Space
    host: SpacesClient
    guest: SpacesClient
    mic: Speaker
    port: int
    """The media engine's, UDP."""

    @property
    def host_account(self) -> str:
        return str(self.place.server.ids["host"])

    async def admission(self, proxy: LossyUdp | None = None, client: SpacesClient | None = None) -> dict[str, Any]:
        """For a guest, or for somebody; over the proxy if there is one."""
        given = as_json(await (client or self.guest).space(self.space.id).join())
        return given if proxy is None else given | {"urls": through(proxy, given["urls"])}

    async def open(self, page: HarnessPage, *, tap: str = "mix", protocol: str = "") -> None:
        """Loads the harness for this Space."""
        await page.open(self.place.page, self.space.id, {0: self.host_account}, tap=tap, protocol=protocol)

    async def say(self, said: Pcm) -> None:
        """The host says it, at the speed of life."""
        await self.mic.speak_pcm(said.tobytes())
        await self.mic.flush()

    @asynccontextmanager
    async def talking(self, said: Pcm) -> AsyncIterator[None]:
        """The host says it again and again, while the block runs."""

        async def on_and_on() -> None:
            while True:
                await self.say(said)

        task = asyncio.create_task(on_and_on())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def live_stage(at: Place) -> AsyncIterator[Stage]:
    """Starts a Space and ends it with the block."""
    async with (
        SpacesClient(at.server.url, token=at.server.tokens["host"]) as host,
        SpacesClient(at.server.url) as guest,
    ):
        space = host.space((await host.spaces.create(title="Tea")).id)
        await space.start()
        await space.set_mic_access(True)
        await space.set_speak(Speak.EVERYONE)
        admission = await space.join()
        url = admission.urls[0]
        pin = bytes.fromhex(admission.certificate_sha256 or "")
        try:
            async with Speaker(url, token=admission.token, seat=0, certificate_sha256=pin, dtx=False) as mic:
                await space.unmute()
                yield Stage(at, space, host, guest, mic, urlsplit(url).port or 443)
        finally:
            await space.end()


async def on_stage(stage: Stage, page: HarnessPage, sam: SpacesClient) -> int:
    """Sam, who listens, takes the mic: his seat."""
    await page.listen(await stage.admission(client=sam))
    await page.until("l.phase === 'live'")
    space = sam.space(stage.space.id)
    await space.take_mic()
    await space.unmute()
    given = await stage.admission(client=sam)
    seats = {0: stage.host_account, given["seat"]: str(stage.place.server.ids["sam"])}
    await page.page.evaluate("([seats, given]) => { harness.seat(seats); harness.readmit(given) }", [seats, given])
    assert isinstance(given["seat"], int)
    return given["seat"]
