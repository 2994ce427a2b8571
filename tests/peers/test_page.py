"""The web page in Chromium against a server that is not ours (fake_server.py)."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
import pytest

from spaces_ctl.demo.speech import voices, write_wav
from tests.peers import wire
from tests.peers.browser import Tab, tab
from tests.peers.fake_server import FRAME, FakeSpace, Speaker, hum, opus_frames, serving
from tests.support.audio import Pcm, compare

SECONDS = 5


@pytest.fixture(scope="module")
def speech() -> list[Pcm]:
    return [voice.samples[: SECONDS * 48_000] for voice in voices(2)]


@pytest.fixture
def space() -> Iterator[FakeSpace]:
    with serving(FakeSpace([])) as served:
        yield served


def say(space: FakeSpace, speech: dict[int, Pcm]) -> None:
    """These seats begin to speak, together, half a second from now."""
    opus = {seat: opus_frames(pcm) for seat, pcm in speech.items()}
    begins = space.tick + 25
    space.speakers.extend(Speaker(seat, f"Voice {seat}", frames, begins=begins) for seat, frames in opus.items())


@pytest.mark.parametrize("protocol", [wire.LITE, wire.MOQT])
def test_two_voices_are_played_as_they_were_spoken(space: FakeSpace, speech: list[Pcm], protocol: str) -> None:
    with tab() as page:
        page.open(space.page, protocol=protocol)
        page.listen()
        spoken = dict(zip((2, 7), speech, strict=True))
        say(space, spoken)
        page.rest(SECONDS + 2)
        for seat, pcm in spoken.items():
            quality = compare(pcm, page.pcm(seat))
            assert quality.stoi >= 0.9, quality
            assert quality.dropout_frames == 0, (quality, page.counts)
        mixed = compare(np.clip(speech[0].astype(int) + speech[1], -32_768, 32_767).astype(np.int16), page.pcm())
        assert mixed.stoi >= 0.9, (mixed, page.counts)
        assert page.counts["lost"] == 0
        assert page.problems == []
        own = urlsplit(space.page).netloc
        assert {urlsplit(url).netloc for url in page.requests} == {own}, "the page asks nobody else for anything"


def test_loss_and_jitter_are_concealed_and_told(space: FakeSpace, speech: list[Pcm]) -> None:
    space.loss, space.jitter = 0.05, 0.05
    with tab() as page:
        page.open(space.page)
        page.listen()
        say(space, {0: speech[0]})
        page.rest(SECONDS + 2)
        counts = page.counts
        assert counts["lost"] > 5
        assert counts["concealed"] >= counts["lost"]
        assert counts["target"] >= 60
        quality = compare(speech[0], page.pcm(0))
        assert quality.stoi >= 0.8, (quality, counts)
        assert page.page.inner_text("#loss") != "0 %" or counts["lost"] == 0


def test_the_microphone_is_published_on_a_free_seat(space: FakeSpace, speech: list[Pcm], tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, speech[0])
    for protocol in (wire.LITE, wire.MOQT):
        space.received.clear()
        with tab(microphone=spoken) as page:
            page.open(space.page, protocol=protocol)
            page.listen()
            page.speak()
            page.rest(SECONDS + 3)
            assert page.problems == []
        objects = space.received[12]
        groups = [group for group, _ in objects]
        assert groups == sorted(set(groups)), "frame numbers grow"
        for (before, one), (group, next_one) in itertools.pairwise(objects):
            marked = one[1] & 2 and next_one[1] & 1
            assert group == before + 1 or marked, f"frames are missing between {before} and {group}, in a talkspurt"
        assert objects[0][1][1] & 1, "the first frame begins a talkspurt"
        assert all(payload[0] & 0x7F < 127 for _, payload in objects)
        heard = decode(objects)
        quality = compare(speech[0][48_000:], heard)
        assert quality.stoi >= 0.9, (protocol, quality)


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


def test_the_roster_is_shown(space: FakeSpace) -> None:
    space.listeners = 1_204
    tone = opus_frames(hum(20, 200))
    space.speakers = [
        Speaker(0, "Ada Lovelace", tone, role="host"),
        Speaker(4, "Grace Hopper", [], muted=True),
    ]
    with tab() as page:
        page.open(space.page)
        page.listen()
        page.wait(lambda: page.people == ["Ada Lovelace", "Grace Hopper"])
        shown = page.page
        assert shown.inner_text("#title") == space.title == shown.title().removesuffix(" · Spaces")
        assert shown.inner_text("#count") == "1,204 people here"
        assert shown.is_visible("#recording")
        page.wait(lambda: shown.locator(".person[data-talking] .name").all_inner_texts() == ["Ada Lovelace"])
        assert shown.locator(".person.hue-4 .unseen").inner_text() == "muted"


def test_a_lost_connection_comes_back_and_says_so(space: FakeSpace) -> None:
    space.speakers = [Speaker(0, "Ada", opus_frames(hum(60, 200)))]
    with tab() as page:
        page.open(space.page)
        page.listen()
        page.rest(1)
        for session in list(space.sessions):
            session.transport._loop.call_soon_threadsafe(session.transport.close)
        page.wait(lambda: page.badge == "Reconnecting")
        assert "Trying again" in page.notice
        page.wait(lambda: page.badge == "Live")
        before = page.counts["played"]
        page.wait(lambda: page.counts["played"] > before + 25)


def test_a_refusal_is_told_in_the_servers_words(space: FakeSpace) -> None:
    space.refuse = "The Space has ended."
    with tab() as page:
        page.open(space.page)
        page.page.click("#listen")
        page.wait(lambda: page.badge == "Not connected" and "has ended" in page.notice)
        assert page.page.inner_text("#listen-text") == "Try again"


@pytest.mark.parametrize(
    ("code", "words", "again"),
    [("state.ended", "Thank you for listening", False), ("node.capacity", "full at the moment", True)],
)
def test_the_servers_last_words_are_put_plainly(space: FakeSpace, code: str, words: str, again: bool) -> None:
    with tab() as page:
        page.open(space.page)
        page.listen()
        for session in list(space.sessions):
            session.transport._loop.call_soon_threadsafe(session.transport.end_session, 0x5300, code)
        page.wait(lambda: words in page.notice)
        assert page.badge == ("Reconnecting" if again else "Not connected")


def test_a_refused_microphone_is_explained(space: FakeSpace) -> None:
    with tab() as page:
        page.page.add_init_script(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }"
        )
        page.open(space.page)
        page.listen()
        page.page.click("#speak")
        page.wait(lambda: "microphone was not allowed" in page.notice)
        assert page.page.inner_text("#speak-text") == "Speak"
        assert page.badge == "Live"


def test_an_old_browser_is_told_what_it_lacks(space: FakeSpace) -> None:
    with tab() as page:
        page.page.add_init_script("delete globalThis.WebTransport")
        page.open(space.page)
        page.wait(lambda: "lacks WebTransport" in page.notice)
        assert page.page.is_disabled("#listen")


def test_everything_can_be_done_by_keyboard(space: FakeSpace) -> None:
    with tab(still=True) as page:
        page.open(space.page)
        page.page.wait_for_selector("#listen:enabled")
        focus(page, "listen")
        page.page.keyboard.press("Enter")
        page.wait(lambda: page.badge == "Live")
        focus(page, "volume")
        page.page.keyboard.press("Home")
        assert page.page.input_value("#volume") == "0"
        focus(page, "speak")
        page.page.keyboard.press("Space")
        page.wait(lambda: page.page.inner_text("#speak-text") == "Mute")
        page.page.keyboard.press("Space")
        page.wait(lambda: page.notice == "You are muted.")
        focus(page, "step-down")
        page.page.keyboard.press("Enter")
        page.wait(lambda: page.page.inner_text("#speak-text") == "Speak")


def focus(page: Tab, wanted: str) -> None:
    """Presses Tab until the control is reached."""
    for _ in range(12):
        page.page.keyboard.press("Tab")
        if page.page.evaluate("() => document.activeElement?.id") == wanted:
            return
    raise AssertionError(f"{wanted} cannot be reached")
