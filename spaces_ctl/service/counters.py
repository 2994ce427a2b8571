"""What is counted per Space and never an event: people over time, peaks, reactions. Fed by the engine once a second.

Memory is bounded per Space: an hour-long and a day-long Space keep equally many points, the latter's stand wider apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from spaces_ctl.clock import Clock
from spaces_ctl.engine import Counts
from spaces_ctl.model import SpaceId
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
        self.peak = 0
        self.reactions: Counter[str] = Counter()
        self.bucket_ms = _FIRST_BUCKET_MS
        self.points: list[Point] = []

    def count(self, now_ms: int, audience: Audience, peak: int) -> None:
        """The audience from now on; the engine's `peak` since it knows the Space."""
        self.audience = audience
        self.peak = max(self.peak, peak, audience.named + audience.anonymous + audience.guests)
        at_ms = now_ms - now_ms % self.bucket_ms
        point = Point(at_ms=at_ms, named=audience.named, anonymous=audience.anonymous, guests=audience.guests)
        if self.points and self.points[-1].at_ms == at_ms:
            self.points[-1] = max(self.points[-1], point, key=lambda one: one.people)
        else:
            self.points.append(point)
        if len(self.points) > _MOST_POINTS:
            self._widen()

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

    def of(self, space: SpaceId) -> SpaceCounters:
        """One Space's, empty if nothing was counted yet."""
        return self._of.get(space) or SpaceCounters()

    def audience(self, space: SpaceId) -> Audience:
        """People connected now."""
        return self.of(space).audience

    def count(self, counts: Counts) -> None:
        """What the engine told."""
        own = self._of.setdefault(counts.space, SpaceCounters())
        audience = Audience(named=counts.named, anonymous=counts.anonymous, guests=counts.guests)
        if own.audience != audience:
            self._changed.add(counts.space)
        own.count(self._clock.now_ms(), audience, counts.peak)

    def take_changed(self) -> frozenset[SpaceId]:
        """Spaces whose audience is another than at the last call."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def react(self, space: SpaceId, reactions: Mapping[str, int]) -> None:
        """Reactions of the last second."""
        self._of.setdefault(space, SpaceCounters()).reactions.update(reactions)

    def close(self, space: SpaceId) -> SpaceCounters:
        """Takes a Space's counters away and answers them: for those who store them."""
        return self._of.pop(space, None) or SpaceCounters()
