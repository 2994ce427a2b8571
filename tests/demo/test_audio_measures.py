"""The measures of tests/support/audio.py find what they are to find, on real speech through real Opus."""

from pathlib import Path

import av
import numpy as np
import pytest

from spaces_ctl.demo import speech
from tests.support import audio

SECONDS = 14
LEAD = 12_345
HOLE = 9_600


def opus_frames(pcm: audio.Pcm, bit_rate: int = 32_000) -> list[audio.Pcm]:
    """What libopus makes of it, frame by frame."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", bit_rate
    encoder.options = {"frame_duration": "20", "application": "voip"}
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    packets = []
    for begin in range(0, len(pcm) // 960 * 960, 960):
        frame = av.AudioFrame.from_ndarray(pcm[begin : begin + 960].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, begin
        packets.extend(encoder.encode(frame))
    packets.extend(encoder.encode(None))
    return [frame.to_ndarray().reshape(-1).astype(np.int16) for packet in packets for frame in decoder.decode(packet)]


@pytest.fixture(scope="module", params=["Charles", "Jane", "Omar"])
def said(request: pytest.FixtureRequest) -> audio.Pcm:
    voice = next(voice for voice in speech.voices(3) if voice.name == request.param)
    return voice.samples[: SECONDS * 48_000]


@pytest.fixture(scope="module")
def heard(said: audio.Pcm) -> list[audio.Pcm]:
    return opus_frames(said)


def measure(said: audio.Pcm, *heard: audio.Pcm) -> audio.Quality:
    return audio.compare(said, np.concatenate([np.zeros(LEAD, np.int16), *heard]))


def test_a_clean_round_trip_is_clean(said: audio.Pcm, heard: list[audio.Pcm]) -> None:
    quality = measure(said, *heard)
    assert quality.stoi > 0.95
    assert quality.pesq is not None
    assert quality.pesq > 3.8
    assert (quality.dropout_frames, quality.holes_ms, quality.shifts_ms) == (0, (), ())
    assert quality.delay_ms == pytest.approx(LEAD / 48 + 6.5, abs=1)
    assert quality.active_frames > SECONDS * 50 // 2


def test_a_low_bit_rate_is_not_taken_for_dropouts(said: audio.Pcm) -> None:
    quality = measure(said, *opus_frames(said, 16_000))
    assert quality.stoi > 0.92
    assert (quality.dropout_frames, quality.holes_ms, quality.shifts_ms) == (0, (), ())


def test_four_holes_of_200_ms_are_four_holes_of_200_ms(said: audio.Pcm, heard: list[audio.Pcm]) -> None:
    pcm = np.concatenate(heard)
    clean = measure(said, pcm)
    loud = np.convolve(said.astype(float) ** 2, np.ones(HOLE), mode="valid")
    quarter = len(said) // 4
    for begin in range(0, len(said) - quarter + 1, quarter):
        hole = begin + int(np.argmax(loud[begin : begin + quarter - HOLE]))
        pcm[hole : hole + HOLE] = 0
    quality = measure(said, pcm)
    assert quality.holes_ms == pytest.approx([200] * 4, abs=10)
    assert quality.dropout_frames == 40
    assert quality.shifts_ms == ()
    assert quality.stoi < clean.stoi - 0.03


@pytest.mark.parametrize("milliseconds", [-10, 30])
def test_an_underrun_shifts_what_follows_and_spoils_nothing_else(
    said: audio.Pcm, heard: list[audio.Pcm], milliseconds: int
) -> None:
    pcm, middle = np.concatenate(heard), 6 * 48_000
    inserted = np.zeros(max(0, milliseconds) * 48, np.int16)
    quality = measure(said, pcm[:middle], inserted, pcm[middle + max(0, -milliseconds) * 48 :])
    assert quality.shifts_ms == pytest.approx([milliseconds], abs=2)
    assert quality.stoi > 0.95
    assert quality.dropout_frames <= 2


@pytest.mark.parametrize("loss", [0.02, 0.05, 0.10])
def test_every_lost_frame_in_speech_is_counted(said: audio.Pcm, heard: list[audio.Pcm], loss: float) -> None:
    lost = np.random.default_rng(3).random(len(heard)) < loss
    # The decoder is 6.5 ms late: that much of a frame of its output was said in the frame before.
    said_in = np.concatenate([np.zeros(312), said[: len(heard) * 960]])[: len(heard) * 960].astype(float)
    power = (said_in[: len(said_in) // 960 * 960].reshape(-1, 960) ** 2).mean(axis=1)
    spoken = power > np.quantile(power, 0.95) * 10**-2.5
    in_speech = int((lost[: len(spoken)] & spoken).sum())
    quality = measure(said, *(np.zeros_like(frame) if gone else frame for frame, gone in zip(heard, lost, strict=True)))
    clean = measure(said, *heard)
    assert in_speech > 0
    assert quality.dropout_frames == pytest.approx(in_speech, abs=max(1, 0.1 * in_speech))
    assert quality.stoi < clean.stoi - 0.2 * loss
    assert quality.pesq is not None
    assert clean.pesq is not None
    assert quality.pesq < clean.pesq - 0.3


def test_concealed_loss_is_no_dropout_but_worse_quality(said: audio.Pcm, heard: list[audio.Pcm]) -> None:
    lost = np.random.default_rng(4).random(len(heard)) < 0.1
    out: list[audio.Pcm] = []
    for frame, gone in zip(heard, lost, strict=True):
        out.append((out[-1] * 0.7).astype(np.int16) if gone and out else frame)
    quality, clean = measure(said, *out), measure(said, *heard)
    assert quality.dropout_frames <= 2
    assert quality.pesq is not None
    assert clean.pesq is not None
    assert quality.pesq < clean.pesq - 1


def test_what_was_cut_off_at_the_end_is_missing(said: audio.Pcm, heard: list[audio.Pcm]) -> None:
    pcm = np.concatenate(heard)
    quality = measure(said, pcm[: len(pcm) - 2 * 48_000])
    assert quality.dropout_frames > 30


def test_somebody_else_is_no_match(said: audio.Pcm) -> None:
    other = speech.voices(4)[3].samples[: SECONDS * 48_000]
    with pytest.raises(audio.Unaligned):
        audio.compare(said, other)


def test_silence_is_no_match(said: audio.Pcm) -> None:
    with pytest.raises(audio.Unaligned):
        audio.compare(said, np.zeros(SECONDS * 48_000, np.int16))


def test_quality_of_a_file_is_that_of_its_sound(said: audio.Pcm, tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    speech.write_wav(path, said)
    assert np.array_equal(audio.decode(path), said)
