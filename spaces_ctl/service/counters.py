"""What is counted per Space and never an event: people over time, peaks, reactions. Fed by the engine, once a second at
most and only with what changed: between two counts everybody stays. Those who hear by HLS are added (`hls_readers`).

Memory is bounded per Space: an hour-long and a day-long Space keep equally many points, the latter's stand wider apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from spaces_ctl.clock import Clock
from spaces_ctl.engine import Counts
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.crowds import Crowd
from spaces_ctl.policy.crowds import count as count_crowd
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.hls_readers import HlsReaders
from spaces_ctl.service.tables import Audience

__all__ = ["Counters", "Point", "SpaceCounters"]

_FIRST_BUCKET_MS = 10_000
_MOST_POINTS = 720


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The most people in one stretch of time."""

    at_ms: int
    """Its begin."""
    named: int
    anonymous: int
    guests: int

    @property
    def people(self) -> int:
        """All together."""
        return self.named + self.anonymous + self.guests


class SpaceCounters:
    """One Space's."""

    def __init__(self) -> None:
        """Empty."""
        self.audience = Audience()
        self.connected = Audience()
        """The engine's part of it."""
        self.crowd = Crowd()
        self.peak = 0
        self.reactions: Counter[str] = Counter()
        self.bucket_ms = _FIRST_BUCKET_MS
        self.points: list[Point] = []

    def count(self, now_ms: int, audience: Audience, peak: int) -> None:
        """The audience from now on; the engine's `peak` since it knows the Space."""
        self.hold(now_ms)
        self.audience = audience
        self.peak = max(self.peak, peak, audience.named + audience.anonymous + audience.guests)
        at_ms = now_ms - now_ms % self.bucket_ms
        point = self._point(at_ms)
        if self.points and self.points[-1].at_ms == at_ms:
            self.points[-1] = max(self.points[-1], point, key=lambda one: one.people)
        else:
            self.points.append(point)
        if len(self.points) > _MOST_POINTS:
            self._widen()

    def hold(self, now_ms: int) -> None:
        """Nothing was told since the last count, so everybody was there until now: the stretches between get points."""
        while self.points and self.points[-1].at_ms + self.bucket_ms < now_ms:
            self.points.append(self._point(self.points[-1].at_ms + self.bucket_ms))
            if len(self.points) > _MOST_POINTS:
                self._widen()

    def _point(self, at_ms: int) -> Point:
        now = self.audience
        return Point(at_ms=at_ms, named=now.named, anonymous=now.anonymous, guests=now.guests)

    def _widen(self) -> None:
        self.bucket_ms *= 2
        wide: dict[int, Point] = {}
        for point in self.points:
            at_ms = point.at_ms - point.at_ms % self.bucket_ms
            moved = msgspec.structs.replace(point, at_ms=at_ms)
            wide[at_ms] = max(wide.get(at_ms, moved), moved, key=lambda one: one.people)
        self.points = list(wide.values())


class Counters:
    """All Spaces' of this process. Those of an ended Space are kept until `close`."""

    def __init__(self, clock: Clock) -> None:
        """Times of the points are the clock's."""
        self._clock = clock
        self._of: dict[SpaceId, SpaceCounters] = {}
        self._changed: set[SpaceId] = set()
        self._by_hls = HlsReaders(clock)

    def of(self, space: SpaceId) -> SpaceCounters:
        """One Space's, empty if nothing was counted yet."""
        return self._of.get(space) or SpaceCounters()

    def audience(self, space: SpaceId) -> Audience:
        """People who hear it now."""
        return self.of(space).audience

    def count(self, counts: Counts) -> None:
        """What the engine told."""
        own = self._of.setdefault(counts.space, SpaceCounters())
        own.connected = Audience(named=counts.named, anonymous=counts.anonymous, guests=counts.guests)
        self._add(counts.space, own, counts.peak)

    def hears_by_hls(self, space: SpaceId, account: AccountId | None, guest: str) -> None:
        """Somebody asked for the newest segments; `guest` tells apart those without an account."""
        self._by_hls.asked(space, account, guest)
        self._add(space, self._of.setdefault(space, SpaceCounters()))

    def _add(self, space: SpaceId, own: SpaceCounters, peak: int = 0) -> None:
        here, there = own.connected, self._by_hls.audience(space)
        audience = Audience(
            named=here.named, anonymous=here.anonymous + there.anonymous, guests=here.guests + there.guests
        )
        if own.audience != audience:
            self._changed.add(space)
        own.count(self._clock.now_ms(), audience, peak)

    def hold(self, spaces: Iterable[SpaceId]) -> None:
        """See `SpaceCounters.hold`; for live Spaces."""
        for space in spaces:
            if (own := self._of.get(space)) is not None:
                own.hold(self._clock.now_ms())

    def crowd(self, space: SpaceId) -> Crowd:
        """How large the audience counts."""
        return self.of(space).crowd

    def judge(self, spaces: Iterable[SpaceId], limits: Limits) -> frozenset[SpaceId]:
        """Looks at how many the engine has to send to, as time passes. Answers which are large or small since now."""
        now_ms, turned = self._clock.now_ms(), set[SpaceId]()
        for space in spaces:
            if (own := self._of.get(space)) is None:
                continue
            people = own.connected.named + own.connected.anonymous + own.connected.guests
            before, own.crowd = own.crowd, count_crowd(own.crowd, people, now_ms, limits)
            if before.large != own.crowd.large:
                turned.add(space)
        return frozenset(turned)

    def take_changed(self) -> frozenset[SpaceId]:
        """Spaces whose audience is another than at the last call."""
        for space in self._by_hls.spaces:
            if (own := self._of.get(space)) is not None:
                self._add(space, own)
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def react(self, space: SpaceId, reactions: Mapping[str, int]) -> None:
        """Reactions of the last second."""
        self._of.setdefault(space, SpaceCounters()).reactions.update(reactions)

    def close(self, space: SpaceId) -> SpaceCounters:
        """Takes a Space's counters away and answers them: for those who store them."""
        self._by_hls.close(space)
        return self._of.pop(space, None) or SpaceCounters()
