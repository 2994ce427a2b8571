import json
from pathlib import Path

import msgspec
import pytest

from spaces_ctl.bench.comparing import rows_of
from spaces_ctl.bench.rows import BadResults, Row, append, median, read, row
from tests.bench.measurements import measurement

# The words of the issue, to the letter.
COLUMNS = [
    "server",
    "version",
    "listeners",
    "speakers",
    "frames_per_core_second",
    "loss_ratio",
    "p50_ms",
    "p99_ms",
    "bytes_per_listener",
]


def test_a_row_has_exactly_the_columns_that_were_agreed() -> None:
    written = json.loads(msgspec.json.encode([row([measurement()])]))
    assert list(written[0]) == COLUMNS
    assert written[0] == {
        "server": "spaces",
        "version": "0.1.0",
        "listeners": 1_000,
        "speakers": 1,
        "frames_per_core_second": 100_000,
        "loss_ratio": 0.0,
        "p50_ms": 10.0,
        "p99_ms": 30.0,
        "bytes_per_listener": 18_000,
    }
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**written[0], "commit": "abc"}, Row)


def test_a_row_is_the_median_of_its_rounds_column_by_column() -> None:
    rounds = [measurement(server_cpu_seconds=cpu, bytes_per_listener=each) for cpu, each in [(1, 9), (5, 1), (2, 5)]]
    found = row(rounds)
    assert found.frames_per_core_second == 125_000
    assert found.bytes_per_listener == 5


def test_of_two_middle_values_the_lower_is_taken() -> None:
    assert median([4, 1, 3, 2]) == 2
    with pytest.raises(ValueError, match="nothing"):
        median([])


def test_a_server_that_delivered_nothing_has_no_latency_and_all_loss() -> None:
    found = row([measurement(delivered=0, latency_us=[])])
    assert (found.loss_ratio, found.p50_ms, found.p99_ms, found.frames_per_core_second) == (1.0, None, None, 0)


def test_rounds_that_alternate_become_a_row_each() -> None:
    rounds = [measurement(server=server) for _ in range(3) for server in ("plain quinn", "spaces")]
    assert [found.server for found in rows_of([*rounds, measurement(speakers=4)])] == [
        "plain quinn",
        "spaces",
        "spaces",
    ]


def test_results_read_as_they_were_written_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.jsonl"
    kept = [measurement(), measurement(tier="mix", joiners=3, first_audio_us=[(1_000, 3)])]
    for one in kept:
        append(path, one)
    assert read(path) == kept
    with path.open("a") as file:
        file.write('{"scenario": "run"}\n')
    with pytest.raises(BadResults, match=r"results\.jsonl:3: "):
        read(path)
