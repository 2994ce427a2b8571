"""The end of a recording: the last file into the store, the replay complete, the spool empty.

Everything else was done while the Space was live, so that this takes moments, however long it was.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from spaces_ctl.media.following import Follower
from spaces_ctl.media.layout import SourceName, ready_name, source_prefix
from spaces_ctl.media.objects import NoObject
from spaces_ctl.media.requests import Finalize, Finalized

if TYPE_CHECKING:
    from spaces_ctl.media.worker import Worker

__all__ = ["finalize"]

_log = logging.getLogger(__name__)
_LOOK_S = 0.1
_PATIENCE_LOOKS = 30
"""The recorder ends its file within 0.1 s of the Space, if its disk answers."""


async def finalize(worker: Worker, request: Finalize) -> Finalized:
    """Completes a recording. Waits as long as the store is down. Raises MediaError (`source.key`)."""
    space, plan = request.space, request.plan
    # Taken out at once: after a failure in the middle nobody goes on with a half of it, the next one begins anew.
    follower = worker.followers.pop(space, None) or Follower(worker, space, plan)
    worker.finishing[space] = follower
    try:
        await follower.stop()
        if plan.keep and not follower.plan.keep:
            follower.keep_from_now_on()
        follower.plan = plan
        return await _finish(worker, follower, request.end_group)
    finally:
        worker.finishing.pop(space, None)


async def _finish(worker: Worker, follower: Follower, end_group: int) -> Finalized:
    space, plan = follower.space, follower.plan
    ready = await _ready(worker, space) if plan.public else Finalized(duration_ms=0)
    follower.already_packaged = ready is not None
    await _await_the_recorder(worker, follower)
    await follower.take(all_of_it=True)
    if ready is None:
        ready = await _complete(worker, follower, end_group)
    await _drop_what_is_not_kept(worker, follower)
    worker.spool.clear(space)
    return ready


async def _ready(worker: Worker, space: int) -> Finalized | None:
    """What an earlier worker made of it, if it came to the end."""
    try:
        return msgspec.json.decode(await worker.patient.get(ready_name(space)), type=Finalized)
    except NoObject:
        return None


async def _await_the_recorder(worker: Worker, follower: Follower) -> None:
    """Until its last file is there, or nothing has come for a while: it may have died."""
    quiet, size = 0, -1
    while quiet < _PATIENCE_LOOKS:
        await follower.take()
        entries = worker.spool.entries(follower.space)
        if follower.final or not entries:
            return
        before, size = size, len(worker.spool.load(entries[-1]) or b"")
        quiet = quiet + 1 if size == before else 0
        await worker.sleep(_LOOK_S)
    _log.warning("the recorder did not finish the recording of %d; what is there is taken", follower.space)


async def _complete(worker: Worker, follower: Follower, end_group: int) -> Finalized:
    stop_group = follower.plan.stop_group
    end_group = follower.end_group if follower.final else max(end_group, follower.end_group)
    if stop_group is not None:
        end_group = min(end_group, stop_group)
    summary = await follower.packager.finish(end_group)
    ready = Finalized(
        duration_ms=summary.duration_ms,
        loudness_lufs=summary.loudness_lufs,
        gain_db=summary.gain_db,
        segments=summary.segments,
    )
    await worker.patient.put(ready_name(follower.space), msgspec.json.encode(ready))
    return ready


async def _drop_what_is_not_kept(worker: Worker, follower: Follower) -> None:
    plan, prefix = follower.plan, source_prefix(follower.space)
    if not plan.keep:
        await worker.patient.delete(prefix)
    elif plan.stop_group is not None and not plan.review:
        # It may have gone there in the moment before the stop was known here.
        for path, _ in await worker.patient.list(prefix):
            name = SourceName.parse(path)
            if name is not None and name.end_group > plan.stop_group:
                await worker.patient.delete(path)
