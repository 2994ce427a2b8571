"""Both event buses: what subscribers get, what the slow ones get, and what a lost connection costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from spaces_ctl import events as ev
from spaces_ctl.model import SYSTEM
from spaces_ctl.store import event_log
from spaces_ctl.store.bus import LocalBus
from spaces_ctl.store.database import Database
from spaces_ctl.store.postgres_bus import PostgresBus
from tests.support.databases import PostgresCluster
from tests.support.patience import PATIENCE_S

Bus = LocalBus | PostgresBus


@asynccontextmanager
async def bus_of(database: Database, queue: int = 100) -> AsyncIterator[Bus]:
    made: Bus = LocalBus(queue) if database.dialect == "sqlite" else PostgresBus(database, queue=queue, look_s=60)
    async with made as bus:
        yield bus


async def commit(database: Database, space: int, count: int = 1) -> tuple[ev.Recorded, ...]:
    def unit(c: sa.Connection) -> tuple[ev.Recorded, ...]:
        before = event_log.version(c, space)
        return event_log.append(c, space, before, [ev.Unmuted(account=1)] * count, SYSTEM, 0)

    return await database.write(unit)


async def take(events: AsyncIterator[ev.Recorded], count: int) -> list[ev.Recorded]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(events) for _ in range(count)]


async def test_subscribers_get_their_space_or_all_in_order(database: Database) -> None:
    async with bus_of(database) as bus, bus.subscribe() as everything, bus.subscribe(1) as one, bus.subscribe(2) as two:
        published: list[ev.Recorded] = []
        for space in (1, 2, 1, 3, 2):
            events = await commit(database, space, 2)
            await bus.publish(events)
            published += events
        assert await take(everything, 10) == published
        assert await take(one, 4) == [e for e in published if e.space == 1]
        assert await take(two, 4) == [e for e in published if e.space == 2]


async def test_a_slow_subscriber_gets_what_was_queued_then_its_end_and_harms_nobody(database: Database) -> None:
    async with bus_of(database, queue=5) as bus, bus.subscribe() as slow, bus.subscribe(1) as quick:
        kept: list[ev.Recorded] = []
        for _ in range(8):
            events = await commit(database, 1)
            await bus.publish(events)
            kept += await take(quick, 1)
        assert [e.version for e in kept] == list(range(1, 9))
        async with asyncio.timeout(PATIENCE_S):
            assert [e async for e in slow] == kept[:5]
        assert bus.subscribers == 1


async def test_leaving_unsubscribes_and_closing_ends_iterators(database: Database) -> None:
    async with bus_of(database) as bus:
        async with bus.subscribe(), bus.subscribe(1):
            assert bus.subscribers == 2
        assert bus.subscribers == 0
        async with bus.subscribe() as events:
            waiting = asyncio.create_task(anext(events, None))
            await asyncio.sleep(0)
            await bus.aclose()
            assert await asyncio.wait_for(waiting, PATIENCE_S) is None
        async with bus.subscribe(1) as late:
            assert [e async for e in late] == []


@pytest.fixture
async def two_nodes(postgres_cluster: PostgresCluster) -> AsyncIterator[tuple[Database, Database]]:
    name = await postgres_cluster.create(tables=True)
    first, second = [await Database.open(postgres_cluster.url(name)) for _ in range(2)]
    yield first, second
    await first.aclose()
    await second.aclose()
    await postgres_cluster.drop(name)


async def test_another_node_hears_it(two_nodes: tuple[Database, Database]) -> None:
    here, there = two_nodes
    await commit(here, 1, 3)  # before anybody listens
    async with (
        PostgresBus(here, look_s=60) as publisher,
        PostgresBus(there, look_s=60) as listener,
        listener.subscribe() as events,
    ):
        for version in range(4, 8):
            recorded = await commit(here, 1)
            await publisher.publish(recorded)
            assert await take(events, 1) == list(recorded)
            assert recorded[0].version == version


async def test_events_of_many_nodes_arrive_everywhere_once_in_order_of_commit(
    two_nodes: tuple[Database, Database],
) -> None:
    here, there = two_nodes
    async with (
        PostgresBus(here, look_s=60) as first,
        PostgresBus(there, look_s=60) as second,
        first.subscribe() as heard_here,
        second.subscribe() as heard_there,
    ):

        async def node(database: Database, bus: PostgresBus, space: int) -> None:
            for _ in range(20):
                await bus.publish(await commit(database, space))

        nodes = [(here, first, space) for space in (1, 2, 3)] + [(there, second, space) for space in (4, 5, 6)]
        await asyncio.gather(*(node(*arguments) for arguments in nodes))
        for events in (heard_here, heard_there):
            assert [e.sequence for e in await take(events, 120)] == list(range(1, 121))


async def test_what_was_committed_while_the_connection_was_lost_arrives_afterwards(
    two_nodes: tuple[Database, Database], postgres_cluster: PostgresCluster
) -> None:
    here, there = two_nodes
    name = there.url.database
    async with PostgresBus(there, look_s=60) as bus, bus.subscribe() as events:
        await bus.publish(await commit(there, 1))
        assert len(await take(events, 1)) == 1
        # The listening connection dies and cannot come back yet; a node commits and dies before it can notify.
        await commit(here, 2)  # its connections are open already
        await postgres_cluster.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        listening = f"FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'LISTEN%'"
        assert len(await postgres_cluster.sql(f"SELECT pg_terminate_backend(pid) {listening}")) == 1
        await commit(here, 1, 2)
        await postgres_cluster.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert [(e.space, e.version) for e in await take(events, 3)] == [(2, 1), (1, 2), (1, 3)]
        assert bus.reconnects == 1
        await bus.publish(await commit(here, 1))
        assert [e.version for e in await take(events, 1)] == [4]


async def test_an_event_nobody_notified_of_is_found_by_looking(two_nodes: tuple[Database, Database]) -> None:
    here, there = two_nodes
    async with PostgresBus(there, look_s=0.05) as bus, bus.subscribe() as events:
        recorded = await commit(here, 1)
        assert await take(events, 1) == list(recorded)


async def test_publishing_while_the_database_is_away_is_no_error(
    two_nodes: tuple[Database, Database], postgres_cluster: PostgresCluster
) -> None:
    here, _there = two_nodes
    async with PostgresBus(here, look_s=60) as bus, bus.subscribe() as events:
        recorded = await commit(here, 1)
        await postgres_cluster.sql(f"ALTER DATABASE {here.url.database} ALLOW_CONNECTIONS false")
        await postgres_cluster.sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{here.url.database}'"
        )
        await bus.publish(recorded)
        await postgres_cluster.sql(f"ALTER DATABASE {here.url.database} ALLOW_CONNECTIONS true")
        assert await take(events, 1) == list(recorded)
