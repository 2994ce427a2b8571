"""What else the worker can be asked: deletions in the store, what lies in the spool, how it is doing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spaces_ctl.media.layout import space_prefix
from spaces_ctl.media.requests import Delete, Deleted, Done, Figures, Spooled

if TYPE_CHECKING:
    from spaces_ctl.media.worker import Worker

__all__ = ["delete", "figures", "spooled"]

_log = logging.getLogger(__name__)


async def delete(worker: Worker, request: Delete) -> Deleted:
    """Deletes parts of a Space, or everything. Raises StoreUnavailable: some may be left."""
    await worker.interrupt(request.space)
    prefix = space_prefix(request.space)
    objects = size = 0
    for name in [f"{prefix}/{part}" for part in request.parts] or [prefix]:
        gone = await worker.objects.delete(name)
        objects, size = objects + gone.objects, size + gone.bytes
    return Deleted(objects=objects, bytes=size)


async def spooled(worker: Worker, _: Done) -> Spooled:
    """Spaces of which something lies in the spool."""
    return Spooled(spaces=tuple(worker.spool.spaces()))


async def figures(worker: Worker, _: Done) -> Figures:
    """How it is doing; low space is told in the log when it begins and when it is over."""
    tally, followers = worker.tally, [*worker.followers.values(), *worker.finishing.values()]
    waiting = [follower.waiting() for follower in followers]
    free = worker.spool.free()
    low = free < worker.settings.least_free_bytes
    if low and not worker.low_space:
        _log.warning("little room is left for recordings: %d MB", free // 2**20)
    elif worker.low_space and not low:
        _log.info("there is room for recordings again: %d MB", free // 2**20)
    worker.low_space = low
    return Figures(
        following=len(followers),
        spool_bytes=worker.spool.size(),
        free_bytes=free,
        low_space=low,
        waiting_files=sum(files for files, _ in waiting),
        lag_s=max((lag_ms for _, lag_ms in waiting), default=0) / 1000,
        uploaded_bytes=tally.bytes,
        uploaded_objects=tally.objects,
        store_failures=tally.failures,
        store_down=tally.down,
    )
