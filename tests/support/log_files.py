"""Logs as a recorder would leave them, written by tests: the same contents in a plain format of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from spaces_ctl.media.spool import spool_of
from spaces_ctl.segments import Contents, MixPacket

__all__ = ["PlainLogs", "Recording", "a_packet"]

_GROUPS = 200
"""Four seconds."""


@dataclass(frozen=True)
class _File:
    path: Path
    part: int
    sequence: int
    closed: bool


class PlainLogs:
    """`spool.LogFiles` of msgpack. A file that grows is `….open`."""

    def files(self, directory: Path, space: int) -> Sequence[_File]:
        found = []
        for path in sorted(spool_of(directory, space).iterdir()):
            part, sequence, kind = path.name.split(".")
            found.append(_File(path, int(part), int(sequence), kind == "seg"))
        return found

    def read(self, data: bytes) -> Contents:
        return msgspec.msgpack.decode(data, type=Contents)


def a_packet(group: int, opus: bytes | None = None) -> MixPacket:
    """60 ms that can be recognised."""
    return MixPacket(group, 3, 1, bytes(13), False, False, opus or b"opus of group %d" % group)


class Recording:
    """One Space's recording, as it grows."""

    def __init__(self, spool: Path, space: int, *, started_at_ms: int, part: int = 1, group: int = 0) -> None:
        self.directory = spool_of(spool, space)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.space = space
        self.started_at_ms = started_at_ms
        self.part = part
        self.sequence = 0
        self.group = group
        self.packets: list[MixPacket] = []
        """All that were written."""

    def write(self, *, final: bool = False, closed: bool = True, packets: Sequence[MixPacket] | None = None) -> Path:
        """The next four seconds."""
        end = self.group + _GROUPS
        if packets is None:
            packets = [a_packet(group) for group in range(self.group, end, 3) if group + 3 <= end]
        contents = Contents(
            space=self.space, part=self.part, sequence=self.sequence, started_at_ms=self.started_at_ms,
            first_group=self.group, last_group=end - 1, closed=closed, final=final, damaged_bytes=0,
            mix=list(packets), frames=[], seats=[], gaps=[],
        )  # fmt: skip
        path = self.directory / f"{self.part:04}.{self.sequence:06}.{'seg' if closed else 'open'}"
        hidden = self.directory.parent / ".half"
        hidden.write_bytes(msgspec.msgpack.encode(contents))
        hidden.rename(path)
        self.packets += packets
        self.group = end
        self.sequence += 1
        return path
