from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.events import Recorded
from spaces_ctl.service.reactor import Reactor, Unit, Worker
from spaces_ctl.store import reactors
from spaces_ctl.store.database import Database
from tests.support.around import FakeBus, FakeLog
from tests.support.patience import PATIENCE_S

seen = sa.Table("test_reactor_seen", sa.MetaData(), sa.Column("sequence", sa.BigInteger))


class Note:
    """Writes down each sequence once per commit, so that a repeated effect shows."""

    def __init__(self) -> None:
        self.poison: set[int] = set()
        self.after_write: Callable[[], None] = lambda: None
        self.prepared: list[list[int]] = []

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        sequences = [recorded.sequence for recorded in events]
        self.prepared.append(sequences)
        if self.poison & set(sequences):
            raise ValueError("cannot digest this")

        def unit(c: sa.Connection) -> None:
            for sequence in sequences:
                c.execute(seen.insert().values(sequence=sequence))
            self.after_write()

        return unit


@pytest.fixture
async def note(db: Database) -> Note:
    await db.write(lambda c: seen.create(c))
    return Note()


@pytest.fixture
def make(db: Database, clock: ManualClock, log: FakeLog, note: Note) -> Callable[..., Reactor]:
    def build(**settings: Any) -> Reactor:
        return Reactor("test", note, db=db, clock=clock, log_after=log.after, **settings)

    return build


async def written(db: Database) -> list[int]:
    return list(await db.read(lambda c: c.scalars(sa.select(seen.c.sequence)).all()))


async def test_every_event_is_digested_once_and_in_order_in_small_batches(
    db: Database, log: FakeLog, make: Callable[..., Reactor]
) -> None:
    for account in range(7):
        log.add(5, e.Requested(account=account))
    assert await make(batch=3).drain() == 7
    assert await written(db) == [recorded.sequence for recorded in log.events]
    assert await make().drain() == 0, "a new reader of the same name goes on where the old one was"


async def test_a_crash_between_the_write_and_its_commit_repeats_nothing_visible(
    db: Database, log: FakeLog, note: Note, make: Callable[..., Reactor]
) -> None:
    log.add(5, e.Requested(account=1))

    def crash() -> None:
        raise asyncio.CancelledError

    note.after_write = crash
    with pytest.raises(asyncio.CancelledError):
        await make().drain()
    assert await written(db) == []
    note.after_write = lambda: None
    assert await make().drain() == 1
    assert await written(db) == [1]


async def test_two_processes_with_one_cursor_write_each_event_once(
    db: Database, log: FakeLog, make: Callable[..., Reactor]
) -> None:
    for account in range(50):
        log.add(5, e.Requested(account=account))
    counts = await asyncio.gather(*(make(batch=4).drain() for _ in range(3)))
    assert sum(counts) == 50
    assert await written(db) == [recorded.sequence for recorded in log.events]


async def test_an_event_that_cannot_be_digested_is_put_aside_and_holds_up_nobody_for_good(
    db: Database, log: FakeLog, note: Note, make: Callable[..., Reactor]
) -> None:
    for account in range(3):
        log.add(5, e.Requested(account=account))
    note.poison = {3}
    reactor = make(attempts=2)
    with pytest.raises(ValueError, match="digest"):
        await reactor.drain()
    assert await written(db) == [1], "what came before it is not held back"
    assert await reactor.drain() == 2
    assert await written(db) == [1, 5]
    assert await db.read(lambda c: reactors.parked(c, "test")) == [(3, "ValueError('cannot digest this')")]

    assert await reactor.retry_parked() == 0
    note.poison = set()
    assert await reactor.retry_parked() == 1
    assert await written(db) == [1, 5, 3]
    assert await db.read(lambda c: reactors.parked(c, "test")) == []


async def test_the_bus_wakes_it_and_a_subscription_that_ended_is_renewed(
    db: Database, log: FakeLog, note: Note, make: Callable[..., Reactor]
) -> None:
    bus = FakeBus()
    done = asyncio.Event()
    reactor = make(done=done.set, idle_s=3600)
    running = asyncio.create_task(reactor.run(bus))
    try:
        for account in range(3):
            done.clear()
            await bus.publish([log.add(5, e.Requested(account=account))])
            await asyncio.wait_for(done.wait(), PATIENCE_S)
            bus.end_all()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await written(db) == [1, 3, 5]


async def test_a_bus_whose_subscriptions_end_at_once_does_not_keep_the_loop_busy(make: Callable[..., Reactor]) -> None:
    subscribed = 0

    class Ending(FakeBus):
        @asynccontextmanager
        async def subscribe(self, space: int | None = None) -> AsyncIterator[AsyncIterator[Recorded]]:
            nonlocal subscribed
            subscribed += 1

            async def nothing() -> AsyncIterator[Recorded]:
                return
                yield

            yield nothing()

    running = asyncio.create_task(make(idle_s=3600).run(Ending()))
    for _ in range(1000):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert 1 <= subscribed < 100


async def test_a_worker_goes_on_while_there_is_work_and_survives_an_error() -> None:
    left = 3
    idle = asyncio.Event()

    async def step() -> bool:
        nonlocal left
        if left == 2:
            left = 1
            raise ValueError("once")
        if left == 0:
            idle.set()
            return False
        left -= 1
        return True

    worker = Worker("test", step, idle_s=0.01)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(idle.wait(), PATIENCE_S)
    idle.clear()
    left = 5
    worker.wake()
    await asyncio.wait_for(idle.wait(), PATIENCE_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert left == 0


def test_the_tables_of_readers_are_part_of_the_schema() -> None:
    from spaces_ctl.store.tables.all import metadata

    assert {"reactor_cursors", "reactor_parked"} <= set(metadata.tables)


async def test_a_worker_that_is_woken_and_cancelled_at_once_ends() -> None:
    """In Python 3.11 `asyncio.wait_for` forgets a cancellation that comes with what it waits for."""

    async def nothing() -> bool:
        return False

    worker = Worker("idle", nothing, idle_s=60)
    running = asyncio.create_task(worker.run())
    for _ in range(5):
        await asyncio.sleep(0)
    worker.wake()
    running.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    ended = running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ended
