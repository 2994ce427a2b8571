"""How much live Spaces trend: once a minute per Space, from counters, never per listener.

    arrivals = growth of the audience since the last look (a lower bound: who came while another left is not seen)
    reach    = reach · 2^(-Δt / 10 min) + arrivals
    score    = reach + people now / 4

A Space that just drew 100 people scores 125; ten minutes later, with all of them still there, 75; an hour later 27. So
what is growing comes before what is merely large, and the large does not vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import SpaceId
from spaces_ctl.store import discovery as store
from spaces_ctl.store import summaries
from spaces_ctl.store.database import Database
from spaces_ctl.store.discovery import Trend

__all__ = ["EVERY_MS", "HALF_LIFE_MS", "Trends", "next_trend"]

EVERY_MS = 60_000
HALF_LIFE_MS = 600_000


def next_trend(old: Trend | None, space: SpaceId, people: int, now_ms: int) -> Trend:
    """The formula."""
    reach = float(people)
    if old is not None:
        decay = 2.0 ** (-max(0, now_ms - old.at_ms) / HALF_LIFE_MS)
        reach = old.reach * decay + max(0, people - old.people)
    return Trend(space=space, reach=reach, people=people, score=round(1000 * (reach + people / 4)), at_ms=now_ms)


class Trends:
    """Looks at this process's live Spaces."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        live: Callable[[], Iterable[SpaceId]],
        people: Callable[[SpaceId], int],
    ) -> None:
        """`live`: live Spaces of this process; `people`: everybody connected to one now."""
        self._db = db
        self._clock = clock
        self._live = live
        self._people = people
        self._looked_ms: int | None = None

    async def step(self) -> bool:
        """Looks, if a minute has passed; whether it did."""
        now = self._clock.now_ms()
        if self._looked_ms is not None and now - self._looked_ms < EVERY_MS:
            return False
        self._looked_ms = now
        counted = {space: self._people(space) for space in self._live()}
        old = await self._db.read(lambda c: store.trends(c, counted))
        new = [next_trend(old.get(space), space, people, now) for space, people in counted.items()]

        for start in range(0, len(new), 500):
            # In parts: nobody's mute waits for all Spaces' trends.
            part = new[start : start + 500]
            await self._db.write(partial(self._write, part=part))
        await self._db.write(store.forget_trends)
        return True

    def _write(self, c: sa.Connection, part: list[Trend]) -> None:
        store.put_trends(c, part)
        for trend in part:
            summaries.note_counts(c, trend.space, participants=trend.people)
