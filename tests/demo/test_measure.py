"""What the demo counts and draws, without a network."""

import json
from pathlib import Path

import numpy as np
import pytest

from spaces_ctl.demo import script, speech
from spaces_ctl.demo.measure import Heard, Latency, Levels, Said, level_dbov, mouth_to_ear
from spaces_ctl.demo.report import Result, write_json, write_plot


@pytest.fixture(scope="module")
def voices() -> list[speech.Voice]:
    return speech.voices(3)


@pytest.mark.parametrize("delay_ms", [40, 133, 480])
def test_mouth_to_ear_is_the_delay_of_every_speaker_in_the_mix(voices: list[speech.Voice], delay_ms: int) -> None:
    said = [script.spoken(voices, seat, 10) for seat in range(3)]
    mix = np.sum([pcm.astype(np.int32) for pcm in said], axis=0)
    noise = np.random.default_rng(1).normal(0, 200, len(mix))
    lead = np.zeros(2 * speech.RATE)
    heard = np.concatenate([lead, np.zeros(delay_ms * 48), mix * 0.7 + noise]).astype(np.int16)
    # The ear began to listen two seconds before the first word.
    delays = mouth_to_ear(Heard(heard, 98.0), [Said(pcm, 100.0) for pcm in said])
    assert len(delays) >= 5
    assert np.median(delays) == pytest.approx(delay_ms, abs=1)
    assert max(delays) - min(delays) < 2


def test_mouth_to_ear_does_not_invent_a_delay(voices: list[speech.Voice]) -> None:
    said = [Said(script.spoken(voices, 0, 10), 100.0)]
    silence = np.zeros(10 * speech.RATE, np.int16)
    noise = np.random.default_rng(2).normal(0, 2_000, 10 * speech.RATE).astype(np.int16)
    assert mouth_to_ear(Heard(silence, 100.0), said) == []
    assert mouth_to_ear(Heard(noise, 100.0), said) == []
    assert mouth_to_ear(Heard(voices[2].samples, 100.0), said) == []


def test_quantiles_are_upper_bounds_in_tenths_of_a_millisecond() -> None:
    latency = Latency()
    assert latency.quantile(0.5) is None
    latency.add({9: 98, 99: 1})
    latency.add([(999, 1)])
    assert latency.count == 100
    assert latency.quantile(0.5) == pytest.approx(1.0)
    assert latency.quantile(0.99) == pytest.approx(10.0)
    assert latency.quantile(1.0) == pytest.approx(100.0)


def test_levels_are_dbov() -> None:
    assert level_dbov(np.zeros(960, np.int16)) == -127
    assert level_dbov(np.full(960, -32768, np.int16)) == pytest.approx(0)
    assert level_dbov(np.full(960, 3277, np.int16)) == pytest.approx(-20, abs=0.01)


def test_figures_and_picture(tmp_path: Path) -> None:
    latency, levels = Latency(), Levels()
    latency.add({step: 1_000 - step for step in range(0, 400, 7)})
    for seat in range(2):
        levels.add(seat, [(n / 10, -30.0 if n % 20 < 10 else -127.0) for n in range(100)])
    result = Result(
        10, 2, 10.0, 500, 5_000, 4_950, 3, latency, 81.5, 1.25, "http://127.0.0.1/", {}, recordings=["a.opus", "b.opus"]
    )
    assert result.loss_ratio == pytest.approx(0.01)
    for plot in (tmp_path / "plot.png", tmp_path / "deep" / "plot.svg"):
        write_plot(plot, result, levels, ["Ann", "Bob"])
        assert plot.stat().st_size > 5_000
    write_json(tmp_path / "out.json", result)
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["latency_ms"]["p99"] >= figures["latency_ms"]["p50"] > 0
    assert {key: figures[key] for key in ("expected_frames", "delivered_frames", "listeners", "speakers")} == {
        "expected_frames": 5_000,
        "delivered_frames": 4_950,
        "listeners": 10,
        "speakers": 2,
    }
    assert figures["recordings"] == ["a.opus", "b.opus"]
    assert any("1.0000%" in value for _, value in result.summary())


def test_a_run_in_which_nothing_was_heard_can_be_told_and_drawn(tmp_path: Path) -> None:
    result = Result(0, 1, 0.0, 0, 0, 0, 0, Latency(), None, 0.1, "http://127.0.0.1/")
    assert result.loss_ratio == 0
    write_plot(tmp_path / "plot.png", result, Levels(), ["Ann"])
    assert result.to_json()["latency_ms"] == {"p50": None, "p99": None}
    assert ("latency", "nothing arrived") in result.summary()
