"""The log: versions, order, and what many appenders and a reader by cursor see of each other. On both databases."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
import sqlalchemy as sa

from spaces_ctl import events as ev
from spaces_ctl.model import SYSTEM, Actor, ClientClass, Ticketing
from spaces_ctl.store import account_log, event_log
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Conflict

HOST = Actor(account=1, client=ClientClass.IOS)


def append(c: sa.Connection, space: int, expected: int, *events: ev.SpaceEvent) -> tuple[ev.Recorded, ...]:
    return event_log.append(c, space, expected, events or (ev.Unmuted(account=1),), HOST, 1_000)


async def test_events_come_back_whole_and_in_order(database: Database) -> None:
    events: list[ev.SpaceEvent] = [
        ev.Created(
            creator=2**63 - 1,
            title="Žluťoučký 🐎",
            topics=("7", "11"),
            ticketing=Ticketing(price_minor=500, currency="EUR", quantity=3),
        ),
        ev.Started(record=True),
        ev.AdminChanged(account=None, how=ev.AdminHow.HOSTLESS, until_ms=5),
    ]
    first = await database.write(lambda c: event_log.append(c, 2**62, 0, events[:2], HOST, 1_000))
    second = await database.write(lambda c: event_log.append(c, 2**62, 2, events[2:], SYSTEM, 2_000))

    stored = await database.read(lambda c: event_log.read(c, 2**62))
    assert stored == first + second
    assert [r.event for r in stored] == events
    assert [r.version for r in stored] == [1, 2, 3]
    assert [r.sequence for r in stored] == [1, 2, 3]
    assert [(r.actor, r.at_ms) for r in stored] == [(HOST, 1_000), (HOST, 1_000), (SYSTEM, 2_000)]


async def test_reading_from_a_version_on_and_a_part(database: Database) -> None:
    await database.write(lambda c: append(c, 5, 0, *[ev.Unmuted(account=i) for i in range(6)]))
    assert [r.version for r in await database.read(lambda c: event_log.read(c, 5, 4))] == [5, 6]
    assert [r.version for r in await database.read(lambda c: event_log.read(c, 5, 1, 2))] == [2, 3]
    assert await database.read(lambda c: event_log.read(c, 6)) == ()
    assert await database.read(lambda c: event_log.version(c, 5)) == 6
    assert await database.read(lambda c: event_log.version(c, 6)) == 0


async def test_another_version_is_a_conflict_and_leaves_no_trace(database: Database) -> None:
    await database.write(lambda c: append(c, 5, 0))
    for expected in (0, 2):
        with pytest.raises(Conflict) as caught:
            await database.write(partial(append, space=5, expected=expected))
        assert (caught.value.space, caught.value.expected, caught.value.actual) == (5, expected, 1)
    assert await database.read(lambda c: event_log.head(c)) == 1


async def test_fifty_at_once_on_one_space_and_one_wins_each_version(database: Database) -> None:
    rounds = 5
    for expected in range(rounds):
        results = await asyncio.gather(
            *(database.write(partial(append, space=9, expected=expected)) for _ in range(50)),
            return_exceptions=True,
        )
        assert sum(isinstance(r, tuple) for r in results) == 1
        assert sum(isinstance(r, Conflict) for r in results) == 49
    log = await database.read(lambda c: event_log.read(c, 9))
    assert [r.version for r in log] == list(range(1, rounds + 1))
    assert [r.sequence for r in log] == list(range(1, rounds + 1))


async def test_a_reader_by_cursor_sees_every_event_once_in_order_while_many_append(database: Database) -> None:
    """Some units fail after their append, some take long: a number given out must neither come late nor leave a gap."""
    spaces, rounds = 12, 8
    done = asyncio.Event()

    async def appender(space: int) -> None:
        for version in range(rounds):
            if (space + version) % 3 == 0:
                with pytest.raises(LookupError):
                    await database.write(lambda c: failing(c, space))
            await database.write(partial(slow_append, space=space, expected=version))

    def failing(c: sa.Connection, space: int) -> None:
        append(c, space, event_log.version(c, space), ev.Unmuted(account=1), ev.Unmuted(account=2))
        raise LookupError("after the append")

    def slow_append(c: sa.Connection, space: int, expected: int) -> None:
        append(c, space, expected)
        if c.dialect.name == "postgresql" and space % 4 == 0:
            c.execute(sa.text("SELECT pg_sleep(0.005)"))  # others get the chance to commit before this one

    async def reader() -> list[ev.Recorded]:
        seen: list[ev.Recorded] = []
        while True:
            last_round = done.is_set()
            after = seen[-1].sequence if seen else 0
            page = await database.read(partial(event_log.read_all, after_sequence=after, limit=7))
            seen += page
            if last_round and not page:
                return seen

    reading = asyncio.create_task(reader())
    await asyncio.gather(*(appender(space) for space in range(1, spaces + 1)))
    done.set()
    seen = await reading

    assert [r.sequence for r in seen] == list(range(1, spaces * rounds + 1))
    for space in range(1, spaces + 1):
        assert [r.version for r in seen if r.space == space] == list(range(1, rounds + 1))


async def test_nothing_to_append_is_nothing(database: Database) -> None:
    assert await database.write(lambda c: event_log.append(c, 1, 77, (), HOST, 0)) == ()
    assert await database.read(lambda c: event_log.head(c)) == 0


async def test_the_log_of_accounts_has_its_own_numbers_and_no_gaps(database: Database) -> None:
    """A database sequence gave a number to a unit that failed, and let later numbers be seen first."""
    await database.write(lambda c: append(c, 5, 0))

    def block(c: sa.Connection, account: int) -> None:
        account_log.append(c, (ev.AccountBlocked(by=1, account=account),), HOST, 7)
        if account % 2:
            raise LookupError("after the append")

    results = await asyncio.gather(
        *(database.write(partial(block, account=n)) for n in range(20)), return_exceptions=True
    )
    assert sum(isinstance(r, LookupError) for r in results) == 10
    log = await database.read(lambda c: account_log.read_all(c, 0, 100))
    assert [r.sequence for r in log] == list(range(1, 11))
    assert sorted(r.event.account for r in log if isinstance(r.event, ev.AccountBlocked)) == list(range(0, 20, 2))
