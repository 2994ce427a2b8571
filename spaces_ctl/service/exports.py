"""Downloads of recorded Spaces: asked for by their creators, made by the media worker, there for a week.

`ExportReaction` reads `ExportRequested` in the log; `Exports.step` has it made, tells the creator, and lets it expire.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from spaces_ctl import events as e
from spaces_ctl.clock import Clock, timestamp
from spaces_ctl.events import Recorded
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.handouts import ExportBundle, Exported
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.state import ReplayStatus, Retention, Space
from spaces_ctl.segments import TICK_MS
from spaces_ctl.service.deletions import prefix
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.media_asker import MediaAsker
from spaces_ctl.service.ports import Principal, Profile
from spaces_ctl.service.reactor import Unit
from spaces_ctl.service.webvtt import Cue, webvtt
from spaces_ctl.store import captions, deletions, event_log
from spaces_ctl.store import exports as store
from spaces_ctl.store.captions import Row
from spaces_ctl.store.database import Database
from spaces_ctl.store.deletions import Deletion, What, Why
from spaces_ctl.store.exports import Export, ExportState
from spaces_ctl.store.notifications import Notice

__all__ = ["Export", "ExportFile", "ExportReaction", "ExportState", "Exports"]

_log = logging.getLogger(__name__)

_LASTS_MS = 7 * 86_400_000
_MAKING_S = 3 * 3600.0
_FIRST_RETRY_MS = 5_000
_LONGEST_RETRY_MS = 600_000
_TRIES = 50
"""Seven hours of a store or worker that is away; then the creator is to ask again."""

_REPLAYABLE = (ReplayStatus.PROCESSING, ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)

Tell = Callable[[Sequence[AccountId], Notice], Awaitable[None]]


class ExportFile(NamedTuple):
    """What a link leads to."""

    object: str
    """Its name in the store."""
    filename: str
    """For whoever downloads it."""
    bytes: int


class ExportReaction:
    """Turns requests in the log into exports to be made. A `service.reactor.Reaction`."""

    def __init__(self, *, new_id: Callable[[], int], spaces: Callable[[SpaceId], Awaitable[Space]]) -> None:
        """`spaces` answers a Space as it is now."""
        self._new_id = new_id
        self._spaces = spaces

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """See `Reaction`. Raises ServiceError."""
        wanted = [
            Export(
                id=self._new_id(),
                space=recorded.space,
                number=0,
                account=(await self._spaces(recorded.space)).creator,
                cause=recorded.sequence,
                requested_ms=recorded.at_ms,
                due_ms=recorded.at_ms,
            )
            for recorded in events
            if isinstance(recorded.event, e.ExportRequested)
        ]

        def write(c: sa.Connection) -> None:
            for one in wanted:
                store.request(c, one)

        return write


class Exports:
    """Makes exports and hands them out."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        spaces: Callable[[SpaceId], Awaitable[Space]],
        profiles: Callable[[Iterable[AccountId]], Awaitable[dict[AccountId, Profile]]],
        worker: MediaAsker,
        key_of: Callable[[sa.Connection, SpaceId], bytes | None],
        gain_of: Callable[[sa.Connection, SpaceId], float],
        space_name: Callable[[SpaceId], str],
        tell: Tell,
    ) -> None:
        """`key_of` is the Space's key, `gain_of` what brings its mix to the replay's loudness (dB), `tell` sends a
        notification.
        """
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._spaces = spaces
        self._profiles = profiles
        self._worker = worker
        self._key_of = key_of
        self._gain_of = gain_of
        self._space_name = space_name
        self._tell = tell

    # For the creator

    async def of_space(self, principal: Principal, space: SpaceId) -> Sequence[Export]:
        """The Space's exports, latest first. Raises ServiceError role.forbidden, space.not_found."""
        await self._check(principal, space)
        return await self._db.read(lambda c: store.of_space(c, space))

    async def get(self, principal: Principal, space: SpaceId, number: int) -> Export:
        """How far one is. Raises ServiceError role.forbidden, space.not_found, export.not_found."""
        await self._check(principal, space)
        return await self._one(space, number)

    async def file(self, account: AccountId, space: SpaceId, number: int) -> ExportFile:
        """What a link of `account` leads to, after the link was checked.

        Raises ServiceError space.not_found, role.forbidden, export.not_found, export.not_ready, export.gone.
        """
        state = await self._spaces(space)
        if account != state.creator:
            raise ServiceError("role.forbidden")
        found = await self._one(space, number)
        if found.state in (ExportState.MAKING, ExportState.FAILED):
            raise ServiceError("export.not_ready")
        over = found.expires_ms is None or self._clock.now_ms() >= found.expires_ms
        if found.state is ExportState.GONE or over or not _kept(state):
            raise ServiceError("export.gone")
        return ExportFile(_object(found), f"space-{self._space_name(space)}.zip", found.bytes)

    async def _check(self, principal: Principal, space: SpaceId) -> None:
        creator = (await self._spaces(space)).creator
        if principal.account is None or principal.account != creator:
            raise ServiceError("role.forbidden")

    async def _one(self, space: SpaceId, number: int) -> Export:
        found = await self._db.read(lambda c: store.one(c, space, number))
        if found is None:
            raise ServiceError("export.not_found")
        return found

    # The work

    async def step(self) -> bool:
        """Makes the export that has been due for longest, or lets it expire; False if there is none."""
        now = self._clock.now_ms()
        lease_ms = now + round(_MAKING_S * 1000) + 60_000
        found = await self._db.write(lambda c: store.take(c, now, lease_ms))
        if found is None:
            return False
        if found.state is ExportState.READY:
            await self._db.write(lambda c: self._forget(c, [found], Why.EXPIRED))
        else:
            await self._make(found)
        return True

    async def _make(self, wanted: Export) -> None:
        now = self._clock.now_ms()
        try:
            made = await self._made(wanted)
        except (MediaError, ServiceError) as error:
            _log.warning("export %d of Space %d: %s", wanted.number, wanted.space, error)
            changed = self._failed(wanted, error)
            await self._db.write(lambda c: store.change(c, changed))
            return
        now = self._clock.now_ms()
        ready = replace(
            wanted,
            state=ExportState.READY,
            ready_ms=now,
            expires_ms=now + _LASTS_MS,
            due_ms=now + _LASTS_MS,
            bytes=made.bytes,
            files=made.files,
            error="",
        )
        if await self._db.write(lambda c: self._finish(c, ready)):
            await self._tell([ready.account], await self._notice(ready))

    def _finish(self, c: sa.Connection, ready: Export) -> bool:
        """It takes the place of older ones; False if what it was made of went meanwhile, and it with that."""
        others = [one for one in store.of_space(c, ready.space) if one.number < ready.number]
        self._forget(c, [one for one in others if one.state is not ExportState.GONE], Why.REPLACED)
        if store.change(c, ready):
            return True
        self._forget(c, [ready], Why.EXPIRED)
        return False

    def _forget(self, c: sa.Connection, exports: Sequence[Export], why: Why) -> None:
        now = self._clock.now_ms()
        for one in exports:
            store.gone(c, one.space, [one.number])
            deletion = Deletion(
                id=self._new_id(),
                space=one.space,
                what=What.EXPORT,
                number=one.number,
                why=why,
                asked_ms=now,
                due_ms=now,
            )
            deletions.ask(c, [deletion])

    def _failed(self, wanted: Export, error: MediaError | ServiceError) -> Export:
        hopeless = error.code in ("source.gone", "source.key", "replay.deleted")
        if hopeless or wanted.tries + 1 >= _TRIES:
            return replace(wanted, state=ExportState.FAILED, due_ms=None, tries=wanted.tries + 1, error=error.code)
        pause = min(_FIRST_RETRY_MS << min(wanted.tries, 20), _LONGEST_RETRY_MS)
        due_ms = self._clock.now_ms() + pause
        return replace(wanted, due_ms=due_ms, tries=wanted.tries + 1, error=error.code)

    async def _made(self, wanted: Export) -> Exported:
        space = await self._spaces(wanted.space)
        if not _kept(space):
            raise ServiceError("replay.deleted")

        def read(c: sa.Connection) -> tuple[bytes | None, float, Sequence[Recorded], Sequence[Row]]:
            key, gain_db = self._key_of(c, space.id), self._gain_of(c, space.id)
            return key, gain_db, event_log.read(c, space.id, 0), captions.of_space(c, space.id)

        key, gain_db, log, lines = await self._db.read(read)
        if key is None:
            raise ServiceError("replay.deleted")
        profiles = await self._profiles(sorted({*space.spoke_ever, space.creator}))
        until_ms = _recorded_until(space, log)
        request = ExportBundle(
            space=space.id,
            key=key,
            name=_object(wanted),
            from_group=0,
            to_group=until_ms // TICK_MS,
            gain_db=gain_db,
            people={account: profile.handle for account, profile in profiles.items()},
            metadata=self._metadata(space, until_ms, profiles),
            captions=_web_captions(space, [line for line in lines if line[2] < until_ms], profiles),
            made_ms=wanted.requested_ms,
        )
        return await self._worker.ask("export", request, Exported, timeout_s=_MAKING_S)

    def _metadata(self, space: Space, until_ms: int, profiles: dict[AccountId, Profile]) -> bytes:
        told: dict[str, Any] = {
            "space": self._space_name(space.id),
            "title": space.title,
            "description": space.description,
            "topics": space.topics,
            "language": space.lang,
            "creator": str(space.creator),
            "hosts": [str(account) for account in space.hosts_at_end],
            "started": _time(space.started_ms),
            "ended": _time(space.ended_ms),
            "recorded_ms": until_ms,
            "replay_starts_ms": space.replay.start_ms,
            "people": [
                {"account": str(account), "handle": profile.handle, "name": profile.name}
                for account, profile in sorted(profiles.items())
            ],
            "clips": [
                {"clip": number, "from_ms": clip.start_ms, "to_ms": clip.end_ms, "comment": clip.comment}
                for number, clip in space.clips.items()
            ],
        }
        return msgspec.json.format(msgspec.json.encode(told), indent=1)

    async def _notice(self, ready: Export) -> Notice:
        space = await self._spaces(ready.space)
        return Notice(
            kind="export_ready",
            source=f"export:{ready.id}",
            space=ready.space,
            data={"title": space.title, "export": ready.number},
        )


def _kept(space: Space) -> bool:
    """Whether what exports are made of is there: the recording, or the review copy of what was recorded."""
    recorded = space.replay.status is not ReplayStatus.NONE
    kept = space.replay.status in _REPLAYABLE or space.retention in (Retention.AUDIT, Retention.HELD)
    return recorded and kept


def _web_captions(space: Space, lines: Sequence[Row], profiles: dict[AccountId, Profile]) -> bytes:
    cues = [
        Cue(number, start_ms, end_ms, profiles[account].name if account in profiles else str(account), text)
        for number, account, start_ms, end_ms, text in lines
    ]
    return webvtt(cues, space.lang or "und").encode() if cues else b""


def _recorded_until(space: Space, log: Sequence[Recorded]) -> int:
    """Milliseconds from the start to the end of what was recorded: after it, a copy may be kept for review alone."""
    stopped = next((one.at_ms for one in log if isinstance(one.event, e.RecordingStopped)), None)
    end_ms = stopped if stopped is not None else space.ended_ms
    return max(0, (end_ms or 0) - (space.started_ms or 0))


def _object(export: Export) -> str:
    return f"{prefix(export.space, What.EXPORT, export.number)}/space.zip"


def _time(ms: int | None) -> str | None:
    return None if ms is None else timestamp(ms)
