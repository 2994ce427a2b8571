import pytest

from spaces_ctl.store.database import Database
from tests.support.databases import *  # noqa: F403
from tests.support.worlds import World


@pytest.fixture
async def world(database: Database) -> World:
    return World(database)
