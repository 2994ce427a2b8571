from pathlib import Path

import pytest

from spaces_ctl.bench import results
from spaces_ctl.bench.calibration import load_calibration
from spaces_ctl.bench.limit import Ceiling
from spaces_ctl.bench.plots import draw
from spaces_ctl.bench.rows import BadResults, append
from spaces_ctl.bench.suite import SCENARIOS, quick
from tests.bench.measurements import measurement

ALL = [
    measurement(server="plain quinn", version="0.11.12", server_cpu_seconds=5.0),
    measurement(),
    measurement(scenario="tiers", tier="mix", listeners=3_000),
    measurement(scenario="shards", shards=2),
    measurement(scenario="networks", loss=0.05, jitter_ms=30.0, delivered=240_000, repeated=9),
    measurement(
        scenario="storm",
        tier="mix",
        listeners=3_000,
        joiners=9_990,
        joiners_failed=10,
        first_audio_us=[(70_000, 9_990)],
    ),
]


def test_the_document_says_what_was_measured_and_the_ratio_of_the_pairs() -> None:
    ceiling = Ceiling(size=126, segments=1, packets=600_000, cpu_seconds=2.0, packets_per_core_second=200_000)
    run = results.Run(measurements=ALL, ceilings=[ceiling], machine={"cores": "2"}, commands=["make results"])
    text = results.markdown(run, [Path("results/frames.svg")])
    assert "| spaces 0.1.0 | stage | 1,000 | 1 | 100,000 | 2,000 | 0.0000% | 10.0 / 30.0 | 18.0 | 0.40 | 1 |" in text
    assert "pairs-1-speaker, against plain quinn: 2.00 ×" in text
    assert "9,990 joined meanwhile, 10 could not; join to first audio p50 / p99 70.0 / 70.0 ms" in text
    assert "| 50% of 200,000 | yes |" in text
    assert "stage, 5% loss, 30 ms jitter" in text
    assert "![frames](results/frames.svg)" in text


def test_scenarios_of_another_commit_say_so() -> None:
    older, newer = measurement(commit="0a1b2c"), measurement(commit="3d4e5f", scenario="tiers", awake=True)
    run = results.Run(measurements=[older, newer], ceilings=[], machine={}, commands=[])
    text = results.markdown(run, [])
    assert "Commit 0a1b2c, 3d4e5f." in text
    assert text.index("## Tiers") < text.index("Measured at commit 3d4e5f.")
    assert "stage, core awake" in text
    alone = results.Run(measurements=[older, older], ceilings=[], machine={}, commands=[])
    assert "Measured at" not in results.markdown(alone, [])


def test_a_run_is_written_from_its_files_and_calibrates_the_plan(tmp_path: Path) -> None:
    directory = tmp_path / "results"
    for one in ALL:
        append(directory / f"{one.scenario}.jsonl", one)
    written = results.write(directory, tmp_path / "RESULTS.md", tmp_path / "calibration.json")
    assert all(path.stat().st_size > 0 for path in written)
    assert (tmp_path / "RESULTS.md").read_text().startswith("# Results")
    assert {cost.server for cost in load_calibration(tmp_path / "calibration.json").costs} == {"spaces", "plain quinn"}


def test_an_empty_directory_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadResults, match="no measurements"):
        results.read_run(tmp_path)


def test_the_same_figures_draw_the_same_small_pictures(tmp_path: Path) -> None:
    one, other = draw(ALL, tmp_path / "one"), draw(ALL, tmp_path / "other")
    assert [path.name for path in one] == ["frames.svg", "memory.svg", "latency.svg", "shards.svg", "tiers.svg"]
    for first, second in zip(one, other, strict=True):
        assert first.read_bytes() == second.read_bytes()
        assert first.stat().st_size < 100_000


def test_the_quick_suite_keeps_every_scenario_and_shrinks_everybody() -> None:
    for name, rounds in SCENARIOS.items():
        for whole, small in zip(rounds, quick(rounds), strict=True):
            assert (small.scenario, small.server, small.tier) == (whole.scenario, whole.server, whole.tier)
            assert small.scenario.startswith(name)
            assert small.listeners < whole.listeners
            assert sum(group.listeners for group in small.others) <= 40
