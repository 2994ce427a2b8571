from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.store.database import Database
from tests.support.xapi import XWorld, served


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[XWorld]:
    """A deployment that is served."""
    database = await Database.open(f"sqlite:///{tmp_path}/spaces.db", synchronous="normal")
    await database.create_tables()
    listener = socket.create_server(("127.0.0.1", 0))
    world = XWorld(database, ManualClock(), f"http://127.0.0.1:{listener.getsockname()[1]}")
    async with served(world, listener):
        yield world
    world.identity.close()
    await database.aclose()
