"""A database of both kinds, a clock, a log of events without a policy behind it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.store.database import Database
from tests.support.around import FakeLog


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path}/around.db")
    await database.create_tables()
    yield database
    await database.aclose()


@pytest.fixture
def new_id() -> Callable[[], int]:
    return itertools.count(1000).__next__


@pytest.fixture
def log(clock: ManualClock) -> FakeLog:
    return FakeLog(clock)
