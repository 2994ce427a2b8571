"""What a measurement is, and how it is kept: one JSON line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from spaces_ctl.bench.times import Times

__all__ = ["BadResults", "Measurement", "Ratio", "Row", "Tier", "append", "median", "paired", "read", "row"]

Tier = Literal["stage", "mix"]
FRAMES_PER_SECOND = 50
"""Opus frames of 20 ms."""


class BadResults(ValueError):
    """A file of results that cannot be read."""


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of `spaces bench compare`, exactly: one server under one load, median of its rounds."""

    server: str
    version: str
    listeners: int
    speakers: int
    frames_per_core_second: float
    """Frames of 20 ms delivered for a second of the server's own user and system time."""
    loss_ratio: float
    p50_ms: float | None
    p99_ms: float | None
    bytes_per_listener: float
    """Resident memory with all listeners less that without, for each."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One round of one scenario."""

    scenario: str
    server: str
    version: str
    commit: str = ""
    tier: Tier = "stage"
    listeners: int
    speakers: int
    spaces: int = 1
    shards: int = 1
    seconds: int
    loss: float = 0.0
    """Share of packets that the emulated network loses, each way."""
    jitter_ms: float = 0.0
    ack_frequency: bool = False
    awake: bool = False
    """The server's cores were kept from sleeping (`awake.py`)."""
    delivered: int
    expected: int
    worst_listener_loss: float = 0.0
    repeated: int = 0
    checked: int = 0
    broken: int = 0
    """Payloads that were not what was sent; there must be none."""
    failed: int = 0
    """Listeners who did not get in, or were thrown out."""
    first_failure: str | None = None
    """Why the first of them did not."""
    server_cpu_seconds: float
    load_cpu_seconds: float
    load_turn_p99_ms: float | None = None
    """How long a turn of the load's loop takes: much above 1 ms, the load is what is measured."""
    bytes_per_listener: float
    latency_us: list[tuple[int, int]]
    first_audio_us: list[tuple[int, int]] = []
    """Of those who joined while it was measured (`joiners`)."""
    joiners: int = 0
    joiners_failed: int = 0
    others_gone: int = 0
    """Of the stalled, the hostile: those whose connection the server ended."""

    @property
    def loss_ratio(self) -> float:
        """Frames that did not come, of those due; 1 where nothing was due."""
        return 1 - self.delivered / self.expected if self.expected else 1.0

    @property
    def frames_per_core_second(self) -> float:
        """See `Row`."""
        return self.delivered / self.server_cpu_seconds if self.server_cpu_seconds else 0.0

    @property
    def listeners_per_core(self) -> float:
        """Listeners that a fully used core would serve, at this measurement's cost of each."""
        return self.listeners * self.seconds / self.server_cpu_seconds if self.server_cpu_seconds else 0.0

    @property
    def latency(self) -> Times:
        """Of frames."""
        return Times.of(self.latency_us)

    @property
    def first_audio(self) -> Times:
        """Of joiners, from when they were to join."""
        return Times.of(self.first_audio_us)


def median(values: Iterable[float]) -> float:
    """The middle value; of two, the lower, so that it is one that was measured. Raises ValueError if none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("the median of nothing")
    return ordered[(len(ordered) - 1) // 2]


class Ratio(NamedTuple):
    """How one compares with another, round by round."""

    median: float
    least: float
    most: float
    pairs: int

    def __str__(self) -> str:
        return f"{self.median:.2f} × ({self.least:.2f} to {self.most:.2f} in {self.pairs} pairs)"


def paired(
    above: Sequence[Measurement], below: Sequence[Measurement], of: Callable[[Measurement], float]
) -> Ratio | None:
    """The rounds of two servers or loads that were measured in turn; None if there is no pair."""
    ratios = [of(one) / of(other) for one, other in zip(above, below, strict=False) if of(other)]
    return Ratio(median(ratios), min(ratios), max(ratios), len(ratios)) if ratios else None


def row(rounds: Sequence[Measurement]) -> Row:
    """The row of all rounds of one server and load: medians, column by column. Raises ValueError if none."""
    p50 = [found for one in rounds if (found := one.latency.quantile_ms(0.50)) is not None]
    p99 = [found for one in rounds if (found := one.latency.quantile_ms(0.99)) is not None]
    first = next(iter(rounds), None)
    if first is None:
        raise ValueError("a row of no rounds")
    return Row(
        server=first.server,
        version=first.version,
        listeners=first.listeners,
        speakers=first.speakers,
        frames_per_core_second=round(median(one.frames_per_core_second for one in rounds)),
        loss_ratio=round(median(one.loss_ratio for one in rounds), 6),
        p50_ms=round(median(p50), 2) if p50 else None,
        p99_ms=round(median(p99), 2) if p99 else None,
        bytes_per_listener=round(median(one.bytes_per_listener for one in rounds)),
    )


def append(path: Path, measurement: Measurement) -> None:
    """Writes one line at the end. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(measurement) + b"\n")


def read(path: Path) -> list[Measurement]:
    """All lines. Raises BadResults, naming the line, and OSError."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=Measurement))
        except msgspec.MsgspecError as error:
            raise BadResults(f"{path}:{number}: {error}") from None
    return found
