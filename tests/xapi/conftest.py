from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.store.database import Database
from tests.support.databases import sqlite_with_tables
from tests.support.real_server import RealServer, real_server
from tests.support.x_place import XPlace
from tests.support.xapi import XWorld, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
async def place(server: RealServer) -> AsyncIterator[XPlace]:
    """The module's `spaces serve`."""
    async with AsyncExitStack() as stack:
        yield XPlace(server, stack)


@pytest.fixture
async def clocked(tmp_path: Path) -> AsyncIterator[XWorld]:
    """A deployment in this process whose clock the test moves."""
    database = await Database.open(await sqlite_with_tables(tmp_path / "spaces.db"), synchronous="normal")
    listener = socket.create_server(("127.0.0.1", 0))
    world = XWorld(database, ManualClock(), f"http://127.0.0.1:{listener.getsockname()[1]}")
    async with served(world, listener):
        yield world
    world.identity.close()
    await database.aclose()
