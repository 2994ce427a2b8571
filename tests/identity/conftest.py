from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from spaces_ctl.clock import ManualClock
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.snowflake import Snowflakes
from spaces_ctl.store.database import Database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path}/spaces.db")
    await database.create_tables()
    yield database
    await database.aclose()


@pytest.fixture
def embedded(db: Database) -> EmbeddedGraph:
    return EmbeddedGraph(db=db)


@pytest.fixture
def accounts(db: Database, embedded: EmbeddedGraph, clock: ManualClock) -> Accounts:
    return Accounts(db=db, graph=embedded, clock=clock, next_id=Snowflakes(clock).next, limits=Limits())


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    quick = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield quick
    quick.close()
