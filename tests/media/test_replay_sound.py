"""What a replay sounds like in ffmpeg: whole, in time, at its loudness, in every form in which it is offered."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pystoi import stoi

from spaces_ctl.media import fragments
from spaces_ctl.media.aac import STEP_DB
from spaces_ctl.media.fragments import Codec
from tests.support.audio import compare
from tests.support.players import duration_s, loudness_lufs, played
from tests.support.replay_world import Recording, package, talk

RATE = 48_000
OPUS = ["audio.opus", "hls/opus.m3u8", "hls/main-opus.m3u8"]
AAC = ["audio.m4a", "hls/aac.m3u8", "hls/main.m3u8"]


@pytest.fixture(scope="module", params=[1, 3], ids=["20 ms", "60 ms"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return package(talk(request.param), tmp_path_factory.mktemp("replay"))


def lag_ms(heard: npt.NDArray[np.float32], said: npt.NDArray[np.int16], at_s: float, seconds: float = 6.0) -> float:
    """By how much what was said at `at_s` is heard later."""
    begin, length, reach = int(at_s * RATE), int(seconds * RATE), RATE // 4
    piece = said[begin : begin + length].astype(np.float64)
    window = heard[max(0, begin - reach) : begin + length + reach].astype(np.float64)
    size = 1 << (len(piece) + len(window)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)), size)
    return (int(np.argmax(cross[: 2 * reach])) - min(begin, reach)) * 1000 / RATE


@pytest.mark.parametrize("name", [*OPUS, *AAC])
def test_plays_from_start_to_end_and_everybody_is_heard_in_time(recording: Recording, name: str) -> None:
    heard = played(recording.path(name))
    # ffmpeg plays what the last packet holds beyond the end: of AAC half a frame, of fragmented Opus half a packet.
    assert len(heard) / RATE == pytest.approx(recording.talk.seconds, abs=0.030)
    assert abs(lag_ms(heard, recording.talk.pcm, 1)) < 2
    # A minute of silence, which has no packet, is a minute.
    assert abs(lag_ms(heard, recording.talk.pcm, 85)) < 2
    assert np.abs(heard[21 * RATE : 79 * RATE]).max() < 1e-3


@pytest.mark.parametrize("name", [*OPUS, *AAC])
def test_lasts_as_long_as_it_did(recording: Recording, name: str) -> None:
    assert duration_s(recording.path(name)) == pytest.approx(recording.talk.seconds, abs=0.020)
    assert recording.summary.duration_ms == round(recording.talk.seconds * 1000)


@pytest.mark.parametrize("name", ["opus", "aac"])
def test_segments_are_as_long_as_the_playlist_says(recording: Recording, name: str) -> None:
    playlist = (recording.directory / f"hls/{name}.m3u8").read_text()
    entries = re.findall(r"#EXTINF:([\d.]+),\n(\S+)", playlist)
    target = int(re.findall(r"#EXT-X-TARGETDURATION:(\d+)", playlist)[0])
    for told, uri in entries:
        samples = fragments.read((recording.directory / "hls" / uri).read_bytes())
        assert sum(sample.duration for sample in samples) / RATE == pytest.approx(float(told), abs=1e-6)
        assert round(float(told)) <= target
    assert sum(float(told) for told, _ in entries) == pytest.approx(recording.talk.seconds, abs=0.020)
    assert playlist.endswith("#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(("names", "within"), [(OPUS, 0.5), (AAC, STEP_DB / 2 + 0.1)], ids=["opus", "aac"])
def test_plays_at_the_loudness_of_podcasts(recording: Recording, names: list[str], within: float) -> None:
    for name in names:
        assert loudness_lufs(recording.path(name)) == pytest.approx(-16, abs=within)


def test_the_loudness_that_is_told_is_what_ffmpeg_measures(recording: Recording, tmp_path: Path) -> None:
    played_lufs = loudness_lufs(recording.path("audio.opus"))
    told = recording.summary.loudness_lufs + recording.summary.gain_db
    assert told == pytest.approx(-16, abs=1e-6)
    assert played_lufs == pytest.approx(told, abs=0.2)


def test_opus_is_what_the_mixer_made(recording: Recording) -> None:
    """Never encoded again."""
    made = [packet.opus for contents in recording.talk.files for packet in contents.mix]
    segments = sorted((recording.directory / "hls").glob("opus-0*.m4s"))
    kept = [sample.data for path in segments for sample in fragments.read(path.read_bytes())]
    assert [data for data in kept if len(data) > 8] == [data for data in made if len(data) > 8]


def test_aac_sounds_as_opus_does(recording: Recording) -> None:
    """Both renditions are of one sound, though a player may know only one."""
    opus, aac = played(recording.path("audio.opus")), played(recording.path("audio.m4a"))
    speech = slice(1 * RATE, 19 * RATE)
    assert stoi(opus[speech], aac[speech], RATE) > 0.99


def test_speech_survives(recording: Recording) -> None:
    heard = (np.clip(played(recording.path("audio.opus")), -1, 1) * 32767).astype(np.int16)
    quality = compare(recording.talk.pcm[: 19 * RATE], heard[: 20 * RATE])
    assert quality.dropout_frames == 0
    assert quality.stoi > 0.97


@pytest.mark.parametrize(
    ("main", "codec", "uri"), [("main", Codec.AAC, "aac.m3u8"), ("main-opus", Codec.OPUS, "opus.m3u8")]
)
def test_the_main_playlists_name_codec_and_rates(recording: Recording, main: str, codec: Codec, uri: str) -> None:
    text = (recording.directory / f"hls/{main}.m3u8").read_text()
    ((peak, average, *named),) = re.findall(r'BANDWIDTH=(\d+),AVERAGE-BANDWIDTH=(\d+),CODECS="([^"]+)"\n(\S+)', text)
    assert named == [codec.mime, uri]
    assert 5_000 < int(average) < int(peak) < 130_000


def test_opusinfo_has_nothing_to_say(recording: Recording) -> None:
    import subprocess

    told = subprocess.run(["opusinfo", recording.path("audio.opus")], capture_output=True, text=True, check=True)
    assert "WARNING" not in told.stdout + told.stderr
    assert f"Playback gain: {recording.summary.gain_db:.2f}"[:-1] in told.stdout
