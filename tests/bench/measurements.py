"""Measurements for tests, with figures that are easy to reckon with."""

from typing import Any

import msgspec

from spaces_ctl.bench.rows import Measurement


def measurement(**changes: Any) -> Measurement:
    """1,000 listeners for 5 s: 250,000 frames for 2.5 s of processor; 10 ms for nearly all, 30 ms for one in fifty."""
    plain = Measurement(
        scenario="pairs-1-speaker",
        server="spaces",
        version="0.1.0",
        commit="abc",
        listeners=1_000,
        speakers=1,
        seconds=5,
        delivered=250_000,
        expected=250_000,
        checked=5_000,
        server_cpu_seconds=2.5,
        load_cpu_seconds=2.0,
        bytes_per_listener=18_000,
        latency_us=[(10_000, 245_000), (30_000, 5_000)],
    )
    return msgspec.structs.replace(plain, **changes)
