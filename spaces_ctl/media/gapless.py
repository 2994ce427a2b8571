"""The live mix as one run of packets without a hole: pauses, gaps and what came too late become encoded silence.

So media time is the clock's time: group `g` of the Space is at `(g - first_group) * 20` ms, whatever was recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spaces_ctl.media.opus import MOST_TICKS, filling
from spaces_ctl.segments import MixPacket

__all__ = ["LOUDEST_SILENT", "Gapless", "Piece", "grid", "speaking"]

LOUDEST_SILENT = 50
"""A seat at this level (-dBov, RFC 6464) or below is an open microphone in a quiet room, not somebody who speaks."""


class Piece(NamedTuple):
    """A packet in its place; the next one begins where it ends."""

    group: int
    ticks: int
    opus: bytes
    seats: int = 0
    """Bit mask of those who speak in it."""

    @property
    def end(self) -> int:
        """The group after it."""
        return self.group + self.ticks


class Gapless:
    """Packets in, pieces out. A packet that begins before the last one's end was seen before or is a stray: dropped."""

    def __init__(self, first_group: int) -> None:
        self.next = first_group
        """The group that comes next."""

    def take(self, packet: MixPacket) -> Iterator[Piece]:
        """The packet, and silence before it where nothing was."""
        if packet.group < self.next:
            return
        yield from self.fill(packet.group)
        self.next += packet.ticks
        yield Piece(packet.group, packet.ticks, packet.opus, speaking(packet))

    def fill(self, until: int) -> Iterator[Piece]:
        """Silence up to a group. Its packets end on a grid, so that they are the same whenever it is filled."""
        while self.next < until:
            end = min(until, grid(self.next) + MOST_TICKS)
            for ticks, opus in filling(end - self.next):
                group, self.next = self.next, self.next + ticks
                yield Piece(group, ticks, opus)


def grid(group: int) -> int:
    """The last group at or before this one on which silence may end although nothing follows yet."""
    return group - group % MOST_TICKS


def speaking(packet: MixPacket) -> int:
    """Bit mask of the seats that are heard and loud enough for it."""
    mask = 0
    for seat, level in enumerate(packet.levels):
        if packet.seats >> seat & 1 and level < LOUDEST_SILENT:
            mask |= 1 << seat
    return mask
