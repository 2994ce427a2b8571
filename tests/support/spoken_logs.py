"""Logs in which two people speak, each on a seat, with a live mix beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from spaces_ctl.demo.speech import voices
from spaces_ctl.media.spool import spool_of
from spaces_ctl.segments import Contents, Gap, SeatFrame, SeatGiven
from tests.support.clip_logs import RATE, Pcm, contents, mix

__all__ = ["ANN_AT", "BEN_AT", "FILE_GROUPS", "SpokenLogs", "frames", "log", "spoken", "voice"]

FILE_GROUPS = 200
ANN_AT, BEN_AT = 100, 500
"""Groups at which they begin."""


def voice(number: int, seconds: int) -> Pcm:
    return voices(2)[number].samples[: seconds * RATE]


def frames(sound: Pcm, first_group: int, seat: int, generation: int) -> list[SeatFrame]:
    return [
        SeatFrame(packet.group, seat, generation, 30, packet.start, packet.end, packet.opus)
        for packet in mix(sound, first_group, ticks=1)
    ]


def spoken() -> list[SeatFrame]:
    """20 s: one from second 2 for 6 s (seat 0), the other from second 10 for 5 s (seat 3)."""
    return [*frames(voice(0, 6), ANN_AT, 0, 1), *frames(voice(1, 5), BEN_AT, 3, 2)]


def log(
    said: Sequence[SeatFrame],
    end_group: int,
    ann: int,
    ben: int,
    *,
    gaps: Sequence[Gap] = (),
    space: int = 1,
    started_at_ms: int = 0,
) -> list[Contents]:
    """Files of four seconds."""
    packets = mix(voice(0, end_group // 50), 0)
    files = []
    for number, first in enumerate(range(0, end_group, FILE_GROUPS)):
        last = min(first + FILE_GROUPS, end_group) - 1
        files.append(
            contents(
                [packet for packet in packets if first <= packet.group <= last],
                sequence=number,
                first_group=first,
                last_group=last,
                frames=[frame for frame in said if first <= frame.group <= last],
                seats=[SeatGiven(first, 0, 1, ann), SeatGiven(first, 3, 2, ben)],
                gaps=[gap for gap in gaps if first <= gap.from_group <= last],
                space=space,
                started_at_ms=started_at_ms,
                final=last + 1 == end_group,
            )
        )
    return files


class SpokenLogs:
    """Writes them where the engine would."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def write(self, files: Sequence[Contents]) -> None:
        for file in files:
            directory = spool_of(self._spool, file.space)
            directory.mkdir(parents=True, exist_ok=True)
            name = f"{file.part:04}.{file.sequence:06}.seg"
            (directory / name).write_bytes(msgspec.msgpack.encode(file))
