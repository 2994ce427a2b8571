"""What the log says of recordings, told to whoever makes them: finalised, cut. A reader of the log.

What is to be deleted, another reader writes down (`service.deletions`).
"""

from __future__ import annotations

from collections.abc import Sequence

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.events import Recorded
from spaces_ctl.model import SYSTEM, SpaceId
from spaces_ctl.policy.state import ReplayStatus
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Recordings
from spaces_ctl.service.reactor import Unit
from spaces_ctl.service.spaces import Spaces

__all__ = ["MediaReaction"]


class MediaReaction:
    """A `service.reactor.Reaction`. Every call may be repeated after a crash: recordings take that for done already."""

    def __init__(self, *, spaces: Spaces, recordings: Recordings) -> None:
        """On the service whose log is read."""
        self._spaces = spaces
        self._recordings = recordings

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """Carries out what follows; there is nothing to write. Raises what the recordings raise."""
        for recorded in events:
            await self._take(recorded.space, recorded.event)
        return lambda connection: None

    async def _take(self, space: SpaceId, event: e.SpaceEvent) -> None:
        recordings = self._recordings
        match event:
            case e.Ended():
                await self._finalize(space)
            case e.ClipCreated():
                await recordings.cut(space, event.clip, event.start_ms, event.end_ms)
            case _:
                pass

    async def _finalize(self, space: SpaceId) -> None:
        if (await self._spaces.get(space)).replay.status is not ReplayStatus.PROCESSING:
            return  # nothing was recorded, or it is done already
        duration_ms = await self._recordings.finalize(space)
        try:
            await self._spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=duration_ms))
        except ServiceError as refused:
            if refused.code in ("store.unavailable", "version.conflict"):
                raise
            # Deleted in the meantime.
