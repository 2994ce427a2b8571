import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spaces_ctl.bench.calibration import calibrate
from spaces_ctl.bench.rows import append
from spaces_ctl.cli import app
from spaces_ctl.cli.exits import Exit, Failure
from tests.bench.measurements import measurement


def test_the_plan_is_printed_with_its_sources_and_assumptions() -> None:
    done = CliRunner().invoke(app, ["bench", "plan", "--listeners", "1000000", "--core-hour", "0.5"])
    assert done.exit_code == 0
    assert "1,000,000 listeners" in done.stdout
    for expected in ("own edges, stage", "own edges, mix at 60 ms", "measured", "(assumed)", "core hour: 0.5"):
        assert expected in done.stdout


def test_newer_measurements_change_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    append(path, measurement(server_cpu_seconds=0.5))
    done = CliRunner().invoke(app, ["bench", "plan", "--listeners", "10000", "--calibration", str(path), "--json"])
    (fleet,) = json.loads(done.stdout)["fleets"]
    busy = next(figure for figure in fleet["figures"] if figure["name"] == "busy cores")
    assert busy["value"] == pytest.approx(1.0)
    assert calibrate([measurement(server_cpu_seconds=0.5)], "", {}).costs[0].rounds == 1


def test_a_calibration_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("[]")
    done = CliRunner().invoke(app, ["bench", "plan", "--calibration", str(path)])
    assert isinstance(done.exception, Failure)
    assert done.exception.exit is Exit.USAGE


def test_without_its_programs_the_bench_says_how_to_get_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "run", "--server", "plain-quinn", "--programs", str(tmp_path)])
    assert isinstance(done.exception, Failure)
    assert "make bench-build" in done.exception.message
    assert done.exception.exit is Exit.USAGE


def test_an_unknown_scenario_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "suite", "--only", "everything", "--directory", str(tmp_path / "out")])
    assert isinstance(done.exception, Failure)
    assert not (tmp_path / "out").exists()
