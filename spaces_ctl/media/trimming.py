"""The replay begins elsewhere: nothing is encoded anew but what an earlier trim had deleted.

The start lies on a group (20 ms). The first packet is the first that begins there or later, with silence before it if
it is later: Opus packets are never cut. The decoder is not warmed up with what lies before (80 ms of pre-roll, RFC 7845
section 4.6), as then that would still be in the file; it takes some 40 ms to be itself again, like a fade-in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from spaces_ctl.media import publishing
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.gapless import Gapless, Piece
from spaces_ctl.media.ledger import Ledger
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.packaging import ReplaySummary, summary
from spaces_ctl.media.segment_maker import WARM_TICKS, Measured, SegmentMaker
from spaces_ctl.segments import TICK_MS, Contents

__all__ = ["Source", "trim_replay"]

Source = Callable[[int, int], AsyncIterator[Contents]]
"""What was recorded from a group to another, as `archive.Archive.contents`."""


async def trim_replay(objects: Objects, prefix: str, source: Source, start_ms: int) -> ReplaySummary:
    """Begins `start_ms` after the recording did, earlier than now or later; what lies before is deleted.

    Raises MediaError (`source.gone`), StoreUnavailable.
    """
    now = await publishing.manifest(objects, prefix)
    if now is None:
        raise MediaError("source.gone", "there is no replay")
    start_group = min(now.first_group + max(0, start_ms) // TICK_MS, now.end_group - 1)
    if start_group == now.start_group:
        await publishing.complete(objects, prefix)
        return summary(now)
    ledger = await Ledger.load(objects, prefix)
    there = {name.removeprefix(f"{prefix}/") for name, _ in await objects.list(f"{prefix}/hls")}
    lost = [one for one in ledger.segments if one.end > start_group and publishing.opus_name(one.number) not in there]
    if lost:
        await _make_again(objects, prefix, source, now.first_group, lost, now.end_group)
    made = await publishing.publish(objects, prefix, ledger, start_group=start_group, end_group=now.end_group)
    await publishing.complete(objects, prefix)
    return summary(made)


async def _make_again(
    objects: Objects, prefix: str, source: Source, origin: int, lost: list[Measured], end_group: int
) -> None:
    """Segments that lie before an earlier start. They are a row."""
    first, last = lost[0], lost[-1]
    gapless = Gapless(max(origin, first.group - WARM_TICKS))
    warm: list[Piece] = []
    maker: SegmentMaker | None = None
    wanted = {one.number for one in lost}

    async def make(piece: Piece) -> None:
        nonlocal maker
        if piece.group < first.group:
            warm.append(piece)
            return
        maker = maker or SegmentMaker(origin, number=first.number, group=first.group, warm=warm)
        for made in maker.feed(piece):
            if made.measured.number in wanted:
                await publishing.store_segment(objects, prefix, made)

    # One more group than the next segment's first packet: the AAC of the last one reaches into it.
    until = min(end_group, last.end + WARM_TICKS)
    async for contents in source(gapless.next, until):
        for packet in contents.mix:
            if packet.group >= until:
                break
            if packet.group < first.group < packet.group + packet.ticks:
                continue
            for border in (first.group, last.end):
                if gapless.next < border <= packet.group:
                    for piece in gapless.fill(border):
                        await make(piece)
            for piece in gapless.take(packet):
                await make(piece)
    for border in (first.group, last.end, until):
        for piece in gapless.fill(border):
            await make(piece)
    if maker is not None:
        for made in maker.finish(until):
            if made.measured.number in wanted:
                await publishing.store_segment(objects, prefix, made)
