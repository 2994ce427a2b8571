"""What Chromium plays and sends with the web app's live sound (web/tests/harness) at a running server: against what was
said, over good and bad networks, through everything that happens to a page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo.speech import voices, write_wav
from spaces_ctl.engine import Listener
from tests.support.audio import Pcm
from tests.support.listening import again_if_spoilt, clear, whole
from tests.support.live_harness import LivePage, live_page
from tests.support.live_scene import Place, Stage, live_stage, on_stage, place
from tests.support.lossy_udp import Network, lossy_udp

SECONDS = 8
LIVE = "l.phase === 'live'"
Change = Callable[[bool], Awaitable[None]]


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("place")) as running:
        yield running


@pytest.fixture(scope="module")
def said() -> Pcm:
    return voices(1)[0].samples[: SECONDS * 48_000]


def heard(stage: Stage) -> str:
    """That the host is shown as heard."""
    return f"l.levels['{stage.host_account}'] < 60"


@pytest.mark.parametrize("protocol", ["moq-lite-05", "moqt-18"])
@pytest.mark.alone
@again_if_spoilt
async def test_what_is_said_is_what_is_played(at: Place, said: Pcm, protocol: str) -> None:
    async with live_stage(at) as stage, live_page() as page:
        await stage.open(page, tap="seats", protocol=protocol)
        await page.listen(await stage.admission())
        await page.until(LIVE)
        talk = asyncio.create_task(stage.say(said))
        await page.until(heard(stage))
        await talk
        await page.rest(1.5)
        for seat in (None, 0):
            whole(said, await page.pcm(seat), about=(seat, await page.counts()))
        # Levels follow what is played: it is silent again.
        await page.until("Object.keys(l.levels).length === 0")
        look = await page.look()
        assert look["path"] == "webtransport"
        assert look["quality"]["bars"] >= 1
        assert page.problems == []


@pytest.mark.alone
@again_if_spoilt
async def test_a_twentieth_lost_leaves_no_gap_over_60_ms(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page:
        with lossy_udp(stage.port, Network(loss=0.05, jitter_ms=20, seed=7)) as proxy:
            await stage.open(page)
            await page.listen(await stage.admission(proxy))
            await page.until(LIVE)
            await stage.say(said)
            await page.rest(1.5)
            counts = await page.counts()
            assert proxy.counts.lost > 10
            assert proxy.counts.reordered > 10
            repaired = counts["concealedSamples"] + counts["fecSamples"] + counts["redundantPackets"] * 960
            assert repaired >= 5 * 960, counts
            assert (await page.look())["quality"]["lost"] > 0
            whole(said, await page.pcm(), stoi=0.85, about=counts)


async def test_who_joins_while_somebody_talks_hears_it_soon(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):
        await stage.open(page, tap="")
        await page.listen(await stage.admission())
        await page.until("l.joinedInMs !== null")
        # `python -m bench.browser` says how soon: here only that it is told.
        assert (await page.look())["joinedInMs"] > 0


async def test_a_persons_volume_is_theirs_alone_and_kept(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page:
        await stage.open(page)
        await page.listen(await stage.admission())
        await page.until(LIVE)
        await page.call("setPersonVolume", stage.host_account, 0)
        await page.rest(0.3)
        talk = asyncio.create_task(stage.say(said[: 3 * 48_000]))
        await page.until(heard(stage))
        await talk
        assert not (await page.pcm()).any(), "silent for us"
        await page.call("close")
        await stage.open(page)
        assert await page.call("personVolume", stage.host_account) == 0
        await page.call("setPersonVolume", stage.host_account, 1)


async def hears_on(stage: Stage, page: LivePage, said: Pcm, change: Change) -> None:
    """Nothing of what is said is missed while `change(True)` brings the page to the mix and `change(False)` back."""
    await page.until(f"{LIVE} && l.tier === 'stage'")
    talk = asyncio.create_task(stage.say(said))
    await page.until(heard(stage))
    await page.rest(1)
    await change(True)
    await page.until(f"l.tier === 'mix' && {heard(stage)}")
    await page.rest(1.5)
    await change(False)
    await page.until(f"l.tier === 'stage' && {heard(stage)}")
    await talk
    await page.rest(1.5)
    whole(said, await page.pcm(), about=await page.counts())
    assert page.problems == []


@pytest.mark.alone
@pytest.mark.parametrize("protocol", ["moq-lite-05", "moqt-18"])
@again_if_spoilt
async def test_who_begins_to_save_data_and_ceases_hears_on(at: Place, said: Pcm, protocol: str) -> None:
    async with live_stage(at) as stage, live_page() as page:
        await stage.open(page, protocol=protocol)
        await page.listen(await stage.admission())

        async def change(save: bool) -> None:
            await page.call("setSaveData", save)

        await hears_on(stage, page, said, change)
        assert (await page.look())["saveData"] is False


@pytest.mark.alone
@again_if_spoilt
async def test_a_page_follows_when_the_audience_becomes_large_and_small(tmp_path: Path, said: Pcm) -> None:
    tmp_path = Path(mkdtemp(dir=tmp_path))
    config = tmp_path / "crowds.toml"
    config.write_text("[limits.override]\nmix_above = 2\nmix_below_percent = 100\nmix_hold_ms = 0\n")
    with place(tmp_path, "--config", str(config)) as at:
        async with live_stage(at) as stage, live_page() as page, AsyncExitStack() as crowd:
            # The speaker and the page are two; the third makes a crowd.
            await stage.open(page)
            await page.listen(await stage.admission())

            async def change(large: bool) -> None:
                if not large:
                    await crowd.aclose()
                    return
                given = await stage.admission()
                pin = bytes.fromhex(given["certificate_sha256"])
                url, token = given["urls"][0], given["token"]
                await crowd.enter_async_context(Listener(url, token=token, certificate_sha256=pin))

            await hears_on(stage, page, said, change)


@pytest.mark.alone
async def test_the_network_goes_dark_and_comes_back(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):
        with lossy_udp(stage.port) as proxy:
            await stage.open(page)
            await page.listen(await stage.admission(proxy))
            await page.until(heard(stage))
            proxy.dark = True
            await page.until("Object.keys(l.levels).length === 0")
            await page.rest(3)
            proxy.dark = False
            await page.until(f"{LIVE} && {heard(stage)}")
            # What was missed is skipped, not played late.
            await page.until("l.quality?.bufferMs < 400")


async def test_the_address_changes_under_way(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):
        with lossy_udp(stage.port) as proxy:
            await stage.open(page)
            await page.listen(await stage.admission(proxy))
            await page.until(heard(stage))
            proxy.rebind()
            before = (await page.counts())["decodedSamples"]
            await page.page.wait_for_function("(before) => spaces.counts().decodedSamples > before + 96000", arg=before)
            assert "refused" not in await page.phases()


async def test_another_network_gets_another_session_at_once(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):
        with lossy_udp(stage.port) as wifi, lossy_udp(stage.port) as mobile:
            await stage.open(page)
            await page.listen(await stage.admission(wifi))
            await page.until(heard(stage))
            other = await stage.admission(mobile)
            await page.page.evaluate("(given) => harness.readmit(given)", other)
            wifi.dark = True
            await page.page.evaluate("() => dispatchEvent(new Event('online'))")
            before = (await page.counts())["decodedSamples"]
            await page.page.wait_for_function("(before) => spaces.counts().decodedSamples > before + 96000", arg=before)
            assert mobile.counts.passed > 100
            assert (await page.look())["phase"] == "live"


@pytest.mark.alone
async def test_a_frozen_page_goes_on_with_what_is_said_now(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):
        await stage.open(page)
        await page.listen(await stage.admission())
        await page.until(heard(stage))
        browser = await page.page.context.new_cdp_session(page.page)
        await browser.send("Page.setWebLifecycleState", {"state": "frozen"})
        await asyncio.sleep(3)
        await browser.send("Page.setWebLifecycleState", {"state": "active"})
        before = (await page.counts())["decodedSamples"]
        await page.page.wait_for_function("(before) => spaces.counts().decodedSamples > before + 96000", arg=before)
        await page.until("l.quality?.bufferMs < 400")


async def test_a_browser_that_wants_a_gesture_gets_one(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page(autoplay=False) as page, stage.talking(said):
        # As after a reload, without a click; not by `evaluate` either, which counts as a gesture.
        begin = json.dumps(
            {"space": stage.space.id, "accounts": {0: stage.host_account}, "given": await stage.admission()}
        )
        await page.page.add_init_script(f"globalThis.begin = {begin}")
        await page.page.goto(at.page)
        await page.until("l?.phase === 'blocked'")
        await page.page.evaluate("() => { document.querySelector('#go').onclick = () => harness.audio.resume() }")
        await page.page.click("#go")
        await page.until(f"{LIVE} && {heard(stage)}")


async def test_the_end_of_the_space_is_told(at: Place) -> None:
    async with live_page() as page:
        async with live_stage(at) as stage:
            await stage.open(page)
            await page.listen(await stage.admission())
            await page.until(LIVE)
        await page.until("l.phase === 'refused'")
        assert (await page.look())["refusal"]["code"] == "state.ended"


@pytest.mark.alone
@again_if_spoilt
async def test_a_microphone_is_heard_by_others(at: Place, said: Pcm, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, said)
    sound = bytearray()
    async with live_stage(at) as stage, SpacesClient(at.server.url, token=at.server.tokens["sam"]) as sam:
        listening = await stage.space.join()
        pin = bytes.fromhex(listening.certificate_sha256 or "")

        async def hear() -> None:
            async with Listener(listening.urls[0], token=guest["token"], certificate_sha256=pin) as listener:
                async for block in listener.pcm():
                    sound.extend(block)

        guest = await stage.admission()
        hearing = asyncio.create_task(hear())
        async with live_page(microphone=spoken) as page:
            await stage.open(page, tap="seats")
            seat = await on_stage(stage, page, sam)
            account = str(at.server.ids["sam"])
            # What noise suppression makes of clean speech is the browser's matter.
            off = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
            await page.call("setProcessing", off)
            await page.call("speak", False)
            await page.until(f"l.levels['{account}'] < 60")
            assert (await page.look())["microphone"]["state"] == "on"
            await page.rest(SECONDS - 1)
            assert page.problems == []
            assert seat not in await page.page.evaluate("() => spaces.seats()"), "nobody hears themselves"
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
    clear(said[48_000 : 6 * 48_000], np.frombuffer(bytes(sound), dtype="<i2").astype(np.int16))


async def test_who_is_muted_sends_nothing_and_is_told_that_they_talk(at: Place, said: Pcm, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, said)
    token = at.server.tokens["sam"]
    async with (
        live_stage(at) as stage,
        SpacesClient(at.server.url, token=token) as sam,
        live_page(microphone=spoken) as page,
    ):
        await stage.open(page)
        await on_stage(stage, page, sam)
        await page.call("speak", True)
        await page.until("l.microphone.talkingWhileMuted && l.microphone.level < 60")
        look = await page.look()
        assert look["microphone"]["muted"]
        assert look["levels"] == {}
        await page.call("mute", False)
        await page.until("!l.microphone.talkingWhileMuted")
        await page.call("quiet")
        assert (await page.look())["microphone"]["state"] == "off"


async def test_udp_that_is_blocked_under_way_is_left_for_a_websocket(at: Place, said: Pcm) -> None:
    async with live_stage(at) as stage, live_page() as page, stage.talking(said):
        with lossy_udp(stage.port) as proxy:
            await stage.open(page)
            await page.listen(await stage.admission(proxy))
            await page.until(f"l.path === 'webtransport' && {heard(stage)}")
            proxy.dark = True
            await page.until(f"{LIVE} && l.path === 'websocket' && {heard(stage)}")
            assert "reconnecting" in await page.phases()


async def test_a_silent_stage_is_no_broken_connection(at: Place) -> None:
    async with live_stage(at) as stage, live_page() as page:
        await stage.open(page)
        await page.listen(await stage.admission())
        await page.until(LIVE)
        await page.rest(26)
        assert await page.phases() == ["idle", "connecting", "live"]
