"""Segment logs: what the recorder writes first, and from which replay, clips, stems and review copies are made.

A log is one file of one part of a Space's recording, a few seconds long; a part begins when the process does. Groups
count 20 ms from the Space's start and go on over files, parts and restarts: `group * 20` is the time in milliseconds.
The format is described in `engine-rs/core/src/segment.rs`, what a crash costs in `docs/recordings.md`. Needs nothing
but the engine. Calls that take long let other threads run meanwhile.

    for file in files(Path("recordings"), space):
        if file.closed:
            contents = read(file.path.read_bytes())
    export([file.path for file in files(Path("recordings"), space)], Path("stems"))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from spaces_ctl import _engine
from spaces_ctl._engine import BadLog

__all__ = [
    "LOOKAHEAD",
    "TICK_MS",
    "BadLog",
    "Contents",
    "Damage",
    "Gap",
    "LogFile",
    "MixPacket",
    "Report",
    "SeatFrame",
    "SeatGiven",
    "export",
    "files",
    "ogg",
    "read",
    "repair",
    "silence",
    "verify",
]

TICK_MS = 20
"""Length of a group in milliseconds."""
LOOKAHEAD = 312
"""Samples at 48 kHz by which an Opus encoder is behind what it hears (6.5 ms)."""


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
    """`queue` (disk too slow), `storage` (full or broken), `restart`, `sync` (written, but perhaps not durable), `mix`
    (packets of the mix alone, for the first two causes), `damage` (in a repaired copy: what could not be read)."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What one file holds, in order of group.

    Packets of the mix come up to half a second later than their ticks: the last ones of the groups of a file stand in
    front of the next one.
    """

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
    """Bytes that are no whole record (a torn tail not counted). What they held is missing below without a mark."""
    mix: Sequence[MixPacket]
    frames: Sequence[SeatFrame]
    seats: Sequence[SeatGiven]
    """Those who have a seat when the file begins come first, with the group of their own."""
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of a Space's log."""

    path: Path
    part: int
    """From 1 on."""
    sequence: int
    """Which file of the part, from 0."""
    closed: bool
    """It is complete, and will not change. Otherwise it is being written, or, if it is not the newest of the Space, its
    writer was killed, and it will not change either."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes in the middle of a file that are no whole record."""

    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """How a file is."""

    path: Path
    space: int
    part: int
    sequence: int
    bytes: int
    closed: bool
    """It ends as the recorder ended it; otherwise it is being written, or its writer was killed."""
    final: bool
    """The recording of the Space is complete with it."""
    first_group: int
    last_group: int
    """`first_group - 1` if it tells of none."""
    frames: int
    """Of people, 20 ms each."""
    mix_packets: int
    gaps: Sequence[Gap]
    damage: Sequence[Damage]
    torn_bytes: int
    """Behind the last whole record."""

    @property
    def duration_ms(self) -> int:
        """Time that it spans."""
        return (self.last_group + 1 - self.first_group) * TICK_MS

    @property
    def whole(self) -> bool:
        """Every byte is part of a record. An open file is whole, too, unless its writer was killed within a record."""
        return not self.damage and not self.torn_bytes


def read(data: bytes) -> Contents:
    """What a file holds. Damage and a torn end are no errors: everything that is whole is read.

    Raises `BadLog`: it is none, of another version, shorter than its header, or the header is damaged in more than one
    byte.
    """
    file, mix, frames, seats, gaps = _engine.read_log(data)
    return Contents(
        *file,
        mix=[MixPacket(*row) for row in mix],
        frames=[SeatFrame(*row) for row in frames],
        seats=[SeatGiven(*row) for row in seats],
        gaps=[Gap(*row) for row in gaps],
    )


def files(directory: Path, space: int) -> list[LogFile]:
    """The files of a Space's log in the engine's directory of recordings, in order; of a Space without any, none.

    All but the newest may be taken away at any time. The newest must stay: the recorder learns from it which part comes
    next, and what was missed since. Raises OSError.
    """
    return [LogFile(*row) for row in _engine.list_logs(directory, space)]


def verify(path: Path) -> Report:
    """How a file is. Raises `BadLog` as `read` does, OSError."""
    return _report(path, _engine.verify_log(path))


def repair(path: Path, to: Path) -> tuple[Report, list[Gap]]:
    """Writes a clean, closed copy of `path` to `to`, and tells how `path` is and which gaps mark what is lost.

    `path` is not changed. Raises `BadLog` as `read` does, FileExistsError (`to` is there), OSError.
    """
    row, gaps = _engine.repair_log(path, to)
    return _report(path, row), [Gap(*gap) for gap in gaps]


def export(logs: Sequence[Path | bytes], directory: Path, *, gain_db: float = 0.0) -> list[Path]:
    """Ogg Opus files from all logs of a recording: `account-<id>.opus` of everybody who said something, `mix.opus`.

    All of them span the whole recording, from its first to its last group: a place in one is a time in the Space. What
    is missing, time between parts included, is silence. `seat-<n>.opus` is somebody whom the engine never named.
    Players apply `gain_db` to the mix. The order of `logs` does not matter. Raises `BadLog` (files written before
    stay), ValueError (of several Spaces, none at all, or over a week), OSError.
    """
    return _engine.export_logs(list(logs), directory, gain_db)


_NO_TAGS: Mapping[str, str] = MappingProxyType({})
_KEY = re.compile(r"[ -<>-}]+")


def ogg(
    packets: Iterable[tuple[int, int, bytes]],
    *,
    start_group: int,
    end_group: int,
    gain_db: float = 0.0,
    pre_skip: int = LOOKAHEAD,
    tags: Mapping[str, str] = _NO_TAGS,
) -> bytes:
    """A whole Ogg Opus file (RFC 7845) from `start_group` to before `end_group`, in which samples are wall time.

    `packets` are `(group, ticks, opus)` in order of group. Those outside the file are left out, those that lie across
    its ends kept and trimmed to the sample; what is missing, or no Opus packet of that length, becomes encoded silence.
    Players apply `gain_db`. `pre_skip` are samples that they drop: all beyond `LOOKAHEAD` is taken from the front of
    the file, so for a cut begin four groups early with `pre_skip=LOOKAHEAD + 4 * 960`, which lets decoders settle.
    Raises ValueError: packets out of order, groups that are no time or over a week, a gain beyond ±128 dB, a tag that
    is none.
    """
    for key in tags:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no name of an Ogg comment")
    comments = [f"{key}={value}" for key, value in tags.items()]
    serial = start_group & 0xFFFFFFFF
    return _engine.ogg_file(list(packets), start_group, end_group, gain_db, pre_skip, comments, serial)


def silence(ticks: int) -> bytes:
    """An Opus packet of 1 to 3 ticks of silence, 48 kHz mono. Raises ValueError."""
    return _engine.silent_packet(ticks)


def _report(path: Path, row: _engine._Report) -> Report:
    file, size, damage, torn, frames, mix, gaps = row
    space, part, sequence, _, first, last, closed, final, _ = file
    return Report(
        path=path,
        space=space,
        part=part,
        sequence=sequence,
        bytes=size,
        closed=closed,
        final=final,
        first_group=first,
        last_group=last,
        frames=frames,
        mix_packets=mix,
        gaps=[Gap(*gap) for gap in gaps],
        damage=[Damage(*bad) for bad in damage],
        torn_bytes=torn,
    )
