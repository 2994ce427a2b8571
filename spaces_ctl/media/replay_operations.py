"""What the media worker is asked of a replay that is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from spaces_ctl.media import publishing
from spaces_ctl.media.layout import replay_prefix
from spaces_ctl.media.requests import Complete, Done, Trim
from spaces_ctl.media.trimming import trim_replay
from spaces_ctl.segments import Contents

if TYPE_CHECKING:
    from spaces_ctl.media.worker import Worker

__all__ = ["complete", "trim"]


async def complete(worker: Worker, request: Complete) -> Done:
    """What nobody waits for when the Space is over: `audio.m4a`."""
    await publishing.complete(worker.patient, replay_prefix(request.space))
    return Done()


async def trim(worker: Worker, request: Trim) -> Done:
    """Raises MediaError (`source.gone`: there is no replay)."""

    def source(from_group: int, to_group: int) -> AsyncIterator[Contents]:
        return worker.patient_archive.contents(request.space, from_group, to_group)

    await trim_replay(worker.patient, replay_prefix(request.space), source, request.start_ms)
    return Done()
