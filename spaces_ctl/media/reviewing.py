"""A stretch of what was recorded, for a moderator's ears: read, decrypted and wrapped in memory, kept nowhere."""

from __future__ import annotations

from spaces_ctl.media.bench import Stores
from spaces_ctl.media.exporting import ogg_of
from spaces_ctl.media.handouts import ReviewTrack, Sound, Voice, Voices, WhoSpeaks
from spaces_ctl.media.voices import Spans
from spaces_ctl.segments import TICK_MS

__all__ = ["review_track", "who_speaks"]


async def who_speaks(worker: Stores, request: WhoSpeaks) -> Voices:
    """Everybody of whom there is a frame. Raises MediaError (`source.key`), StoreUnavailable."""
    begin, end = request.from_group, request.to_group
    spans = await Spans.of(worker.archive.contents(request.space, begin, end), begin, end)
    people = (Voice(account=account, spoke_ms=groups * TICK_MS) for account, groups in sorted(spans.groups.items()))
    return Voices(mix=spans.mix, people=tuple(people))


async def review_track(worker: Stores, request: ReviewTrack) -> Sound:
    """Ogg Opus of the stretch; pauses are silence.

    Raises MediaError (`source.gone`, `source.key`), StoreUnavailable.
    """
    begin, end = request.from_group, request.to_group
    return Sound(ogg=await ogg_of(worker.archive, request.space, request.account, begin, end))
