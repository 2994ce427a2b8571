"""Recordings by the media worker: what is to become of a Space's sound, and with which key, is decided here.

The worker does the work (`spaces_ctl.media`); it is told everything that it needs with each request. A worker that is
dead or stuck makes these calls wait and raise `WorkerGone`; nobody who waits for a command's answer calls them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from spaces_ctl import events as e
from spaces_ctl.media.remote import RemoteWorker
from spaces_ctl.media.requests import (
    Complete,
    Cut,
    Delete,
    Deleted,
    Done,
    Film,
    Finalize,
    Finalized,
    Follow,
    Forget,
    Plan,
    Preview,
    Previewed,
    Spooled,
    Trim,
)
from spaces_ctl.media.sealing import new_key
from spaces_ctl.model import SpaceId, Status
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import ReplayStatus, Retention, Space
from spaces_ctl.segments import TICK_MS
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.store import recordings as store
from spaces_ctl.store.database import Database

__all__ = ["WorkerRecordings", "plan"]

T = TypeVar("T")

_QUICK_S = 20.0
_FINALIZE_S = 300.0
"""An outage of the store is waited for; asked again, the worker goes on with what it does already."""
_REPLAYABLE = (ReplayStatus.RECORDING, ReplayStatus.PROCESSING, ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)


def plan(space: Space, limits: Limits, *, stop_group: int | None) -> Plan:
    """What is to become of the sound. `stop_group`: where recording was stopped, if it was."""
    public = space.replay.status in _REPLAYABLE
    if space.status is Status.LIVE:
        review = limits.audit_copy or space.reported
    else:
        review = space.retention in (Retention.AUDIT, Retention.HELD)
    return Plan(keep=public or review, public=public, review=review, stop_group=stop_group if public else None)


class WorkerRecordings:
    """`service.ports.Recordings`."""

    def __init__(self, *, spaces: Spaces, db: Database, worker: RemoteWorker) -> None:
        self._spaces = spaces
        self._db = db
        self._worker = worker
        self.label: Callable[[SpaceId, int], Awaitable[tuple[str, str]]] = _unlabelled
        """What is written on a clip's pictures: `Clips.label`."""

    async def follow(self, space: SpaceId) -> None:
        """See the port. Raises MediaError, ServiceError, Unavailable."""
        state = await self._spaces.get(space)
        key = await self._key(space)
        await self._ask("follow", Follow(space=space, key=key, plan=await self._plan(state)), Done)

    async def finalize(self, space: SpaceId) -> int:
        """See the port. Raises MediaError, ServiceError, Unavailable."""
        state = await self._spaces.get(space)
        request = Finalize(
            space=space, key=await self._key(space), plan=await self._plan(state), end_group=_end_group(state)
        )
        done = await self._ask("finalize", request, Finalized, _FINALIZE_S)
        if request.plan.keep:
            await self._db.write(lambda c: store.close(c, space, msgspec.to_builtins(done)))
        else:
            await self._db.write(lambda c: store.drop_key(c, space))
        return done.duration_ms

    async def cut(self, space: SpaceId, clip: int, start_ms: int, end_ms: int, *, last_try: bool = False) -> None:
        """See the port. Raises MediaError, ServiceError, Unavailable."""
        heading, line = await self.label(space, clip)
        request = Cut(
            space=space,
            key=await self._key(space),
            clip=clip,
            start_ms=start_ms,
            end_ms=end_ms,
            heading=heading,
            line=line,
            last_try=last_try,
        )
        await self._ask("cut", request, Done, 120.0)

    async def film(self, space: SpaceId, clip: int) -> None:
        """Makes a clip's videos, if they are not there; does not wait for them. Raises MediaError, ServiceError."""
        heading, line = await self.label(space, clip)
        await self._ask("begin_film", Film(space=space, clip=clip, heading=heading, line=line), Done)

    async def preview(self, space: SpaceId, start_ms: int, end_ms: int) -> bytes:
        """That stretch of the mix as an Ogg Opus file. Raises MediaError, Unavailable."""
        request = Preview(space=space, key=await self._key(space), start_ms=start_ms, end_ms=end_ms)
        return (await self._ask("preview", request, Previewed)).audio

    async def complete(self, space: SpaceId) -> None:
        """See the port. Raises MediaError, Unavailable."""
        await self._ask("complete", Complete(space=space, key=await self._key(space)), Done, _FINALIZE_S)

    async def trim(self, space: SpaceId, start_ms: int) -> None:
        """See the port. Raises MediaError, Unavailable."""
        await self._ask("trim", Trim(space=space, key=await self._key(space), start_ms=start_ms), Done, 120.0)

    async def delete_clip(self, space: SpaceId, clip: int) -> None:
        """See the port. Raises MediaError."""
        await self._ask("delete", Delete(space=space, parts=(f"clips/{clip}",)), Deleted)

    async def delete_replay(self, space: SpaceId) -> None:
        """See the port. Raises MediaError."""
        await self._ask("delete", Delete(space=space, parts=("replay",)), Deleted)

    async def purge(self, space: SpaceId) -> None:
        """See the port. Raises MediaError."""
        await self._ask("forget", Forget(space=space), Done)
        await self._ask("delete", Delete(space=space, parts=("source",)), Deleted)

    async def spooled(self) -> tuple[SpaceId, ...]:
        """Spaces of which something lies in the spool. Raises MediaError."""
        return (await self._ask("spooled", Done(), Spooled)).spaces

    async def _ask(self, operation: str, request: msgspec.Struct, answer: type[T], timeout_s: float = _QUICK_S) -> T:
        return await self._worker.ask(operation, request, answer, timeout_s=timeout_s)

    async def _key(self, space: SpaceId) -> bytes:
        return await self._db.write(lambda c: store.ensure_key(c, space, new_key()))

    async def _plan(self, state: Space) -> Plan:
        stop_group = None
        if state.recording_stopped:
            for recorded in await self._spaces.log.tail(state.id, 0):
                if isinstance(recorded.event, e.RecordingStopped):
                    stop_group = _group(state, recorded.at_ms)
        return plan(state, self._spaces.limits, stop_group=stop_group)


async def _unlabelled(space: SpaceId, clip: int) -> tuple[str, str]:
    return "", ""


def _end_group(state: Space) -> int:
    return 0 if state.ended_ms is None else _group(state, state.ended_ms)


def _group(state: Space, at_ms: int) -> int:
    return 0 if state.started_ms is None else max(0, at_ms - state.started_ms) // TICK_MS
