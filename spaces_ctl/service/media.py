"""What the log says of recordings, told to whoever makes them: followed, finalised, cut, trimmed. A reader of the log.

What is to be deleted, another reader writes down (`service.deletions`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.model import SYSTEM, SpaceId, Status
from spaces_ctl.policy.state import ReplayStatus
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Recordings
from spaces_ctl.service.reactor import Unit
from spaces_ctl.service.spaces import Spaces

__all__ = ["MediaReaction", "concerns"]

_log = logging.getLogger(__name__)
_HOPELESS_MS = 10 * 60_000
"""A clip whose source was not found for so long will never be made."""
_THERE = (ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)


def concerns(event: e.SpaceEvent) -> bool:
    """Whether recordings have to do anything about it."""
    match event:
        case e.SettingChanged():
            return event.clips is not None or event.record is not None
        case e.Started() | e.Reported() | e.RecordingStopped() | e.Ended():
            return True
        case e.ClipCreated() | e.ReplayReady() | e.ReplayTrimmed():
            return True
        case _:
            return False


class MediaReaction:
    """A `service.reactor.Reaction`; `service.media_work` calls `take` for one event after the other instead, so that
    one that takes long holds up no other Space. Every call may be repeated after a crash, and looks at the Space as it
    is now.
    """

    def __init__(self, *, spaces: Spaces, recordings: Recordings, clock: Clock) -> None:
        """On the service whose log is read."""
        self._clock = clock
        self._spaces = spaces
        self._recordings = recordings

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """Carries out what follows; there is nothing to write. Raises what the recordings raise."""
        for recorded in events:
            await self.take(recorded)
        return lambda connection: None

    async def take(self, recorded: Recorded) -> None:
        """Has done what an event asks for. Raises what the recordings raise, ServiceError: to be tried again."""
        space = recorded.space
        match recorded.event:
            case event if not concerns(event):
                pass
            case e.Ended():
                await self._finalize(space)
            case e.ClipCreated() as clip:
                if clip.clip in (await self._spaces.get(space)).clips:
                    late = self._clock.now_ms() - recorded.at_ms >= _HOPELESS_MS
                    await self._recordings.cut(space, clip.clip, clip.start_ms, clip.end_ms, last_try=late)
            case e.ReplayReady():
                if (await self._spaces.get(space)).replay.status in _THERE:
                    await self._recordings.complete(space)
            case e.ReplayTrimmed():
                replay = (await self._spaces.get(space)).replay
                if replay.status in _THERE:
                    await self._recordings.trim(space, replay.start_ms)
            case _:
                if (await self._spaces.get(space)).status is Status.LIVE:
                    await self._recordings.follow(space)

    async def resume(self, spooled: Iterable[SpaceId]) -> None:
        """After the worker began anew: it follows what is live, and finishes what was left in the spool by others.

        All of them are tried; then raises what the recordings raised for one.
        """
        spaces = dict.fromkeys((*self._spaces.live, *spooled))
        results = await asyncio.gather(*map(self._resume, spaces), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _resume(self, space: SpaceId) -> None:
        try:
            state = await self._spaces.get(space)
        except ServiceError as unknown:
            if unknown.code != "space.not_found":
                raise
            _log.warning("the spool has a recording of a Space that nobody knows: %d", space)
            return
        if state.status is Status.LIVE:
            await self._recordings.follow(space)
        elif state.status is Status.ENDED:
            await self._finalize(space)

    async def _finalize(self, space: SpaceId) -> None:
        duration_ms = await self._recordings.finalize(space)
        if (await self._spaces.get(space)).replay.status is not ReplayStatus.PROCESSING:
            return  # nothing was recorded, or it is done already
        try:
            await self._spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=duration_ms))
        except ServiceError as refused:
            if refused.code in ("store.unavailable", "version.conflict"):
                raise
            # Deleted in the meantime.
