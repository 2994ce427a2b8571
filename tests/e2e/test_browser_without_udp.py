"""What Chromium plays where UDP is blocked, or where it has no WebTransport: the same, over a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.async_api import Route

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo.speech import voices, write_wav
from spaces_ctl.engine import Listener
from tests.support.audio import Pcm
from tests.support.listening import again_if_spoilt, clear, whole
from tests.support.live_harness import live_page
from tests.support.live_scene import Place, live_stage, place
from tests.support.lossy_udp import lossy_udp

SECONDS = 6


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("place")) as running:
        yield running


@pytest.fixture(scope="module")
def said() -> Pcm:
    return voices(1)[0].samples[: SECONDS * 48_000]


@pytest.mark.alone
@pytest.mark.parametrize("protocol", ["moq-lite-05", "moqt-18"])
@again_if_spoilt
async def test_where_udp_is_blocked_the_page_plays_over_a_websocket_and_says_so(
    at: Place, said: Pcm, protocol: str
) -> None:
    async with live_stage(at) as stage, live_page() as page:
        with lossy_udp(stage.port) as blocked:
            blocked.dark = True
            admission = await stage.admission(blocked)
            assert [url.partition(":")[0] for url in admission["urls"]] == ["https", "ws"]
            await stage.open(page, tap="seats", protocol=protocol)
            await page.listen(admission)
            await page.until("l.phase === 'live'")
            assert (await page.look())["path"] == "websocket"
            talk = asyncio.create_task(stage.say(said))
            await page.until(f"l.levels['{stage.host_account}'] < 60")
            await talk
            await page.rest(1.5)
            whole(said, await page.pcm(0), about=await page.counts())
        await page.call("close")


@pytest.mark.alone
@again_if_spoilt
async def test_a_browser_without_webtransport_speaks_over_a_websocket(at: Place, said: Pcm, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, said)
    sound = bytearray()
    async with live_stage(at) as stage, SpacesClient(at.server.url, token=at.server.tokens["sam"]) as sam:
        listening = await stage.space.join()
        pin = bytes.fromhex(listening.certificate_sha256 or "")
        guest = await stage.admission()

        async def hear() -> None:
            async with Listener(listening.urls[0], token=guest["token"], certificate_sha256=pin) as listener:
                async for block in listener.pcm():
                    sound.extend(block)

        hearing = asyncio.create_task(hear())
        async with live_page(microphone=spoken) as page:
            await stage.open(page, tap="seats")
            # Its worker has none either: it is told of no address but the WebSocket's.
            given = await stage.admission(client=sam)
            given["urls"] = [url for url in given["urls"] if url.startswith("ws")]
            await page.listen(given)
            await page.until("l.phase === 'live'")
            space = sam.space(stage.space.id)
            await space.take_mic()
            await space.unmute()
            seated = await stage.admission(client=sam)
            seated["urls"] = given["urls"]
            account = str(at.server.ids["sam"])
            seats = {0: stage.host_account, seated["seat"]: account}
            await page.page.evaluate(
                "([seats, given]) => { harness.seat(seats); harness.readmit(given) }", [seats, seated]
            )
            off = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
            await page.call("setProcessing", off)
            await page.call("speak", False)
            await page.until(f"l.levels['{account}'] < 60")
            assert (await page.look())["path"] == "websocket"
            await page.rest(SECONDS - 1)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
    clear(said[48_000 : 5 * 48_000], np.frombuffer(bytes(sound), dtype="<i2").astype(np.int16))


async def test_where_nothing_else_works_the_mix_comes_by_hls(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):

        async def to_the_server(route: Route) -> None:
            # The harness has an origin of its own; the page is the server's.
            parts = urlsplit(route.request.url)
            await route.fulfill(response=await route.fetch(url=f"{at.server.url}{parts.path}?{parts.query}"))

        await page.page.route("**/api/v1/**", to_the_server)
        await stage.open(page)
        given = await stage.admission()
        await page.listen(given | {"urls": []})
        await page.until("l.phase === 'live' && l.path === 'hls'")
        await page.rest(5)
        assert (await page.look())["phase"] == "live"
        await page.call("close")
