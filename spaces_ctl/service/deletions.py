"""True deletion: what the log says is to go is written down, then deleted everywhere until the store says it is gone.

`DeletionReaction` reads the log and writes a row for each part; `Deletions.step` carries the rows out. Whoever asks for
what is to go is refused from the event on, by the Space's state: nobody waits for the store. See docs/retention.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa
from msgspec.structs import replace

from spaces_ctl import events as e
from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.media.spool import spool_of
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.state import ReplayStatus, Retention, Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal, Recordings
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import deletions as store
from spaces_ctl.store import exports, moderation
from spaces_ctl.store.database import Database
from spaces_ctl.store.deletions import Deletion, DeletionState, What, Why
from spaces_ctl.store.errors import Unavailable

__all__ = ["Deletion", "DeletionReaction", "DeletionState", "Deletions", "What", "prefix"]

_log = logging.getLogger(__name__)

_LEASE_MS = 120_000
"""How long a row that is being carried out is nobody else's."""
_FIRST_RETRY_MS = 1_000
_LONGEST_RETRY_MS = 600_000
_HELD_MS = 60_000
"""How often it is looked whether a case is settled."""
_LOOK_AGAIN_MS = 600_000
"""When the store is asked once more: an upload that was under way may have been faster than its cancellation."""
_AFTER_THE_END_MS = 120_000
"""Clips of the last words are cut from the spool; then it goes."""
_KEY_WAITS_MS = 86_400_000
"""How long the key waits for what it opens to be gone. A store that is away for longer must not keep it alive."""

_EVERYTHING = (What.SOURCE, What.SPOOL, What.CAPTIONS, What.EXPORT, What.KEY)
_OPENED_BY_THE_KEY = (What.SOURCE, What.SPOOL)
_UNSEEN = (Why.CREATOR, Why.TTL, Why.NOT_KEPT)
"""Causes that did not ask whether something was reported."""

Rows = Mapping[What, Callable[[sa.Connection, SpaceId], int]]
"""Deletes a Space's rows of a kind, returns how many there were: `captions`, `key`."""


def prefix(space: SpaceId, what: What, number: int = 0) -> str:
    """Where a part lies in the object store. `number` of an export, 0: every export."""
    match what:
        case What.CLIP:
            return f"spaces/{space}/clips/{number}"
        case What.EXPORT:
            return f"spaces/{space}/export/{number}" if number else f"spaces/{space}/export"
        case _:
            return f"spaces/{space}/{what.value}"


class DeletionReaction:
    """Turns events into rows of what is to be deleted. A `service.reactor.Reaction`."""

    def __init__(self, *, new_id: Callable[[], int], spaces: Callable[[SpaceId], Awaitable[Space]]) -> None:
        """`spaces` answers a Space as it is now."""
        self._new_id = new_id
        self._spaces = spaces

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """See `Reaction`. Raises ServiceError."""
        wanted: list[Deletion] = []
        for recorded in events:
            if isinstance(recorded.event, e.Ended | e.ReplayDeleted | e.ReplayExpired | e.AuditPurged | e.ClipDeleted):
                wanted += self._wanted(recorded, await self._spaces(recorded.space))

        def write(c: sa.Connection) -> None:
            store.ask(c, wanted)
            for one in wanted:
                if one.what is What.EXPORT:
                    exports.gone(c, one.space)

        return write

    def _wanted(self, recorded: Recorded, space: Space) -> list[Deletion]:
        def part(what: What, why: Why, number: int = 0, after_ms: int = 0) -> Deletion:
            return Deletion(
                id=self._new_id(),
                space=recorded.space,
                what=what,
                number=number,
                why=why,
                cause=recorded.sequence,
                asked_ms=recorded.at_ms,
                due_ms=recorded.at_ms + after_ms,
            )

        match recorded.event:
            case e.Ended() if space.retention is Retention.NONE and space.replay.status is ReplayStatus.NONE:
                return [part(what, Why.NOT_KEPT, after_ms=_AFTER_THE_END_MS) for what in _EVERYTHING]
            case e.ReplayDeleted() | e.ReplayExpired():
                why = Why.TTL if isinstance(recorded.event, e.ReplayExpired) else Why.CREATOR
                reviewed = space.retention in (Retention.AUDIT, Retention.HELD)
                return [part(what, why) for what in (What.REPLAY, *(() if reviewed else _EVERYTHING))]
            case e.AuditPurged():
                why = Why.HOLD if space.violation else Why.AUDIT
                replay = [part(What.REPLAY, why)] if space.violation else []
                return [*replay, *(part(what, why) for what in _EVERYTHING)]
            case e.ClipDeleted(clip=clip, how=e.ReplayGoneHow.AUTHOR):
                return [part(What.CLIP, Why.AUTHOR, clip)]
            case e.ClipDeleted(clip=clip):
                return [part(What.CLIP, Why.HOLD if recorded.actor.system else Why.CREATOR, clip)]
            case _:
                return []


class Deletions:
    """Carries deletions out, and gives account of them."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        spaces: Callable[[SpaceId], Awaitable[Space]],
        objects: Objects,
        spool: Path | None,
        recordings: Recordings | None,
        rows: Rows,
    ) -> None:
        """`spool`: where the engine writes; `recordings` lets go of what is to be deleted before it is."""
        self._db = db
        self._clock = clock
        self._spaces = spaces
        self._objects = objects
        self._spool = spool
        self._recordings = recordings
        self._rows = rows

    # The account

    async def page(
        self,
        principal: Principal,
        *,
        space: SpaceId | None = None,
        state: DeletionState | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Deletion]:
        """What was deleted, latest first; for moderators and operators. Raises ServiceError role.forbidden."""
        if not (principal.moderator or principal.operator):
            raise ServiceError("role.forbidden")
        return await self._db.read(lambda c: store.page(c, space, state, before, min(limit, 200)))

    # The work

    async def step(self) -> bool:
        """Tries the row that has been due for longest; False if there is none."""
        now = self._clock.now_ms()
        row = await self._db.write(lambda c: store.take(c, now, now + _LEASE_MS))
        if row is None:
            return False
        changed = await self._carried_out(row)
        await self._db.write(lambda c: store.change(c, changed))
        return True

    async def _carried_out(self, row: Deletion) -> Deletion:
        now = self._clock.now_ms()
        try:
            if row.state is DeletionState.DONE:
                return await self._looked_after(row, now)
            if await self._kept_after_all(row):
                return replace(row, state=DeletionState.WITHDRAWN, due_ms=None, error="kept for review")
            if (wait := await self._wait(row, now)) is not None:
                return replace(row, due_ms=now + _HELD_MS, error=wait)
            objects, size = await self._delete(row)
        except (StoreUnavailable, ServiceError, Unavailable, OSError) as error:
            _log.warning("deletion of %s %d of Space %d: %s", row.what.value, row.number, row.space, error)
            return self._failed(row, now, str(error) or type(error).__name__)
        except Exception as error:  # whatever it is, it must not stop the other deletions
            _log.exception("deletion of %s %d of Space %d", row.what.value, row.number, row.space)
            return self._failed(row, now, repr(error))
        return replace(
            row,
            state=DeletionState.DONE,
            due_ms=now + _LOOK_AGAIN_MS,
            done_ms=self._clock.now_ms(),
            objects=row.objects + objects,
            bytes=row.bytes + size,
            error="",
        )

    def _failed(self, row: Deletion, now: int, error: str) -> Deletion:
        pause = min(_FIRST_RETRY_MS << min(row.tries, 20), _LONGEST_RETRY_MS)
        return replace(row, due_ms=now + pause, tries=row.tries + 1, error=error[:1000])

    async def _looked_after(self, row: Deletion, now: int) -> Deletion:
        if not await self._left(row):
            return replace(row, due_ms=None)
        _log.warning("%s %d of Space %d came back after its deletion", row.what.value, row.number, row.space)
        return replace(row, state=DeletionState.PENDING, due_ms=now, tries=row.tries + 1, error="came back")

    async def _kept_after_all(self, row: Deletion) -> bool:
        """Something of an ended Space was reported before its source was deleted: retention begins anew."""
        if row.why not in _UNSEEN or row.what in (What.REPLAY, What.CLIP):
            return False
        return (await self._spaces(row.space)).retention in (Retention.AUDIT, Retention.HELD)

    async def _wait(self, row: Deletion, now: int) -> str | None:
        """Why it is not time yet."""

        def look(c: sa.Connection) -> str | None:
            if row.what is What.CLIP and moderation.clip_needed(c, row.space, row.number):
                return "a report about the clip is not settled"
            if row.what in _EVERYTHING and row.why in _UNSEEN and moderation.evidence_needed(c, row.space):
                return "a report about the Space is not settled"
            if row.what is not What.KEY or now - row.asked_ms >= _KEY_WAITS_MS:
                return None
            others = store.of_space(c, row.space)
            waits = any(
                other.what in _OPENED_BY_THE_KEY and other.state is DeletionState.PENDING
                for other in others
                if other.cause == row.cause
            )
            return "waits for what it opens" if waits else None

        return await self._db.read(look)

    async def _delete(self, row: Deletion) -> tuple[int, int]:
        """How many things and bytes there were. Raises StoreUnavailable, OSError, ServiceError, or others' errors."""
        if (rows := self._rows.get(row.what)) is not None:
            deleted = await self._db.write(lambda c: rows(c, row.space))
            if row.what is What.KEY:
                await self._db.scrub()
            return deleted, 0
        before = await self._left(row)
        await self._let_go(row)
        if row.what is What.SPOOL:
            await asyncio.to_thread(_remove, self._directory(row.space))
        else:
            await self._objects.delete(prefix(row.space, row.what, row.number))
        if left := await self._left(row):
            raise StoreUnavailable(f"{len(left)} objects are still there")
        return len(before), sum(size for _, size in before)

    async def _let_go(self, row: Deletion) -> None:
        if self._recordings is None:
            return
        match row.what:
            case What.REPLAY:
                await self._recordings.delete_replay(row.space)
            case What.CLIP:
                await self._recordings.delete_clip(row.space, row.number)
            case What.SOURCE | What.SPOOL:
                await self._recordings.purge(row.space)
            case _:
                pass

    async def _left(self, row: Deletion) -> list[tuple[str, int]]:
        """Name and size of what is there of the part."""
        if row.what in self._rows:
            return []
        if row.what is What.SPOOL:
            return await asyncio.to_thread(_files, self._directory(row.space))
        return await self._objects.list(prefix(row.space, row.what, row.number))

    def _directory(self, space: SpaceId) -> Path | None:
        return None if self._spool is None else spool_of(self._spool, space)


def _files(directory: Path | None) -> list[tuple[str, int]]:
    if directory is None:
        return []
    found = (Path(parent) / name for parent, _, names in os.walk(directory) for name in names)
    return [(str(path), path.stat().st_size) for path in found]


def _remove(directory: Path | None) -> None:
    if directory is not None and directory.exists():
        shutil.rmtree(directory)
