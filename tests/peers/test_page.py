"""The web app's live sound in Chromium against a server that is not ours (fake_server.py)."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from spaces_ctl.demo.speech import voices, write_wav
from tests.peers import wire
from tests.peers.fake_server import FRAME, SPACE, FakeSpace, Speaker, hum, opus_frames, serving
from tests.support.audio import Pcm
from tests.support.listening import again_if_spoilt, clear, whole
from tests.support.live_harness import LivePage, build_harness, live_page
from tests.support.live_harness import serving as harness_at

SECONDS = 5
LIVE = "l.phase === 'live'"
ACCOUNTS = {seat: f"account-{seat}" for seat in range(13)}


@pytest.fixture(scope="module")
def speech() -> list[Pcm]:
    return [voice.samples[: SECONDS * 48_000] for voice in voices(2)]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with harness_at(build_harness(tmp_path_factory.mktemp("harness"))) as url:
        yield url


@pytest.fixture
def space() -> Iterator[FakeSpace]:
    with serving(FakeSpace([])) as served:
        yield served


def say(space: FakeSpace, speech: dict[int, Pcm]) -> None:
    """These seats begin to speak, together, half a second from now."""
    opus = {seat: opus_frames(pcm) for seat, pcm in speech.items()}
    begins = space.tick + 25
    space.speakers = [Speaker(seat, f"Voice {seat}", frames, begins=begins) for seat, frames in opus.items()]


async def listening(
    page: LivePage, harness: str, space: FakeSpace, protocol: str = wire.LITE, tap: str = "mix"
) -> None:
    await page.open(harness, SPACE, ACCOUNTS, tap=tap, protocol=protocol)
    await page.listen(space.admission)
    await page.until(LIVE)


@pytest.mark.parametrize("protocol", [wire.LITE, wire.MOQT])
@pytest.mark.alone
@again_if_spoilt
async def test_two_voices_are_played_as_they_were_spoken(
    space: FakeSpace, harness: str, speech: list[Pcm], protocol: str
) -> None:
    async with live_page() as page:
        await listening(page, harness, space, protocol, tap="seats")
        spoken = dict(zip((2, 7), speech, strict=True))
        say(space, spoken)
        await page.until("l.levels['account-2'] < 60 && l.levels['account-7'] < 60")
        await page.rest(SECONDS + 2)
        for seat, pcm in spoken.items():
            whole(pcm, await page.pcm(seat), about=(seat, await page.counts()))
        mixed = np.clip(speech[0].astype(int) + speech[1], -32_768, 32_767).astype(np.int16)
        clear(mixed, await page.pcm(), about=await page.counts())
        assert page.problems == []


@pytest.mark.alone
@again_if_spoilt
async def test_loss_and_jitter_are_concealed_and_told(space: FakeSpace, harness: str, speech: list[Pcm]) -> None:
    space.loss, space.jitter = 0.05, 0.05
    async with live_page() as page:
        await listening(page, harness, space)
        say(space, {0: speech[0]})
        await page.rest(SECONDS + 2)
        counts, look = await page.counts(), await page.look()
        repaired = counts["concealedSamples"] + counts["fecSamples"]
        assert repaired >= 5 * FRAME, counts
        assert counts["targetMs"] >= 40
        assert look["quality"]["lost"] > 0
        whole(speech[0], await page.pcm(), stoi=0.8, about=counts)


@pytest.mark.parametrize("protocol", [wire.LITE, wire.MOQT])
@pytest.mark.alone
@again_if_spoilt
async def test_the_microphone_is_published_on_our_seat(
    space: FakeSpace, harness: str, speech: list[Pcm], tmp_path: Path, protocol: str
) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, speech[0])
    space.received.clear()
    async with live_page(microphone=spoken) as page:
        await listening(page, harness, space, protocol)
        off = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
        await page.call("setProcessing", off)
        await page.call("speak", False)
        await page.until("l.levels['account-12'] < 60")
        await page.rest(SECONDS + 1)
        assert page.problems == []
    objects = space.received[12]
    groups = [group for group, _ in objects]
    assert groups == sorted(set(groups)), "frame numbers grow"
    for (before, one), (group, next_one) in itertools.pairwise(objects):
        marked = one[1] & 2 and next_one[1] & 1
        assert group == before + 1 or marked, f"frames are missing between {before} and {group}, in a talkspurt"
    assert objects[0][1][1] & 1, "the first frame begins a talkspurt"
    assert all(payload[0] & 0x7F < 127 for _, payload in objects)
    clear(speech[0][48_000:], decode(objects))


def decode(objects: list[tuple[int, bytes]]) -> Pcm:
    """A seat's objects as sound on the speaker's clock, with silence where nothing was sent."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    first = objects[0][0]
    out = np.zeros((objects[-1][0] - first + 2) * FRAME, np.int16)
    for group, payload in objects:
        for frame in decoder.decode(av.Packet(payload[2:])):
            sound = frame.to_ndarray().reshape(-1).astype(np.int16)
            at = (group - first) * FRAME
            out[at : at + len(sound)] = sound
    return out


def end(space: FakeSpace, act: str, *arguments: Any) -> None:
    """Every session of the server does `act`."""
    for session in list(space.sessions):
        session.transport._loop.call_soon_threadsafe(getattr(session.transport, act), *arguments)


async def test_a_lost_connection_comes_back_and_says_so(space: FakeSpace, harness: str) -> None:
    space.speakers = [Speaker(0, "Ada", opus_frames(hum(60, 200)))]
    async with live_page() as page:
        await listening(page, harness, space)
        await page.until("l.levels['account-0'] < 60")
        end(space, "close")
        await page.until("l.phase === 'reconnecting'")
        await page.until(LIVE + " && l.levels['account-0'] < 60")


@pytest.mark.parametrize(
    ("code", "phase"),
    [("state.ended", "refused"), ("participant.removed", "refused"), ("node.capacity", "reconnecting")],
)
async def test_the_servers_last_words_decide(space: FakeSpace, harness: str, code: str, phase: str) -> None:
    async with live_page() as page:
        await listening(page, harness, space)
        end(space, "end_session", 0x5300, code)
        await page.until(f"l.phase === '{phase}'")
        if phase == "refused":
            assert (await page.look())["refusal"]["code"] == code


async def test_a_refused_microphone_is_explained_and_the_sound_goes_on(space: FakeSpace, harness: str) -> None:
    async with live_page() as page:
        await page.page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"
        )
        await listening(page, harness, space)
        await page.call("speak", False)
        await page.until("l.microphone.state === 'refused' && l.microphone.trouble.includes('not allowed')")
        assert (await page.look())["phase"] == "live"
