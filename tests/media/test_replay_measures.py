"""What is measured while a replay is made: loudness, waveform, who speaks when; and AAC's gain without encoding."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces_ctl.demo.speech import voices
from spaces_ctl.media import aac, loudness, peaks
from spaces_ctl.media.fragments import Codec, Sample, amplified, fragment, read
from spaces_ctl.media.gapless import Gapless
from spaces_ctl.media.timeline import spans, timeline
from tests.support.mixes import RATE, TICK, Pcm, level, mixed
from tests.support.players import loudness_lufs

Float = npt.NDArray[np.float32]


def speech(number: int, seconds: float) -> Pcm:
    return voices(4)[number].samples[: int(seconds * RATE) // TICK * TICK]


def full_scale(pcm: Pcm) -> Float:
    return pcm.astype(np.float32) / np.float32(32768)


def powers(pcm: Pcm, block: int) -> Float:
    weighting = loudness.KWeighting()
    sound = full_scale(pcm)
    return np.concatenate([weighting.powers(sound[at : at + block]) for at in range(0, len(sound), block)])


# Loudness


@pytest.mark.parametrize("gain_db", [0.0, -15.0, 6.0])
def test_loudness_is_what_ffmpeg_measures(gain_db: float, tmp_path: Path) -> None:
    pcm = np.concatenate([speech(0, 10), np.zeros(5 * RATE, np.int16), speech(1, 10) // 4])
    pcm = np.clip(pcm * 10 ** (gain_db / 20), -32768, 32767).astype(np.int16)
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm.astype("<i2").tobytes())
    found = loudness.integrated(powers(pcm, 300 * TICK))
    assert found == pytest.approx(loudness_lufs(str(path)), abs=0.1)


def test_a_tone_of_known_loudness() -> None:
    """EBU Tech 3341, case 1, for one channel: 1 kHz at -23 dBFS (peak) is -26.0 LUFS."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(20 * RATE) / RATE) * 10 ** (-23 / 20)
    found = loudness.integrated(powers((tone * 32767).round().astype(np.int16), 300 * TICK))
    assert found == pytest.approx(-26.0, abs=0.1)


def test_how_it_was_cut_into_segments_does_not_matter() -> None:
    pcm = speech(2, 12)
    assert np.allclose(powers(pcm, 300 * TICK), powers(pcm, 7 * TICK), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("length", [0, 1, 19, 20, 100])
def test_silence_has_no_loudness_and_no_gain(length: int) -> None:
    assert loudness.integrated(np.zeros(length, np.float32)) is None
    assert loudness.gain_db(None) == 0.0


def test_noise_is_not_made_speech() -> None:
    assert loudness.gain_db(-60.0) == 20.0
    assert loudness.gain_db(-16.0) == 0.0


# AAC


@pytest.fixture(scope="module")
def frames() -> list[aac.AacFrame]:
    encoder = aac.AacEncoder()
    sound = full_scale(speech(0, 6))
    return [*encoder.feed(sound), *encoder.finish()]


def decoded(frames: list[bytes]) -> Float:
    codec = av.CodecContext.create("aac", "r")
    codec.extradata = bytes.fromhex("118856e500")
    codec.sample_rate = RATE
    codec.layout = "mono"
    return np.concatenate([out.to_ndarray().reshape(-1) for data in frames for out in codec.decode(av.Packet(data))])


def test_aac_has_no_delay_and_no_edit_list(frames: list[aac.AacFrame]) -> None:
    said = full_scale(speech(0, 6))
    heard = decoded([frame.data for frame in frames])[: len(said)]
    assert [frame.number for frame in frames] == list(range(len(frames)))
    after = slice(aac.FRAME, len(heard))
    assert np.corrcoef(said[after], heard[after])[0, 1] > 0.999


@pytest.mark.parametrize("steps", [-12, -1, 0, 1, 8, 13])
def test_the_gain_is_exact_and_changes_nothing_else(frames: list[aac.AacFrame], steps: int) -> None:
    segment = fragment(Codec.AAC, [Sample(frame.data, aac.FRAME) for frame in frames], 0, 1)
    louder = amplified(segment, steps)
    assert len(louder) == len(segment)
    heard, plain = (decoded([sample.data for sample in read(one)]) for one in (louder, segment))
    gain = 10 ** (steps * aac.STEP_DB / 20)
    assert np.allclose(heard, plain * gain, atol=2e-4 * gain)
    assert amplified(louder, -steps) == segment


def test_what_our_encoder_did_not_make_is_refused() -> None:
    stereo = fragment(Codec.AAC, [Sample(b"\x21" + bytes(20), aac.FRAME)], 0, 1)
    with pytest.raises(aac.NotOurs):
        amplified(stereo, 1)


@pytest.mark.parametrize("first", [1, 50, 200])
def test_an_encoder_that_begins_later_fits(frames: list[aac.AacFrame], first: int) -> None:
    sound = full_scale(speech(0, 6))
    later = aac.AacEncoder(first)
    own = [*later.feed(sound[later.wants :]), *later.finish()]
    assert [frame.number for frame in own] == [frame.number for frame in frames[first:]]
    joined = decoded([frame.data for frame in [*frames[:first], *own]])
    whole = decoded([frame.data for frame in frames])
    seam = slice((first - 2) * aac.FRAME if first > 2 else 0, (first + 8) * aac.FRAME)
    difference = joined[seam] - whole[seam]
    assert np.abs(difference).max() < 0.02
    assert float((difference**2).mean()) < 1e-3 * max(1e-9, float((whole**2).mean()))


# Waveform


def test_the_waveform_shows_what_is_played() -> None:
    pcm = np.concatenate([speech(0, 4), np.zeros(4 * RATE, np.int16)])
    low, high = peaks.extremes(full_scale(pcm))
    drawn = json.loads(peaks.waveform(low, high, 6.0))
    points = np.array(drawn["data"]).reshape(-1, 2)
    assert (drawn["length"], drawn["samples_per_pixel"], drawn["bits"]) == (80, 4800, 8)
    loudest = np.abs(pcm.astype(np.float64)).reshape(-1, 4800).max(axis=1) / 32768 * 10 ** (6 / 20) * 127
    assert np.abs(np.abs(points).max(axis=1) - np.minimum(loudest, 127)).max() <= 3
    assert not points[41:].any()


def test_a_long_waveform_is_no_wider_than_a_screen() -> None:
    quiet = np.zeros(10 * 3600 * 50, np.int8)
    drawn = json.loads(peaks.waveform(quiet, quiet, 0.0))
    assert drawn["length"] <= 4000
    assert drawn["length"] * drawn["samples_per_pixel"] >= len(quiet) * TICK


# Who speaks when


def truth(pcm: Pcm) -> npt.NDArray[np.bool_]:
    """Ticks in which somebody speaks, by the level alone, short pauses counted in: what a listener would say."""
    loud = np.array([level(tick) < 50 for tick in pcm.reshape(-1, TICK)])
    filled = np.zeros(len(loud), bool)
    for start, end in spans(loud):
        filled[start:end] = True
    return filled


def test_four_who_talk_over_each_other_are_told_apart() -> None:
    """Each begins while another talks, pauses and comes back; the timeline is compared with their own tracks."""
    length, parts = 24 * RATE, [(0.0, 9.0), (4.0, 12.0), (10.0, 21.0), (6.5, 8.0)]
    tracks: dict[int, Pcm] = {}
    for seat, (begin, end) in enumerate(parts):
        tracks[seat] = np.zeros(length, np.int16)
        piece = speech(seat, end - begin)
        tracks[seat][int(begin * RATE) : int(begin * RATE) + len(piece)] = piece
    gapless = Gapless(0)
    speaking = np.concatenate(
        [np.full(piece.ticks, piece.seats, np.uint16) for packet in mixed(tracks) for piece in gapless.take(packet)]
    )
    told = timeline(speaking, [(0, seat, 100 + seat) for seat in tracks], [], 0)
    assert {person.account for person in told.people} == {"100", "101", "102", "103"}
    for person in told.people:
        said = truth(tracks[int(person.account) - 100])
        heard = np.zeros(len(said), bool)
        for start, end in person.spans:
            heard[start // 20 : end // 20] = True
        wrong = float((said != heard).mean())
        assert wrong < 0.04, (person, wrong)
        own = spans(said)
        # A packet of 60 ms tells the middle level of its ticks; a soft first syllable may be a turn by itself or not.
        assert person.spans[0][0] == pytest.approx(own[0][0] * 20, abs=500)
        assert person.spans[-1][1] == pytest.approx(own[-1][1] * 20, abs=500)


def test_a_seat_that_changes_hands_is_two_people() -> None:
    speaking = np.full(500, 1, np.uint16)
    told = timeline(speaking, [(0, 0, 7), (200, 0, 0), (250, 0, 8)], [], 100)
    assert [(person.account, person.spans) for person in told.people] == [
        ("7", [(0, 2000)]),
        ("8", [(3000, 10_000)]),
    ]


@settings(max_examples=50)
@given(st.lists(st.booleans(), max_size=300))
def test_turns_are_in_order_and_apart(talks: list[bool]) -> None:
    found = spans(np.array(talks, bool))
    edges = [edge for turn in found for edge in turn]
    assert edges == sorted(set(edges))
    assert all(end - start >= 5 for start, end in found)
    assert all(talks[start] and talks[end - 1] for start, end in found)


def test_a_noise_in_the_room_neither_begins_nor_prolongs_a_turn() -> None:
    def talks(*parts: tuple[int, int]) -> npt.NDArray[np.bool_]:
        ticks = np.zeros(200, bool)
        for start, end in parts:
            ticks[start:end] = True
        return ticks

    assert spans(talks((10, 13), (30, 60), (75, 78))) == [(30, 60)]
    assert spans(talks((20, 23), (30, 60), (66, 68))) == [(20, 68)], "of the same word"
    assert spans(talks((10, 30), (50, 70), (95, 110))) == [(10, 70), (95, 110)]
    assert spans(talks((10, 13), (40, 43), (70, 73))) == []
