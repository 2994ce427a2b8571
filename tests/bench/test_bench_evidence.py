from typing import Any

import pytest

from spaces_ctl.bench.errors import BenchFailed
from spaces_ctl.bench.load import GroupReport, Report
from spaces_ctl.bench.measuring import LISTENERS, Round, _measurement


def report(**changes: Any) -> Report:
    fields: dict[str, Any] = {
        "name": LISTENERS,
        "listeners": 10,
        "joined": 10,
        "heard_audio": 10,
        "failed": 0,
        "first_failure": None,
        "expected": 3_000,
        "delivered": 3_000,
        "repeated": 0,
        "checked": 60,
        "broken": 0,
        "unplaced": 0,
        "loss_ratio": 0.0,
        "worst_listener_loss": 0.0,
        "latency_us": [(1_000, 3_000)],
        "first_audio_us": [],
        "admission_us": [],
        **changes,
    }
    return Report(groups=[GroupReport(**fields)], cpu_seconds=1.0, turn_us=[(100, 5)])


@pytest.mark.parametrize(("tier", "checked"), [("stage", 60), ("mix", 20)])
def test_a_round_whose_payloads_were_checked_is_a_measurement(tier: Any, checked: int) -> None:
    found = _measurement(Round(scenario="test", tier=tier), "spaces", "1", report(checked=checked), 1.0, 1.0)
    assert found.checked == checked


@pytest.mark.parametrize(("tier", "checked"), [("stage", 0), ("stage", 59), ("mix", 0), ("mix", 19)])
def test_optimised_load_that_lost_its_count_of_checks_is_no_measurement(tier: Any, checked: int) -> None:
    # rustc 1.95.0 dropped `checked += u64::from(chosen)` in release builds; all other figures looked right.
    with pytest.raises(BenchFailed, match="not one in 50"):
        _measurement(Round(scenario="test", tier=tier), "spaces", "1", report(checked=checked), 1.0, 1.0)


def test_a_round_in_which_nobody_got_in_says_why() -> None:
    nobody = report(joined=0, delivered=0, checked=0, first_failure="no such track")
    with pytest.raises(BenchFailed, match="no such track"):
        _measurement(Round(scenario="test"), "spaces", "1", nobody, 1.0, 1.0)
