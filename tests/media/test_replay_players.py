"""Replays straight from the server: ffmpeg plays and seeks over HTTP, Chromium plays every form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page

from tests.media.test_replay_sound import RATE, lag_ms
from tests.support.players import duration_s, played
from tests.support.replay_site import ReplaySite, replay_site
from tests.support.web_pages import chromium

FORMS = ["audio.opus", "audio.m4a", "hls/main.m3u8", "hls/main-opus.m3u8"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplaySite]:
    with replay_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.mark.parametrize("name", FORMS)
def test_ffmpeg_plays_it_from_start_to_end(site: ReplaySite, name: str) -> None:
    heard = played(site.address(name))
    assert len(heard) / RATE == pytest.approx(site.talk.seconds, abs=0.045)
    assert duration_s(site.address(name)) == pytest.approx(site.talk.seconds, abs=0.020)
    assert abs(lag_ms(heard, site.talk.pcm, 85)) < 2


@pytest.mark.parametrize("name", ["audio.opus", "audio.m4a"])
def test_ffmpeg_seeks_in_a_file_with_ranges(site: ReplaySite, name: str) -> None:
    site.asked.clear()
    heard = played(site.address(name), start_s=84, seconds=8)
    assert len(heard) / RATE == pytest.approx(8, abs=0.1)
    assert abs(lag_ms(heard, site.talk.pcm[84 * RATE :], 1)) < 25
    ranged = [one for one in site.asked if one.status == 206]
    # An index tells the place in MP4; in Ogg it is searched for, by halves.
    assert 2 <= len(ranged) <= (4 if name.endswith("m4a") else 30), ranged
    assert len(ranged) == len(site.asked)


@pytest.mark.parametrize("name", ["hls/main-opus.m3u8", "hls/main.m3u8"])
def test_ffmpeg_seeks_in_hls(site: ReplaySite, name: str) -> None:
    """That of PyAV: Debian's 5.1 finds nothing after a seek in fragmented MP4, its own included."""
    site.asked.clear()
    with av.open(site.address(name)) as container:
        container.seek(84_000_000)
        pieces: list[np.ndarray[Any, Any]] = []
        begin_s = None
        for frame in container.decode(audio=0):
            begin_s = frame.time if begin_s is None else begin_s
            pieces.append(frame.to_ndarray().reshape(-1))
            if len(pieces) * frame.samples > 6 * RATE:
                break
    assert begin_s is not None
    assert 83.9 < begin_s <= 84.05
    heard = np.concatenate(pieces).astype(np.float32)
    # After a seek the lookahead of 6.5 ms is heard: only a begin is known to have it.
    assert abs(lag_ms(heard, site.talk.pcm[int(begin_s * RATE) :], 1, 4)) < 8
    assert not [one.path for one in site.asked if "-000005" in one.path], "a segment from before was read"


# Chromium

LISTEN = """(selector) => {
  const audio = document.querySelector(selector);
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 32768 });
  context.createMediaElementSource(audio).connect(analyser).connect(context.destination);
  const block = new Float32Array(32768);
  globalThis.level = () => {
    analyser.getFloatTimeDomainData(block);
    return 10 * Math.log10(block.reduce((sum, x) => sum + x * x, 0) / block.length + 1e-12);
  };
  return context.resume();
}"""


def level_db(page: Page) -> float:
    """Of the 0.7 s that were played last."""
    return float(page.evaluate("() => level()"))


@pytest.mark.parametrize("name", FORMS)
def test_chromium_plays_every_form_at_the_same_loudness(site: ReplaySite, name: str) -> None:
    """As loud as ffmpeg plays it: so Opus's gain is applied, and AAC's was."""
    expected = played(site.address(name))[4 * RATE : 9 * RATE]
    with chromium() as browser:
        page = browser.new_context(bypass_csp=True).new_page()
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"{site.url}/problems")
        page.evaluate(
            """(src) => { const audio = Object.assign(document.createElement("audio"), { id: "own", src });
                          document.body.append(audio); }""",
            site.address(name),
        )
        if name.endswith(".m3u8") and not page.evaluate(
            "() => document.getElementById('own').canPlayType('application/vnd.apple.mpegurl')"
        ):
            pytest.skip("this Chromium knows no HLS")
        page.evaluate(LISTEN, "#own")
        page.wait_for_function("() => own.readyState >= HTMLMediaElement.HAVE_METADATA")
        page.evaluate("() => { own.currentTime = 3.5; return own.play(); }")
        powers = []
        for place in (4.2, 4.9, 5.6, 6.3, 7.0):
            # By the sound's own time: a busy machine may stand still.
            page.wait_for_function("(place) => own.currentTime >= place", arg=place, polling=20)
            powers.append(10 ** (level_db(page) / 10))
        heard = 10 * np.log10(np.mean(powers))
        assert page.evaluate("() => own.currentTime") < 9
        assert page.evaluate("() => own.duration") == pytest.approx(site.talk.seconds, abs=0.1)
        assert heard == pytest.approx(10 * np.log10(np.mean(expected.astype(np.float64) ** 2)), abs=2.5)
        assert problems == []
