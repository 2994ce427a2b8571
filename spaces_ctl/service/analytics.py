"""A host's analytics, without following a single listener.

Counted are people per stretch of time, reactions, plays, and what the log tells (requests, clips). How long one person
stayed is not known, so retention is told by what counts show: for each stretch the audience relative to the largest so
far, and the time spent by all together (people × time, from the largest of each stretch, so an upper bound).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.counters import Counters, SpaceCounters
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import discovery as store
from spaces_ctl.store import summaries
from spaces_ctl.store.database import Database
from spaces_ctl.store.discovery import Analytics as Counted

__all__ = ["Analytics", "Moment", "Report", "merged"]

_MOST_POINTS = 720
_EVERY_MS = 10_000


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of time."""

    at_ms: int
    named: int
    anonymous: int
    guests: int
    held: float
    """The audience relative to the largest until then, 0 to 1."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a host sees."""

    space: SpaceId
    bucket_ms: int
    moments: tuple[Moment, ...]
    peak: int
    listened_ms: int
    """People times time, an upper bound."""
    reactions: dict[str, int]
    requests: int
    clips: int
    replay_plays: int
    reminders: int
    tickets: int


class Analytics:
    """Keeps counts beyond a process's life and tells hosts."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        counters: Counters,
        live: Callable[[], Iterable[SpaceId]],
        get: Callable[[SpaceId], Awaitable[Space]],
    ) -> None:
        """`live`: live Spaces of this process; `get` is that of `Spaces`."""
        self._db = db
        self._clock = clock
        self._counters = counters
        self._live = live
        self._get = get
        self._stored_ms: int | None = None
        self._known: set[SpaceId] = set()
        self._ended_ms: dict[SpaceId, int] = {}
        self._reactions: dict[SpaceId, Counter[str]] = {}
        self._lock = asyncio.Lock()
        """Between what is stored and what is known to be stored, else a reaction would count twice or not at all."""

    async def step(self) -> bool:
        """Stores the counts of all Spaces in one transaction; whether it did.

        Every ten seconds, since lists show them; at once when a Space has ended, and once more ten seconds later, for
        what the engine told of its last second.
        """
        now = self._clock.now_ms()
        live = set(self._live())
        ended = self._known - live
        self._known |= live
        if ended <= self._ended_ms.keys() and self._stored_ms is not None and now - self._stored_ms < _EVERY_MS:
            return False
        self._ended_ms = {space: self._ended_ms.get(space, now) for space in ended}
        self._counters.hold(live)
        async with self._lock:
            await self._store(sorted(self._known), now)
            self._stored_ms = now
            for space in ended:
                if now - self._ended_ms[space] >= _EVERY_MS:
                    self._forget(space)
        return True

    async def peak(self, space: SpaceId) -> int:
        """The most people who were there at once, until now. Waits for nobody who stores."""
        stored = await self._db.read(lambda c: store.analytics(c, space))
        return max(self._counters.of(space).peak, stored.peak if stored else 0)

    async def counted(self, space: SpaceId) -> Counted | None:
        """What was counted until now, stored or not; None if nothing was."""
        async with self._lock:
            stored = await self._db.read(lambda c: store.analytics(c, space))
            new = self._taken(space, self._clock.now_ms())
        return new if stored is None else stored if new is None else merged(stored, new)

    def _forget(self, space: SpaceId) -> None:
        self._counters.close(space)
        self._reactions.pop(space, None)
        self._known.discard(space)

    async def _store(self, spaces: Iterable[SpaceId], now_ms: int) -> None:
        taken = [(self._counters.of(space), new) for space in spaces if (new := self._taken(space, now_ms)) is not None]
        if not taken:
            return
        # Before the write, as counting goes on meanwhile.
        reactions = {new.space: Counter(counted.reactions) for counted, new in taken}

        def write(c: sa.Connection) -> None:
            for counted, new in taken:
                _write(c, counted, new)

        await self._db.write(write)
        self._reactions.update(reactions)

    def _taken(self, space: SpaceId, now_ms: int) -> Counted | None:
        counted = self._counters.of(space)
        reactions = counted.reactions - self._reactions.get(space, Counter())
        points = tuple((point.at_ms, point.named, point.anonymous, point.guests) for point in counted.points)
        if not points and not reactions:
            return None
        return Counted(
            space=space,
            bucket_ms=counted.bucket_ms,
            points=points,
            peak=counted.peak,
            reactions=dict(reactions),
            updated_ms=now_ms,
        )

    async def report(self, principal: Principal, space_id: SpaceId) -> Report:
        """For the creator, hosts and operators. Raises ServiceError role.forbidden, space.not_found."""
        space = await self._get(space_id)
        hosts = {space.creator, *space.hosts}
        if not principal.operator and principal.account not in hosts:
            raise ServiceError("role.forbidden")
        self._counters.hold({space_id} & set(self._live()))
        async with self._lock:
            await self._store([space_id], self._clock.now_ms())

        def read(c: sa.Connection) -> tuple[Counted | None, Mapping[SpaceId, summaries.Summary]]:
            return store.analytics(c, space_id), summaries.by_ids(c, [space_id])

        counted, found = await self._db.read(read)
        summary = found.get(space_id)
        moments = _moments(counted.points if counted else ())
        people = [moment.named + moment.anonymous + moment.guests for moment in moments]
        bucket_ms = counted.bucket_ms if counted else 0
        return Report(
            space=space_id,
            bucket_ms=bucket_ms,
            moments=moments,
            peak=counted.peak if counted else 0,
            listened_ms=sum(people) * bucket_ms,
            reactions=dict(counted.reactions) if counted else {},
            requests=space.requests_made,
            clips=space.clips_made,
            replay_plays=summary.replay_plays if summary else 0,
            reminders=space.subscribers,
            tickets=space.tickets,
        )


def _write(c: sa.Connection, counted: SpaceCounters, new: Counted) -> None:
    old = store.analytics(c, new.space)
    store.put_analytics(c, new if old is None else merged(old, new))
    now = counted.audience
    people = now.named + now.anonymous + now.guests
    # Nobody is followed, so how many came is not known: at least as many as were there at once.
    summaries.note_counts(c, new.space, participants=people, attendance=new.peak, peak=new.peak)


def merged(old: Counted, new: Counted) -> Counted:
    """What is stored, and what a process counted since (`new.reactions`: those that are not stored yet)."""
    bucket_ms = max(old.bucket_ms, new.bucket_ms)
    points = _widened((*old.points, *new.points), bucket_ms)
    while len(points) > _MOST_POINTS:
        bucket_ms *= 2
        points = _widened(points, bucket_ms)
    reactions = dict(Counter(old.reactions) + Counter(new.reactions))
    return msgspec.structs.replace(
        new, bucket_ms=bucket_ms, points=points, peak=max(old.peak, new.peak), reactions=reactions
    )


def _widened(points: Sequence[tuple[int, int, int, int]], bucket_ms: int) -> tuple[tuple[int, int, int, int], ...]:
    wide: dict[int, tuple[int, int, int, int]] = {}
    for at_ms, named, anonymous, guests in points:
        begin = at_ms - at_ms % bucket_ms
        point = (begin, named, anonymous, guests)
        wide[begin] = max(wide.get(begin, point), point, key=lambda one: sum(one[1:]))
    return tuple(wide[begin] for begin in sorted(wide))


def _moments(points: Sequence[tuple[int, int, int, int]]) -> tuple[Moment, ...]:
    most = 0
    moments = []
    for at_ms, named, anonymous, guests in points:
        people = named + anonymous + guests
        most = max(most, people)
        held = people / most if most else 0.0
        moments.append(Moment(at_ms=at_ms, named=named, anonymous=anonymous, guests=guests, held=round(held, 4)))
    return tuple(moments)
