"""Nothing that Python is told grows with the audience."""

import asyncio
from collections import Counter

from spaces_ctl.engine import Engine, EngineConfig, Joined, Left, SetAcl, SetState, UpsertSpace
from tests.engine.conftest import SPACE, Run

FIRST = 1 << 40
WATCHED = 5


async def told(audience: int) -> tuple[Counter[str], float]:
    """Events while so many come, turn over, react and go, and how long that took in the engine's time (s)."""
    events: Counter[str] = Counter()
    first = last = 0
    async with Engine(EngineConfig(shards=2)) as engine:
        await engine.apply(UpsertSpace(space=SPACE, version=1))
        await engine.apply(SetState(space=SPACE, version=1, snapshot=b"{}"))
        await engine.apply(SetAcl(space=SPACE, version=1, kind="watch", accounts=range(FIRST, FIRST + WATCHED)))

        async def take() -> None:
            nonlocal first, last
            async for batch in engine.events():
                for event in batch:
                    events[type(event).__name__] += 1
                    first, last = first or event.at_us, event.at_us
                    if isinstance(event, Joined | Left):
                        assert FIRST <= event.account < FIRST + WATCHED

        async def until(people: int) -> None:
            while (counts := await engine.counts(SPACE)) and counts.named + counts.anonymous + counts.guests != people:
                await asyncio.sleep(0.02)

        taking = asyncio.create_task(take())
        quarter = audience // 4
        # The same time for every size: the rates grow with it.
        await engine.inject(
            SPACE,
            named=2 * quarter,
            anonymous=quarter,
            guests=quarter,
            first_account=FIRST,
            joins_per_second=audience,
            reactions_per_second=audience // 4,
        )
        await until(4 * quarter)
        assert await engine.present(SPACE, range(FIRST, FIRST + audience)) == set(range(FIRST, FIRST + 2 * quarter))
        pages, after = 0, 0
        while True:
            page = await engine.roster(SPACE, after=after, limit=quarter)
            assert len(page.listeners) == quarter
            pages += 1
            if page.next is None:
                break
            after = page.next
        assert pages == 2, "named people only"
        await engine.inject(SPACE, joins_per_second=audience)
        await until(0)
        taking.cancel()
    return events, (last - first) / 1e6


def test_python_is_told_as_much_of_20000_as_of_1000(run: Run[None]) -> None:
    async def main() -> None:
        for audience in (1_000, 20_000):
            events, seconds = await told(audience)
            assert events["Joined"] == events["Left"] == WATCHED, events
            assert 0 < events["Counts"] <= seconds + 2, (events, seconds)
            assert 0 < events["Reactions"] <= seconds + 2, (events, seconds)
            assert set(events) == {"Joined", "Left", "Counts", "Reactions"}, events

    run(main())
