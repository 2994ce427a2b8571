"""A Space's replay, made while it is live: segments as they become complete, the rest at its end.

    packager = Packager(objects, replay_prefix(space), first_group=plan.first_group)
    await packager.add(contents)     # every finished file of the log, in order
    summary = await packager.finish(end_group)   # there is a replay
    await packager.complete()        # and its download for those who know no Opus

Nothing is remembered here that the store does not say: another process begins with the log's first file again, what was
seen is skipped in microseconds, and the next segment is made as if nothing had happened.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

import msgspec

from spaces_ctl.media import publishing
from spaces_ctl.media.gapless import Gapless, Piece, grid
from spaces_ctl.media.ledger import Entry, Ledger
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.replay_files import Manifest
from spaces_ctl.media.segment_maker import WARM_TICKS, Made, SegmentMaker
from spaces_ctl.media.timeline import Given, Missing
from spaces_ctl.segments import Contents, MixPacket

__all__ = ["SILENT_LUFS", "Packager", "ReplaySummary", "summary"]

SILENT_LUFS = -70.0
"""Told as loudness where nothing can be measured: BS.1770's absolute gate."""

_LATE_GROUPS = 100
"""How far (2 s) the mix may be behind what else the log tells: only what is older is a pause for certain."""


class ReplaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the replay has become."""

    duration_ms: int
    loudness_lufs: float
    """Integrated, as it was mixed."""
    gain_db: float
    """What is added when it is played."""
    segments: int


class Packager:
    """One Space's. Every call may be repeated, also after StoreUnavailable. Calls follow one another."""

    def __init__(self, objects: Objects, prefix: str, *, first_group: int) -> None:
        """`prefix` is where the replay is to lie, `first_group` where it begins."""
        self._objects = objects
        self._prefix = prefix
        self._origin = first_group
        self._ledger: Ledger | None = None
        self._maker: SegmentMaker | None = None
        self._border = first_group
        """The first group that no earlier process has dealt with."""
        self._gapless = Gapless(first_group)
        self._warm: list[Piece] = []
        self._finished: deque[Made] = deque()
        """Segments that are not in the store yet."""
        self._started_at_ms = 0
        self._given: set[Given] = set()
        self._missing: set[Missing] = set()

    async def add(self, contents: Contents) -> None:
        """The next file of the log; one seen before may come again. Raises StoreUnavailable."""
        await self._open()
        self._started_at_ms = contents.started_at_ms
        self._given |= {(given.group, given.seat, given.account) for given in contents.seats}
        self._missing |= {(gap.from_group, gap.groups, gap.cause) for gap in contents.gaps}
        for packet in contents.mix:
            await self._make(self._pieces(packet))
        await self._make(self._silence(grid(contents.last_group - _LATE_GROUPS)))

    async def finish(self, end_group: int) -> ReplaySummary:
        """No more follow: from now on there is a replay, up to this group. Raises StoreUnavailable."""
        ledger = await self._open()
        end_group = max(end_group, self._origin + 1)
        manifest = await publishing.manifest(self._objects, self._prefix)
        if manifest is None:
            await self._make(self._silence(end_group))
            if self._maker is not None:
                self._finished.extend(self._maker.finish(end_group))
                self._maker = None
            await self._store()
            await ledger.bind()
            manifest = await publishing.publish(
                self._objects, self._prefix, ledger, start_group=self._origin, end_group=end_group
            )
        return summary(manifest)

    async def complete(self) -> None:
        """What may come after `finish`: the download in AAC; what was only needed to make it goes.

        Raises StoreUnavailable.
        """
        await publishing.complete(self._objects, self._prefix)

    async def _open(self) -> Ledger:
        if self._ledger is None:
            self._ledger = ledger = await Ledger.load(self._objects, self._prefix)
            self._given |= ledger.given
            self._missing |= ledger.missing
            if ledger.entries:
                self._started_at_ms = ledger.entries[-1].started_at_ms
                self._border = ledger.segments[-1].end
                self._gapless.next = max(self._origin, self._border - WARM_TICKS)
        return self._ledger

    def _pieces(self, packet: MixPacket) -> Iterator[Piece]:
        if packet.group + packet.ticks > self._border > packet.group:
            return  # not one of those that were seen before
        if packet.group >= self._border:
            yield from self._silence(self._border)
        yield from self._gapless.take(packet)

    def _silence(self, until: int) -> Iterator[Piece]:
        # A piece begins at the border, as one did when the segment before it was made.
        for end in (min(until, self._border), until):
            yield from self._gapless.fill(end)

    async def _make(self, pieces: Iterator[Piece]) -> None:
        for piece in pieces:
            if piece.group < self._border:
                self._warm.append(piece)
                continue
            if self._maker is None:
                number = len(self._ledger.entries) if self._ledger else 0
                self._maker = SegmentMaker(self._origin, number=number, group=self._border, warm=self._warm)
                self._warm.clear()
            for made in self._maker.feed(piece):
                self._finished.append(made)
                await asyncio.sleep(0)
        await self._store()

    async def _store(self) -> None:
        ledger = await self._open()
        while self._finished:
            made = self._finished[0]
            await publishing.store_segment(self._objects, self._prefix, made)
            entry = Entry(
                measured=made.measured,
                started_at_ms=self._started_at_ms,
                given=tuple(self._given - ledger.given),
                missing=tuple(self._missing - ledger.missing),
            )
            await ledger.append(entry)
            self._finished.popleft()


def summary(manifest: Manifest) -> ReplaySummary:
    """The same in short."""
    return ReplaySummary(
        duration_ms=manifest.duration_ms,
        loudness_lufs=SILENT_LUFS if manifest.loudness_lufs is None else manifest.loudness_lufs,
        gain_db=manifest.gain_db,
        segments=manifest.segments,
    )
