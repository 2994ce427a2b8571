"""Segment logs: what the recorder writes first, and from which replay, clips, stems and review copies are made.

A log is one file of one part of a Space's recording, a few seconds long; a part begins when the process does. Groups
count 20 ms from the Space's start and go on over files, parts and restarts: `group * 20` is the time in milliseconds.
The format is described in `engine-rs/core/src/segment.rs`. Needs nothing but the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TICK_MS", "Contents", "Gap", "MixPacket", "SeatFrame", "SeatGiven"]

TICK_MS = 20
"""Length of a group in milliseconds."""


@dataclass(frozen=True, slots=True)
class MixPacket:
    """One packet of the live mix: 48 kHz mono Opus, `ticks` * 20 ms long."""

    group: int
    """Its first group."""
    ticks: int
    """1, 2 or 3."""
    seats: int
    """Bit mask of the seats that are heard in it."""
    levels: bytes
    """Level of each seat in its last tick, 13 bytes: 0 (loudest) to 127 (silence), in -dBov (RFC 6464)."""
    start: bool
    """The first after a pause."""
    end: bool
    """The last before a pause."""
    opus: bytes


@dataclass(frozen=True, slots=True)
class SeatFrame:
    """20 ms of one person, as they sent it."""

    group: int
    seat: int
    generation: int
    level: int
    """In -dBov (RFC 6464)."""
    start: bool
    """First of a talkspurt."""
    end: bool
    """Last of one."""
    opus: bytes


@dataclass(frozen=True, slots=True)
class SeatGiven:
    """From `group` on a seat is somebody's; `account` 0: nobody's."""

    group: int
    seat: int
    generation: int
    account: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Groups that were not recorded."""

    from_group: int
    groups: int
    cause: str
    """`queue` (disk too slow), `storage` (full or broken), `restart`, `sync` (written, but perhaps not durable)."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What one file holds, in order of group."""

    space: int
    part: int
    sequence: int
    """Which file of the part, from 0."""
    started_at_ms: int
    """Wall clock of group 0."""
    first_group: int
    last_group: int
    """The newest group that the file tells of; `first_group - 1` if of none."""
    closed: bool
    """It ends as the recorder ended it: nothing follows in this file."""
    final: bool
    """The recording of the Space is complete with it."""
    damaged_bytes: int
    """Bytes that are no whole record (a torn tail not counted)."""
    mix: Sequence[MixPacket]
    frames: Sequence[SeatFrame]
    seats: Sequence[SeatGiven]
    gaps: Sequence[Gap]
