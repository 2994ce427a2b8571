"""Spaces are found by who hosts them and by the names of their topics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import SpaceId
from spaces_ctl.policy import evolve
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.host_names import HostNames
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.topics import CATALOGUE
from spaces_ctl.store import discovery, event_log, projections, search
from spaces_ctl.store.database import Database
from spaces_ctl.store.tables.search import space_search
from tests.support.projected import Projected


class Names:
    """Accounts, Spaces, the index and what fills it."""

    def __init__(self, db: Database, clock: ManualClock, new_id: Callable[[], int]) -> None:
        self.db = db
        self.graph = EmbeddedGraph(db=db)
        self.projected = Projected(db, clock)
        self.accounts = Accounts(db=db, graph=self.graph, clock=clock, next_id=new_id, limits=Limits())
        self.index = HostNames(db=db, graph=self.graph, spaces=self.state)
        self.accounts.edited = self.index.renamed
        self.reactor = Reactor(
            search.NAMES_READER, self.index, db=db, clock=clock, log_after=event_log.read_all, attempts=1
        )

    async def state(self, space: SpaceId) -> Space:
        return self.projected.states[space]

    async def account(self, handle: str, name: str) -> int:
        return (await self.accounts.create(handle=handle, name=name)).id

    async def find(self, query: str) -> list[SpaceId]:
        await self.reactor.drain()
        return await self.db.read(lambda c: search.search(c, query))


@pytest.fixture
def names(db: Database, clock: ManualClock, new_id: Callable[[], int]) -> Names:
    return Names(db, clock, new_id)


async def test_a_space_is_found_by_its_hosts_of_now(names: Names) -> None:
    ada, bob = await names.account("ada_l", "Ada Lovelace"), await names.account("bob", "Bob Martin")
    await names.projected.live(5, ada, "Engines")
    assert await names.find("lovelace engines") == [5]
    assert await names.find("ada_l") == [5]
    assert await names.find("martin") == []
    await names.projected.add(5, e.CohostAdded(account=bob, seat=1, generation=2, how=e.CohostGainedHow.ACCEPTED))
    assert await names.find("martin") == [5]
    await names.projected.add(5, e.CohostRemoved(account=bob, how=e.CohostLostHow.DROPPED_BY_HOST))
    assert await names.find("martin") == []


async def test_topics_are_found_by_name_and_follow_edits(names: Names) -> None:
    await names.db.write(lambda c: discovery.seed_topics(c, CATALOGUE))
    ada = await names.account("ada", "Ada")
    await names.projected.live(5, ada, "Tonight", topics=("film-tv",))
    assert await names.find("TV") == [5]
    assert await names.find("culture") == []
    await names.projected.add(5, e.Edited(topics=("arts", "home-made")))
    assert await names.find("culture") == [5]
    assert await names.find("made") == [5], "a topic outside the catalogue is its own name"
    assert await names.find("TV") == []


async def test_a_new_name_is_found_and_the_old_one_is_not(names: Names) -> None:
    ada = await names.account("ada", "Ada Byron")
    await names.projected.live(5, ada)
    await names.projected.live(6, ada)
    await names.projected.add(6, e.Ended(how=e.EndedHow.HOST))
    assert await names.find("byron") == [5]
    await names.accounts.edit(ada, name="Ada Lovelace")
    assert await names.index.step()
    assert await names.find("lovelace") == [5]
    assert await names.find("byron") == []
    assert not await names.index.step()


async def test_while_the_graph_is_down_the_names_wait_and_the_log_goes_on(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await names.account("ada", "Ada")
    await names.projected.live(5, ada, "Engines")

    async def down(accounts: object) -> object:
        raise ServiceError("graph.unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(names.graph, "profiles", down)
        assert await names.find("ada") == []
        with pytest.raises(ServiceError):
            await names.index.step()
    assert await names.index.step()
    assert await names.find("ada") == [5]


async def test_names_are_set_anew_after_projections_were_made_anew(names: Names) -> None:
    ada = await names.account("ada", "Ada")
    await names.projected.live(5, ada)
    assert await names.find("ada") == [5]

    def lost(c: sa.Connection) -> None:
        c.execute(space_search.delete())
        projections.rebuild(c, evolve)

    await names.db.write(lost)
    assert await names.find("ada") == [5]
