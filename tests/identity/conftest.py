from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.store.database import Database
from tests.support.databases import *  # noqa: F403  # its fixtures; `__all__` says which
from tests.support.databases import sqlite_with_tables
from tests.support.identity import Identity, serving


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def db(database: Database) -> Database:
    """On SQLite, then on PostgreSQL."""
    return database


@pytest.fixture
async def sqlite_db(tmp_path: Path) -> AsyncIterator[Database]:
    """For tests of what lies above the database: modules that need no other make it their `db`."""
    opened = await Database.open(await sqlite_with_tables(tmp_path / "spaces.db"), synchronous="normal")
    yield opened
    await opened.aclose()


@pytest.fixture
async def identity(db: Database, clock: ManualClock) -> AsyncIterator[Identity]:
    services = Identity(db, clock, "http://spaces.test")
    yield services
    services.close()


@pytest.fixture
def embedded(identity: Identity) -> EmbeddedGraph:
    return identity.graph


@pytest.fixture
def accounts(identity: Identity) -> Accounts:
    return identity.accounts


@pytest.fixture
async def browser(identity: Identity) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on our own page, as far as headers and cookies go."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    headers = {"origin": identity.url, "sec-fetch-site": "same-origin", "user-agent": "Firefox on a laptop"}
    app = identity.app()
    async with serving(app, listener), httpx.AsyncClient(base_url=base, headers=headers) as client:
        yield client
