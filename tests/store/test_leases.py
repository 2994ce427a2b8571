"""Leases: one holder at a time, and an epoch that grows whenever the holder may have changed."""

from __future__ import annotations

import asyncio
from functools import partial

from spaces_ctl.store import leases
from spaces_ctl.store.database import Database
from spaces_ctl.store.leases import Lease


async def take(db: Database, node: str, now_ms: int, until_ms: int, space: int = 1) -> Lease:
    return await db.write(lambda c: leases.take(c, space, node, now_ms, until_ms))


async def test_the_holder_is_told_to_others_until_the_lease_is_over(database: Database) -> None:
    first = await take(database, "a", 0, 100)
    assert first == Lease(space=1, node="a", epoch=1, until_ms=100)
    assert await take(database, "b", 99, 199) == first
    assert await take(database, "b", 100, 200) == Lease(space=1, node="b", epoch=2, until_ms=200)
    assert await take(database, "a", 150, 300) == Lease(space=1, node="b", epoch=2, until_ms=200)


async def test_the_holder_extends_without_a_new_epoch_but_not_after_the_end(database: Database) -> None:
    await take(database, "a", 0, 100)
    assert await take(database, "a", 50, 150) == Lease(space=1, node="a", epoch=1, until_ms=150)
    assert await take(database, "a", 150, 250) == Lease(space=1, node="a", epoch=2, until_ms=250)


async def test_renewing_extends_what_is_held_and_tells_what_was_lost(database: Database) -> None:
    await take(database, "a", 0, 100, space=1)
    await take(database, "a", 0, 300, space=2)
    await take(database, "b", 0, 300, space=3)
    renewed = await database.write(lambda c: leases.renew(c, "a", 200, 400))
    assert renewed == [Lease(space=2, node="a", epoch=1, until_ms=400)]
    assert await database.read(lambda c: leases.held(c, "b", 200)) == [Lease(space=3, node="b", epoch=1, until_ms=300)]


async def test_a_released_lease_is_free_and_its_epoch_is_remembered(database: Database) -> None:
    await take(database, "a", 0, 100)
    await database.write(partial(leases.release, space=1, node="b"))
    assert (await take(database, "b", 10, 110)).node == "a"
    await database.write(partial(leases.release, space=1, node="a"))
    assert await take(database, "b", 10, 110) == Lease(space=1, node="b", epoch=2, until_ms=110)
    assert await database.read(partial(leases.get, space=9)) is None


async def test_of_many_who_want_it_at_once_one_gets_it(database: Database) -> None:
    for now in (0, 100, 200):
        told = await asyncio.gather(*(take(database, f"node{i}", now, now + 100) for i in range(20)))
        assert len({(lease.node, lease.epoch) for lease in told}) == 1
        assert told[0].epoch == now // 100 + 1
