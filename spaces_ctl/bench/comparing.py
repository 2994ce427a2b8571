"""Servers side by side: rounds that alternate, medians, the rows of `spaces bench compare`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spaces_ctl.bench.errors import BenchFailed, Missing
from spaces_ctl.bench.measuring import Round, measure
from spaces_ctl.bench.rows import Measurement, Row, row
from spaces_ctl.bench.servers import Tools

__all__ = ["LIVEKIT", "compare", "rows_of"]

LIVEKIT = (
    "LiveKit 1.11 cannot be built from package registries. Quoted from the issue that asked for this bench (measured "
    "on another 2-core machine, loopback, 1 speaker): 29-43 k frames per core-second, 0.9-1.3 MB a listener, "
    "p50/p99 2/6 ms at 100 listeners; 4 speakers 49-51 k. Not a row: it was not measured here."
)

Progress = Callable[[Measurement], None]


async def compare(
    rounds: Sequence[Round], count: int, tools: Tools, told: Progress, failed: Callable[[Round, BenchFailed], None]
) -> list[Measurement]:
    """Each round `count` times, one server after the other each time, so that a noisy minute hits all of them.

    What does not start is told to `failed` and not tried again. Raises Missing if no server is there at all.
    """
    measured: list[Measurement] = []
    broken: set[int] = set()
    last: BenchFailed | None = None
    for _ in range(count):
        for index, what in enumerate(rounds):
            if index in broken:
                continue
            try:
                found = await measure(what, tools)
            except BenchFailed as error:
                broken.add(index)
                last = error
                failed(what, error)
                continue
            measured.append(found)
            told(found)
    if not measured:
        raise last or Missing("there is nothing to compare")
    return measured


def rows_of(measurements: Sequence[Measurement]) -> list[Row]:
    """A row for each server and load, in the order in which they came first."""
    groups: dict[tuple[str, str, int, int], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.server, one.version, one.listeners, one.speakers), []).append(one)
    return [row(group) for group in groups.values()]
