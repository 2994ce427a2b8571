"""What an engine tells of itself when it is asked: part of `spaces_ctl.engine`. Import that instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Roster:
    """A page of the people in a Space."""

    listeners: list[tuple[int, int]]
    """Account and session id (of the newest session), ascending by account."""
    next: int | None
    """The `after` of the next page; None at the end."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of a recording."""

    path: Path
    kind: Literal["log", "mix", "track"]
    """A file of the segment log (`spaces_ctl.segments` reads it), the Ogg Opus track of the mix, or one person's."""
    seat: int | None
    account: int | None
    part: int
    """Parts begin anew when the process was restarted."""
    start_group: int
    """The file begins at this group (× 20 ms since the Space began)."""
    duration_ms: int
    bytes: int
    finished: bool


@dataclass(frozen=True, slots=True)
class MixerStats:
    """Counters of the mixer's threads since the start."""

    packets: int
    """Packets made."""
    ticks: int
    """Ticks of 20 ms mixed, of all Spaces."""
    dropped: int
    """Ticks that did not fit the mixer's queue: the mix has holes there, the stage has not."""
    spaces: int
    """Spaces in which somebody has talked in the last half minute."""
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the start, all shards together; `shards` has each one's own under the same names.

    There are more of these in `shards`, among them `packets_forwarded` (packets that reached the wrong shard and were
    passed on: none where the kernel steers), `joins_given` (first packets of connections that were given to a shard
    with fewer), `mail_dropped` and `mail_stale` (audio of other shards that found no room, or waited too long), and
    `pinned`.
    """

    sessions: int
    connections: int
    cpu_seconds: float
    datagrams_sent: int
    stream_objects_sent: int
    packets_received: int
    ticks: int
    skipped: int
    admitted: int
    refusals: Mapping[str, int]
    """By policy code."""
    verdicts: Mapping[str, int]
    """What became of uplink frames."""
    mixer: MixerStats
    shards: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, shards: Sequence[Mapping[str, Any]], mixers: Sequence[Mapping[str, Any]]) -> Self:
        """The counters of each shard and of each mixer, added up."""

        def total(name: str) -> int:
            return sum(shard[name] for shard in shards)

        def merged(name: str) -> dict[str, int]:
            keys = dict.fromkeys(key for shard in shards for key in shard[name])
            return {key: sum(shard[name].get(key, 0) for shard in shards) for key in keys}

        return cls(
            sessions=total("sessions"),
            connections=total("connections"),
            cpu_seconds=sum(shard["cpu_seconds"] for shard in shards),
            datagrams_sent=total("datagrams_sent"),
            stream_objects_sent=total("stream_objects_sent"),
            packets_received=total("packets_received"),
            ticks=total("ticks"),
            skipped=total("skipped"),
            admitted=total("admitted"),
            refusals=merged("refusals"),
            verdicts=merged("verdicts"),
            mixer=MixerStats(**{name: sum(mixer[name] for mixer in mixers) for name in mixers[0]}),
            shards=shards,
        )
