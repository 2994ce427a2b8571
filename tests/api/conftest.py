from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from tests.support.api_world import ApiWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    world = await ApiWorld.open(tmp_path)
    yield world
    await world.aclose()


@pytest.fixture
async def client(world: ApiWorld) -> AsyncIterator[AsyncTestClient[Litestar]]:
    async with AsyncTestClient(world.app) as client:
        yield client
