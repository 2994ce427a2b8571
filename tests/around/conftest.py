"""A database of both kinds, a clock, ids, a log of events without a policy behind it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.store.database import Database
from tests.support.around import FakeLog
from tests.support.databases import *  # noqa: F403  # its fixtures; `__all__` says which


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def db(database: Database) -> Database:
    return database


@pytest.fixture
def new_id() -> Callable[[], int]:
    return itertools.count(1000).__next__


@pytest.fixture
def log(clock: ManualClock) -> FakeLog:
    return FakeLog(clock)
