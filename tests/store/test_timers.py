"""Timers: kept by key, taken once, given out again when whoever took them is gone."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from spaces_ctl import commands as cmd
from spaces_ctl.store import timers
from spaces_ctl.store.database import Database
from spaces_ctl.store.timers import Timer


def timer(space: int, key: str, due_ms: int, account: int = 7) -> Timer:
    return Timer(space=space, key=key, due_ms=due_ms, command=cmd.ResumeExpired(account=account))


async def put(db: Database, *some: Timer) -> None:
    await db.write(partial(timers.put, timers=some))


async def take(db: Database, now_ms: int, lease_until_ms: int, limit: int = 100) -> list[Timer]:
    return await db.write(lambda c: timers.take_due(c, now_ms, lease_until_ms, limit))


async def test_what_is_due_is_taken_the_longest_overdue_first(database: Database) -> None:
    a, b, later = timer(1, "resume:7", 300), timer(2, "resume:7", 200), timer(1, "end", 301)
    await put(database, a, b, later)
    assert await database.read(timers.next_due) == 200
    assert await take(database, 199, 1_000) == []
    assert await take(database, 300, 1_000) == [b, a]
    assert await database.read(timers.next_due) == 301


async def test_a_taken_timer_comes_again_when_its_lease_is_over_unless_done(database: Database) -> None:
    a, b = timer(1, "a", 100), timer(1, "b", 100)
    await put(database, a, b)
    assert await take(database, 100, 500) == [a, b]
    assert await take(database, 499, 900) == []
    assert await database.read(timers.next_due) == 500
    await database.write(partial(timers.done, timer=a))
    assert await take(database, 500, 900) == [b]


async def test_set_anew_a_timer_is_free_again_and_done_of_the_old_one_leaves_it(database: Database) -> None:
    old, new = timer(1, "resume:7", 100), timer(1, "resume:7", 250, account=8)
    await put(database, old)
    assert await take(database, 100, 10_000) == [old]
    await put(database, new)
    await database.write(partial(timers.done, timer=old))
    assert await take(database, 250, 10_000) == [new]


async def test_deleting_by_prefix_means_the_prefix_and_no_pattern(database: Database) -> None:
    keys = ["resume:7", "resume:8", "resume%", "resume_", "resumed", "end"]
    await put(database, *(timer(1, key, 100) for key in keys), timer(2, "resume:7", 100))
    await database.write(lambda c: timers.delete_prefix(c, 1, "resume:"))
    assert {t.key for t in await database.read(lambda c: timers.of_space(c, 1))} == set(keys[2:])
    await database.write(lambda c: timers.delete_prefix(c, 1, "resume_"))
    assert {t.key for t in await database.read(lambda c: timers.of_space(c, 1))} == {"resume%", "resumed", "end"}
    await database.write(lambda c: timers.delete(c, 1, ["end", "nothing"]))
    await database.write(lambda c: timers.delete_prefix(c, 1))
    assert await database.read(lambda c: timers.of_space(c, 1)) == []
    assert await database.read(lambda c: timers.of_space(c, 2)) == [timer(2, "resume:7", 100)]


async def test_the_whole_set_is_replaced_and_what_stays_keeps_its_lease(database: Database) -> None:
    stays, changes, goes = timer(1, "stays", 100), timer(1, "changes", 100), timer(1, "goes", 100)
    await database.write(lambda c: timers.set_all(c, 1, [stays, changes, goes]))
    await take(database, 100, 10_000)
    changed, new = timer(1, "changes", 150), timer(1, "new", 120)
    await database.write(lambda c: timers.set_all(c, 1, [stays, changed, new]))
    assert await database.read(lambda c: timers.of_space(c, 1)) == [stays, new, changed]
    assert await take(database, 200, 10_000) == [new, changed]


async def test_many_takers_at_once_get_each_timer_once(database: Database) -> None:
    await put(database, *(timer(space, "due", 100) for space in range(60)))
    taken = await asyncio.gather(*(take(database, 100, 500, limit=7) for _ in range(20)))
    spaces = sorted(t.space for some in taken for t in some)
    assert len(spaces) == len(set(spaces))
    rest = await take(database, 100, 500)
    assert sorted(spaces + [t.space for t in rest]) == list(range(60))


async def test_a_lease_that_is_over_at_once_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="lease"):
        await take(database, 100, 100)
