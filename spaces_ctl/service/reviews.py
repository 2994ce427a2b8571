"""What moderators may hear of a reported Space: a stretch of the review copy, for a reason that is written down.

Nothing is read before there is a row in `review_reads` and a line in the trail. The sound is decrypted and made by the
media worker in memory, is kept in this process's memory while the links are good, and lies nowhere else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl import events as e
from spaces_ctl.clock import Clock
from spaces_ctl.media.handouts import ReviewTrack, Sound, Voices, WhoSpeaks
from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.policy.state import ReplayStatus, Retention, Space
from spaces_ctl.segments import TICK_MS
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.media_asker import MediaAsker, media_refusals
from spaces_ctl.service.moderation import Case, Moderation
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import captions, event_log
from spaces_ctl.store import reviews as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.reviews import ReviewRead

__all__ = ["Line", "Review", "ReviewRead", "Reviews", "Track"]

MOST_MS = 15 * 60_000
"""Of one read; whoever has to hear more asks again."""
_LINKS_LAST_MS = 10 * 60_000
_HELD_BYTES = 64 * 1024 * 1024
_MAKING_S = 120.0

_REPLAYABLE = (ReplayStatus.PROCESSING, ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """The mix (`account` None) or a person alone."""

    account: AccountId | None
    spoke_ms: int

    @property
    def name(self) -> str:
        """In links."""
        return "mix" if self.account is None else str(self.account)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A caption."""

    account: AccountId
    from_ms: int
    to_ms: int
    text: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What may be heard now."""

    read: ReviewRead
    evidence: tuple[int, int]
    """The whole stretch that the case is about, milliseconds since the Space's start."""
    tracks: tuple[Track, ...]
    captions: tuple[Line, ...]


class Reviews:
    """For moderators."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        spaces: Callable[[SpaceId], Awaitable[Space]],
        moderation: Moderation,
        worker: MediaAsker,
        key_of: Callable[[sa.Connection, SpaceId], bytes | None],
    ) -> None:
        """`key_of` is the Space's key."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._spaces = spaces
        self._moderation = moderation
        self._worker = worker
        self._key_of = key_of
        self._sounds: OrderedDict[tuple[int, str], tuple[int, bytes]] = OrderedDict()

    async def open(
        self, principal: Principal, case_id: int, why: str, from_ms: int | None = None, to_ms: int | None = None
    ) -> Review:
        """A stretch of the case's Space: that which was reported, or the one that is named; at most `MOST_MS`.

        Raises ServiceError role.forbidden, report.not_found, report.reason_required, evidence.gone, evidence.none,
        setting.invalid, media.unavailable.
        """
        case, _ = await self._moderation.case(principal, case_id)
        space = await self._spaces(case.space)
        evidence = await self._evidence(case, space)
        begin_ms, end_ms = _stretch(space, self._clock.now_ms(), evidence, from_ms, to_ms)
        now = self._clock.now_ms()
        read = ReviewRead(
            id=self._new_id(),
            at_ms=now,
            moderator=principal.account,
            case=case.id,
            space=space.id,
            from_ms=begin_ms,
            to_ms=end_ms,
            why=why.strip(),
            expires_ms=now + _LINKS_LAST_MS,
        )
        return await self._moderation.hear(
            principal, case, why, lambda c: store.add(c, read), lambda: self._opened(space, read, evidence)
        )

    async def _opened(self, space: Space, read: ReviewRead, evidence: tuple[int, int]) -> Review:
        request = WhoSpeaks(
            space=space.id,
            key=await self._key(space),
            from_group=read.from_ms // TICK_MS,
            to_group=read.to_ms // TICK_MS,
        )
        with media_refusals("evidence.none"):
            voices = await self._worker.ask("who_speaks", request, Voices, timeout_s=_MAKING_S)
        tracks = [Track(account=voice.account, spoke_ms=voice.spoke_ms) for voice in voices.people]
        if voices.mix:
            tracks.insert(0, Track(account=None, spoke_ms=read.to_ms - read.from_ms))
        if not tracks:
            raise ServiceError("evidence.none")
        rows = await self._db.read(lambda c: captions.of_space(c, space.id))
        lines = (
            Line(account=account, from_ms=start_ms, to_ms=end_ms, text=text)
            for _, account, start_ms, end_ms, text in rows
            if start_ms < read.to_ms and end_ms > read.from_ms
        )
        return Review(read=read, evidence=evidence, tracks=tuple(tracks), captions=tuple(lines))

    async def sound(self, account: AccountId, read_id: int, name: str) -> bytes:
        """Ogg Opus of a track, after the link of `account` (0: an operator without one) was checked.

        Raises ServiceError link.invalid, link.expired, evidence.gone, evidence.none, media.unavailable.
        """
        read = await self._db.read(lambda c: store.one(c, read_id))
        if read is None or (read.moderator or 0) != account or not (name == "mix" or name.isdecimal()):
            raise ServiceError("link.invalid")
        now = self._clock.now_ms()
        self._drop(lambda expires_ms: expires_ms <= now)
        if now >= read.expires_ms:
            raise ServiceError("link.expired")
        # Whatever was made before: what is purged is heard by nobody from then on.
        key = await self._key(await self._spaces(read.space))
        held = self._sounds.get((read.id, name))
        if held is not None:
            return held[1]
        await self._db.write(lambda c: store.fetched(c, read.id))
        request = ReviewTrack(
            space=read.space,
            key=key,
            from_group=read.from_ms // TICK_MS,
            to_group=read.to_ms // TICK_MS,
            account=None if name == "mix" else int(name),
        )
        with media_refusals("evidence.none"):
            made = await self._worker.ask("review_track", request, Sound, timeout_s=_MAKING_S)
        self._hold(read, name, made.ogg)
        return made.ogg

    async def page(
        self, principal: Principal, *, space: SpaceId | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[ReviewRead]:
        """Who listened to what, latest first; for operators. Raises ServiceError role.forbidden."""
        if not principal.operator:
            raise ServiceError("role.forbidden")
        return await self._db.read(lambda c: store.page(c, space, before, min(limit, 200)))

    async def _key(self, space: Space) -> bytes:
        """Raises ServiceError evidence.gone."""
        key = None
        if _kept(space):
            key = await self._db.read(lambda c: self._key_of(c, space.id))
        if key is None:
            raise ServiceError("evidence.gone")
        return key

    async def _evidence(self, case: Case, space: Space) -> tuple[int, int]:
        """What the case is about, in milliseconds since the Space's start."""
        lasted_ms = _lasted_ms(space, self._clock.now_ms())
        if case.kind == "clip":
            log = await self._db.read(lambda c: event_log.read(c, space.id, 0))
            for one in log:
                if isinstance(one.event, e.ClipCreated) and one.event.clip == case.subject:
                    return one.event.start_ms, min(one.event.end_ms, lasted_ms)
        started_ms = space.started_ms or 0
        begin_ms, end_ms = case.evidence_from_ms - started_ms, case.evidence_to_ms - started_ms
        if begin_ms >= lasted_ms:
            return 0, lasted_ms  # reported after the end, of the replay: nobody knows which part is meant
        return max(0, begin_ms), min(end_ms, lasted_ms)

    def _hold(self, read: ReviewRead, name: str, sound: bytes) -> None:
        self._sounds[read.id, name] = (read.expires_ms, sound)
        while sum(len(held) for _, held in self._sounds.values()) > _HELD_BYTES:
            self._sounds.popitem(last=False)

    def _drop(self, over: Callable[[int], bool]) -> None:
        for key in [key for key, (expires_ms, _) in self._sounds.items() if over(expires_ms)]:
            del self._sounds[key]


def _kept(space: Space) -> bool:
    if space.status is Status.LIVE:
        return True
    return space.retention in (Retention.AUDIT, Retention.HELD) or space.replay.status in _REPLAYABLE


def _lasted_ms(space: Space, now_ms: int) -> int:
    if space.started_ms is None:
        return 0
    return (space.ended_ms or now_ms) - space.started_ms


def _stretch(
    space: Space, now_ms: int, evidence: tuple[int, int], from_ms: int | None, to_ms: int | None
) -> tuple[int, int]:
    lasted_ms = _lasted_ms(space, now_ms)
    begin_ms = evidence[0] if from_ms is None else from_ms
    end_ms = to_ms
    if end_ms is None:
        end_ms = min(evidence[1] if from_ms is None else lasted_ms, begin_ms + MOST_MS)
    if not 0 <= begin_ms < end_ms <= lasted_ms or end_ms - begin_ms > MOST_MS:
        raise ServiceError("setting.invalid", f"From 0 to the Space's end, at most {MOST_MS} ms.")
    return begin_ms, end_ms
