"""What Firefox plays and sends with the web app's live sound (web/tests/harness) at a running server, against what was
said; and what it does when a microphone is pulled out.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo.speech import voices, write_wav
from spaces_ctl.engine import Listener
from tests.support.audio import Pcm
from tests.support.firefox import firefox
from tests.support.listening import again_if_spoilt, clear, whole
from tests.support.live_harness import HarnessPage
from tests.support.live_scene import Place, live_stage, on_stage, place
from tests.support.lossy_udp import lossy_udp
from tests.support.recognised_voices import closeness
from tests.support.site_pages import CLEAR
from tests.support.site_stage import talking_host
from tests.support.sound_card import SoundCard, sound_card

pytestmark = pytest.mark.alone

SECONDS = 8
TRIES = 6
LIVE = "l.phase === 'live'"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("place")) as running:
        yield running


@pytest.fixture(scope="module")
def card() -> Iterator[SoundCard]:
    with sound_card() as plugged:
        yield plugged


@pytest.fixture(scope="module")
def said() -> Pcm:
    return voices(1)[0].samples[: SECONDS * 48_000]


@asynccontextmanager
async def fox_page(card: SoundCard) -> AsyncIterator[HarnessPage]:
    async with firefox(card) as page:
        yield HarnessPage(page, page.problems)


@pytest.mark.parametrize("protocol", ["moq-lite-05", "moqt-18"])
@again_if_spoilt
async def test_firefox_plays_what_is_said(at: Place, card: SoundCard, said: Pcm, protocol: str) -> None:
    async with live_stage(at) as stage, fox_page(card) as page:
        await stage.open(page, protocol=protocol)
        await page.listen(await stage.admission())
        await page.until(LIVE)
        talk = asyncio.create_task(stage.say(said))
        await page.until(f"l.levels['{stage.host_account}'] < 60")
        await talk
        await page.rest(1.5)
        whole(said, await page.pcm(), about=await page.counts())
        await page.until("Object.keys(l.levels).length === 0")
        look = await page.look()
        assert look["path"] == "webtransport"
        assert look["quality"]["bars"] >= 1
        assert page.problems == []


@again_if_spoilt
async def test_firefox_without_udp_plays_over_a_websocket(at: Place, card: SoundCard, said: Pcm) -> None:
    async with live_stage(at) as stage, fox_page(card) as page, stage.talking(said):
        with lossy_udp(stage.port) as proxy:
            proxy.dark = True
            await stage.open(page)
            await page.listen(await stage.admission(proxy))
            await page.until(f"{LIVE} && l.path === 'websocket' && l.levels['{stage.host_account}'] < 60")


@again_if_spoilt
async def test_a_microphone_in_firefox_is_heard_by_others(
    at: Place, card: SoundCard, said: Pcm, tmp_path: Path
) -> None:
    write_wav(tmp_path / "spoken.wav", said)
    card.microphone("desk")
    card.use("desk")
    sound = bytearray()
    async with (
        live_stage(at) as stage,
        SpacesClient(at.server.url, token=at.server.tokens["sam"]) as sam,
        fox_page(card) as page,
    ):
        listening = await stage.space.join()
        pin = bytes.fromhex(listening.certificate_sha256 or "")

        async def hear() -> None:
            guest = await stage.admission()
            async with Listener(listening.urls[0], token=guest["token"], certificate_sha256=pin) as listener:
                async for block in listener.pcm():
                    sound.extend(block)

        hearing = asyncio.create_task(hear())
        await stage.open(page)
        await on_stage(stage, page, sam)
        off = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
        await page.call("setProcessing", off)
        await page.call("speak", False)
        await page.until("l.microphone.state === 'on'")
        with card.saying("desk", tmp_path / "spoken.wav"):
            await page.until(f"l.levels['{at.server.ids['sam']}'] < 60")
            await page.rest(SECONDS)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        clear(said[48_000 : 6 * 48_000], np.frombuffer(bytes(sound), dtype="<i2").astype(np.int16))


@again_if_spoilt
async def test_a_microphone_that_is_unplugged_is_replaced_and_said(
    at: Place, card: SoundCard, said: Pcm, tmp_path: Path
) -> None:
    write_wav(tmp_path / "spoken.wav", said)
    table = card.microphone("table")
    card.use("table")
    async with (
        live_stage(at) as stage,
        SpacesClient(at.server.url, token=at.server.tokens["sam"]) as sam,
        fox_page(card) as page,
    ):
        heard = f"l.levels['{at.server.ids['sam']}'] < 60"
        await stage.open(page)
        await on_stage(stage, page, sam)
        await page.call("speak", False)
        with card.saying("table", tmp_path / "spoken.wav"):
            await page.until(heard)
            card.microphone("spare")
            card.use("spare")
            card.unplug(table)
            await page.until("l.microphone.state === 'on' && l.microphone.replacedBy === 'spare'")
        await page.until(f"!({heard})")
        with card.saying("spare", tmp_path / "spoken.wav"):
            await page.until(heard)


@again_if_spoilt
async def test_a_guest_hears_the_host_on_the_built_site_in_firefox(at: Place, card: SoundCard) -> None:
    voice = voices(1)[0].samples
    async with talking_host(at.server, voice) as space, firefox(card) as page:
        await page.goto(f"{at.server.url}/s/{space.id}?tap=mix")
        await page.press("button", "Listen as a guest")
        await page.wait_for_function("() => globalThis.spaces?.counts().decodedSamples > 48000")
        assert await page.evaluate("() => spaces.counts().path") == "webtransport"
        found: list[float] = []
        while len(found) < TRIES and (not found or found[-1] < CLEAR):
            await page.evaluate("() => spaces.forget()")
            await page.wait_for_timeout(4_000)
            read = await page.evaluate("() => spaces.tap()")
            heard = np.frombuffer(base64.b64decode(read["samples"]), dtype="<i2").astype(np.int16)
            found.append(closeness(voice, heard))
        assert found[-1] >= CLEAR, found
        # Our content security policy forbids nothing that Firefox needs.
        assert page.problems == []
