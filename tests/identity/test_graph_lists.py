"""Long lists, and what holds of every graph whatever is done to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces_ctl import events as ev
from spaces_ctl.model import Actor
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.store.database import Database
from spaces_ctl.store.tables.accounts import accounts
from spaces_ctl.store.tables.graph import blocks, follows
from tests.support.databases import sqlite_with_tables


async def test_lists_longer_than_a_page_are_whole_and_ascending(db: Database, embedded: EmbeddedGraph) -> None:
    rows = [{"by": 1, "account": 10 + n, "at_ms": 0} for n in range(45_000)]
    await db.write(lambda c: c.execute(sa.insert(blocks), rows) and None)
    await db.write(
        lambda c: c.execute(sa.insert(follows), [{**r, "by": r["account"], "account": 1} for r in rows]) and None
    )
    blocked = await embedded.blocked_by(1)
    assert list(blocked) == list(range(10, 45_010))
    seen: list[int] = []
    while page := await embedded.followers(1, after=seen[-1] if seen else 0, limit=20_000):
        seen.extend(page)
    assert seen == list(blocked)
    pairs = frozenset((1, 10 + n) for n in range(0, 90_000, 100))
    assert len((await embedded.facts(Needs(blocks=pairs), 0)).blocks) == 450


PEOPLE = (1, 2, 3, 4)
steps = st.lists(
    st.tuples(
        st.sampled_from(["follow", "unfollow", "block", "unblock"]), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)
    ),
    max_size=30,
)


@settings(max_examples=25)
@given(steps)
def test_nobody_follows_whom_they_block_and_counts_are_right(todo: list[tuple[str, int, int]]) -> None:
    asyncio.run(_play(todo))


async def _play(todo: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as folder:
        database = await Database.open(await sqlite_with_tables(Path(folder) / "g.db"), synchronous="normal")
        made = [{"id": n, "handle": f"p{n}", "name": "P", "created_ms": 0} for n in PEOPLE]
        await database.write(lambda c: c.execute(sa.insert(accounts), made) and None)
        graph = EmbeddedGraph(db=database)
        following: set[tuple[int, int]] = set()
        blocking: set[tuple[int, int]] = set()
        for what, by, other in todo:
            if by == other or (what == "follow" and {(by, other), (other, by)} & blocking):
                continue  # `Accounts` refuses these
            match what:
                case "follow":
                    following.add((by, other))
                    event: ev.AccountEvent = ev.Followed(by=by, account=other)
                case "unfollow":
                    following.discard((by, other))
                    event = ev.Followed(by=by, account=other, on=False)
                case "block":
                    blocking.add((by, other))
                    following -= {(by, other), (other, by)}
                    event = ev.AccountBlocked(by=by, account=other)
                case _:
                    blocking.discard((by, other))
                    event = ev.AccountUnblocked(by=by, account=other)
            await graph.apply(event, Actor(account=by), 0)
        pairs = frozenset((a, b) for a in PEOPLE for b in PEOPLE)
        facts = await graph.facts(Needs(accounts=frozenset(PEOPLE), blocks=pairs, follows=pairs), 0)
        assert facts.follows == following
        assert facts.blocks == blocking
        for person in PEOPLE:
            assert facts.accounts[person].followers == sum(1 for _, other in following if other == person)
            assert set(await graph.following(person)) == {other for by, other in following if by == person}
        await database.aclose()
