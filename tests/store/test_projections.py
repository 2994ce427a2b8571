"""Projections: kept in step with the log, and the same when made anew from it."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from spaces_ctl import events as ev
from spaces_ctl.model import Speak, StageRole, Status, Ticketing
from spaces_ctl.policy import evolve
from spaces_ctl.policy.state import ReplayStatus, Space
from spaces_ctl.store import facts, projections, search, summaries
from spaces_ctl.store.database import Database
from spaces_ctl.store.facts import Buyer
from spaces_ctl.store.tables import metadata
from tests.store.happenings import create, happen, random_life

_PROJECTED = ("spaces", "space_people", "space_topics", "tickets", "subscriptions", "poll_votes", "space_search")


def rows(c: sa.Connection) -> dict[str, set[tuple[Any, ...]]]:
    return {name: {tuple(row) for row in c.execute(sa.select(metadata.tables[name]))} for name in _PROJECTED}


async def live(db: Database, space: int, at_ms: int = 1_000, **created: object) -> Space:
    def unit(c: sa.Connection) -> Space:
        return happen(c, create(c, space, at_ms, **created), [ev.Started(record=True)], at_ms)

    return await db.write(unit)


@pytest.mark.parametrize("seed", range(6))
async def test_made_anew_from_the_log_they_are_the_same(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    for space in range(1, 5):
        await database.write(partial(random_life, rng=rng, space=space, commits=40))
    await database.write(partial(summaries.note_counts, space=2, participants=8))
    await database.write(lambda c: search.put_names(c, 2, ["Ada"]))
    before = await database.read(rows)
    assert all(before[name] for name in _PROJECTED)

    assert await database.write(lambda c: projections.rebuild(c, evolve)) == 4
    assert await database.read(rows) == before
    assert (await database.read(lambda c: summaries.by_ids(c, [2])))[2].peak == 8


async def test_a_summary_tells_what_the_state_tells(database: Database) -> None:
    space = 2**53 + 1

    def unit(c: sa.Connection) -> Space:
        state = create(
            c,
            space,
            1_000,
            title="Tea & Kaffee",
            description="daily",
            topics=("9", "1", "5"),
            lang="de",
            speak=Speak.FOLLOWED,
            ticketing=Ticketing(price_minor=250, currency="EUR", quantity=7),
            community=44,
            scheduled_start_ms=9_000,
        )
        state = happen(c, state, [ev.Started(record=True)], 9_100)
        added: list[ev.SpaceEvent] = [
            ev.Invited(account=30, role=StageRole.SPEAKER),
            ev.SpeakerAdded(account=30, seat=4, generation=2, how=ev.SeatGainedHow.INVITE),
            ev.SpeakerAdded(account=20, seat=2, generation=3, how=ev.SeatGainedHow.OPEN),
            ev.CohostAdded(account=50, seat=3, generation=4, how=ev.CohostGainedHow.ACCEPTED),
            ev.Invited(account=60, role=StageRole.SPEAKER),
        ]
        return happen(c, state, added, 9_200)

    state = await database.write(unit)
    found = await database.read(lambda c: summaries.by_ids(c, [7, space, space]))
    assert list(found) == [space]
    summary = found[space]
    same = (
        "id version status creator admin title description lang topics community ticketing created_ms "
        "scheduled_start_ms started_ms ended_ms updated_ms speak requests_open record clips_on captions_on retention "
        "violation subscribers tickets requests_made clips_made"
    )
    assert {name: getattr(summary, name) for name in same.split()} == {
        name: getattr(state, name) for name in same.split()
    }
    assert summary.status is Status.LIVE
    assert summary.replay_status is ReplayStatus.RECORDING
    assert summary.hosts == state.hosts == (1, 50)
    assert summary.speakers == state.speakers == (30, 20)
    assert set(summary.invited) >= {30, 60}
    assert set(summary.spoke) == {1, 20, 30, 50}
    assert summary.hosted == (1, 50)


async def test_who_hosted_is_remembered_when_the_stage_is_empty(database: Database) -> None:
    state = await live(database, 1)
    state = await database.write(
        lambda c: happen(
            c, state, [ev.CohostAdded(account=2, seat=1, generation=2, how=ev.CohostGainedHow.ACCEPTED)], 2_000
        )
    )
    await database.write(lambda c: happen(c, state, [ev.Ended(how=ev.EndedHow.HOST)], 3_000))
    summary = (await database.read(lambda c: summaries.by_ids(c, [1])))[1]
    assert (summary.status, summary.hosts, summary.hosted) == (Status.ENDED, (), (1, 2))
    hosted = await database.read(lambda c: summaries.hosted_by(c, 2, [Status.ENDED], 10))
    assert [s.id for s in hosted] == [1]
    assert await database.read(lambda c: summaries.recorded_by(c, 2, 10)) == []
    ended = evolve(evolve(state, ev.Ended(how=ev.EndedHow.HOST), 3_000), ev.ReplayReady(duration_ms=5), 4_000)
    await database.write(
        lambda c: happen(
            c, evolve(state, ev.Ended(how=ev.EndedHow.HOST), 3_000), [ev.ReplayReady(duration_ms=5)], 4_000
        )
    )
    recorded = await database.read(lambda c: summaries.recorded_by(c, 2, 10))
    assert [(s.id, s.replay_duration_ms) for s in recorded] == [(1, ended.replay.duration_ms)]


async def test_lists_come_in_their_order_and_in_pages(database: Database) -> None:
    for space, start in [(1, 500), (2, 300), (3, 500), (4, 100)]:
        await live(database, space, start)
        await database.write(partial(create, space=10 + space, at_ms=50, scheduled_start_ms=10_000 - start))
    await database.write(lambda c: create(c, 99, 50))
    for space, people in [(1, 5), (2, 9), (4, 5)]:
        await database.write(partial(summaries.note_counts, space=space, participants=people))

    async def pages(query: Any, value: str) -> list[int]:
        seen: list[int] = []
        after = None
        while page := await database.read(partial(query, limit=2, after=after)):
            seen += [s.id for s in page]
            last = page[-1]
            after = summaries.Position(getattr(last, value), last.id)
        return seen

    assert await pages(summaries.live, "started_ms") == [3, 1, 2, 4]
    assert await pages(summaries.upcoming, "scheduled_start_ms") == [11, 13, 12, 14]
    assert await pages(summaries.trending, "participants") == [2, 4, 1, 3]
    assert await database.read(summaries.live_ids) == [1, 2, 3, 4]


async def test_lists_by_creator_topic_community_and_people_on_stage(database: Database) -> None:
    await live(database, 1, creator=5, topics=("x", "y"))
    state = await live(database, 2, creator=6, topics=("y",), community=44)
    await database.write(lambda c: create(c, 3, creator=5, topics=("y",), community=44, scheduled_start_ms=9_000))
    await database.write(lambda c: create(c, 4, creator=5, topics=("x",)))  # a lobby is public to nobody
    speaker = ev.SpeakerAdded(account=7, seat=1, generation=2, how=ev.SeatGainedHow.OPEN)
    await database.write(lambda c: happen(c, state, [speaker], 2_000))

    async def ids(query: Any, *arguments: Any, **more: Any) -> list[int]:
        return [s.id for s in await database.read(lambda c: query(c, *arguments, **more))]

    assert await ids(summaries.by_creators, [5]) == [3, 1]
    assert await ids(summaries.by_creators, [5, 6], [Status.LIVE]) == [2, 1]
    assert await ids(summaries.with_topic, ["x", "y"], 10) == [3, 2, 1]
    assert await ids(summaries.with_topic, ["x"], 10) == [1]
    assert await ids(summaries.with_topic, ["y"], 10, before=3) == [2, 1]
    assert await ids(summaries.in_community, 44, 10) == [3, 2]
    assert await ids(summaries.with_hosts, [5, 7, *range(1_000, 2_500)]) == [2, 1]


async def test_counts_remember_the_most(database: Database) -> None:
    await live(database, 1)
    for participants, attendance in [(5, 6), (9, 12), (3, 0)]:
        await database.write(partial(summaries.note_counts, space=1, participants=participants, attendance=attendance))
    await database.write(partial(summaries.add_plays, space=1, plays=2))
    await database.write(partial(summaries.add_plays, space=1, plays=3))
    summary = (await database.read(lambda c: summaries.by_ids(c, [1])))[1]
    assert (summary.participants, summary.peak, summary.attendance, summary.replay_plays) == (3, 9, 12, 5)


async def test_facts_about_tickets(database: Database) -> None:
    state = await live(database, 1)
    for account in (30, 10, 20):
        bought = [ev.TicketBought(account=account, payment=f"p{account}")]
        state = await database.write(partial(happen, state=state, events=bought, at_ms=5_000 + account))
    await database.write(lambda c: happen(c, state, [ev.TicketRefunded(account=10, payment="p10")], 6_000))

    def unit(c: sa.Connection) -> tuple[Any, ...]:
        first = facts.buyers(c, 1, 1)
        return (
            facts.has_ticket(c, 1, 30),
            facts.has_ticket(c, 1, 10),
            facts.has_ticket(c, 2, 30),
            facts.tickets_sold(c, 1),
            first,
            facts.buyers(c, 1, 10, first[0].sequence),
            facts.holders(c, 1),
            facts.tickets_of(c, 20, 10),
        )

    has, refunded, elsewhere, sold, first, rest, holders, spaces = await database.read(unit)
    assert (has, refunded, elsewhere, sold, holders, spaces) == (True, False, False, 2, [20, 30], [1])
    assert first == [Buyer(30, "p30", 5_030, 3)]
    assert rest == [Buyer(20, "p20", 5_020, 5)]


async def test_facts_about_reminders_and_votes(database: Database) -> None:
    state = await live(database, 1)
    events: list[ev.SpaceEvent] = [ev.Subscribed(account=a) for a in (5, 3, 9)]
    events += [ev.Unsubscribed(account=3), ev.PollVoted(poll=2, account=5, option=1)]
    await database.write(lambda c: happen(c, state, events, 2_000))

    def unit(c: sa.Connection) -> list[Any]:
        votes = [facts.voted(c, 1, poll, account) for poll, account in [(2, 5), (2, 9), (1, 5)]]
        reminders = [facts.subscribed(c, 1, account) for account in (5, 3)]
        return [votes, reminders, facts.subscribers(c, 1, 1), facts.subscribers(c, 1, 5, 5)]

    assert await database.read(unit) == [[True, False, False], [True, False], [5], [9]]


async def test_facts_about_what_somebody_hosts(database: Database) -> None:
    state = await live(database, 1, creator=5)
    for space in (11, 12):
        await database.write(partial(create, space=space, creator=5, scheduled_start_ms=9_000))

    async def hosts(account: int, but: int) -> bool:
        return await database.read(lambda c: facts.live_elsewhere(c, account, but))

    assert (await hosts(5, 99), await hosts(5, 1), await hosts(6, 99)) == (True, False, False)
    assert await database.read(lambda c: facts.scheduled(c, 5, 11)) == 1
    assert await database.read(lambda c: facts.scheduled(c, 5, 99)) == 2
    # The creator is away and another is admin for now: both host.
    succeeded = [ev.AdminChanged(account=6, how=ev.AdminHow.SUCCEEDED, seat=1, generation=2)]
    await database.write(lambda c: happen(c, state, succeeded, 2_000))
    assert (await hosts(5, 99), await hosts(6, 99)) == (True, True)
    # Given away, a Space is its creator's no more.
    other = await live(database, 2, creator=15)
    transferred = [ev.AdminChanged(account=7, how=ev.AdminHow.TRANSFERRED, seat=1, generation=3)]
    await database.write(lambda c: happen(c, other, transferred, 3_000))
    assert (await hosts(15, 99), await hosts(7, 99)) == (False, True)
