import pytest

from spaces_ctl.store.database import Database
from tests.support.databases import *  # noqa: F403  # its fixtures; `__all__` says which
from tests.support.worlds import World


@pytest.fixture
async def world(database: Database) -> World:
    return World(database)
