"""A deployment without sockets: database, engine and graph in memory or thereabouts, a clock that is moved by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.clock import ManualClock
from spaces_ctl.events import Recorded
from spaces_ctl.model import Actor, SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space
from spaces_ctl.service.counters import Counters
from spaces_ctl.service.fake_graph import FakeGraph
from spaces_ctl.service.fakes import FakeEngine
from spaces_ctl.service.folding import replay
from spaces_ctl.service.journal import Journal
from spaces_ctl.service.people import PeopleBook
from spaces_ctl.service.presence import Presence
from spaces_ctl.service.side_effects import SideEffects
from spaces_ctl.service.snowflake import Snowflakes
from spaces_ctl.service.spaces import Outcome, Spaces
from spaces_ctl.service.tables import Audience, tables
from spaces_ctl.service.timers import TimerLoop
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable

T = TypeVar("T")
HOST, ANN, BEN, CID = 1, 2, 3, 4


def who(account: int, **more: Any) -> Actor:
    return Actor(account=account, **more)


class RecordingBus:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.published: list[Recorded] = []

    async def publish(self, events: Sequence[Recorded]) -> None:
        self.published.extend(events)

    @asynccontextmanager
    async def subscribe(self, space: SpaceId | None = None) -> AsyncIterator[AsyncIterator[Recorded]]:
        async def nothing() -> AsyncIterator[Recorded]:
            return
            yield

        yield nothing()


class World:
    """Everything of one process; `again` is the same after the process died."""

    def __init__(
        self,
        db: Any,
        *,
        engine: Any = None,
        graph: FakeGraph | None = None,
        clock: Any = None,
        limits: Limits | None = None,
        journal: Journal | None = None,
        epoch: int = 1,
    ) -> None:
        self.db = db
        self.engine = FakeEngine() if engine is None else engine
        self.graph = graph or FakeGraph()
        self.clock: Any = clock or ManualClock()
        self.limits = limits or Limits()
        self.journal = journal
        self.epoch = epoch
        self.bus = RecordingBus()
        # One node number a life: ids of an earlier one are never made again, though the clock may stand.
        self.ids = Snowflakes(self.clock, epoch)
        self.spaces = Spaces(
            db=db,
            engine=self.engine,
            graph=self.graph,
            bus=self.bus,
            clock=self.clock,
            limits=self.limits,
            ids=self.ids,
            journal=journal,
            counters=Counters(self.clock),
            epoch=epoch,
        )
        self.presence = Presence(spaces=self.spaces, engine=self.engine)
        self.timers = TimerLoop(spaces=self.spaces)
        self.effects = SideEffects(spaces=self.spaces, journal=journal)

    def again(self, *, engine: Any = None, db: Any = None, journal: Journal | None = None) -> World:
        """The next life; `engine` given: one that outlived the loop."""
        return World(
            db or self.db,
            engine=engine,
            graph=self.graph,
            clock=self.clock,
            limits=self.limits,
            journal=journal or self.journal,
            epoch=self.epoch + 1,
        )

    async def do(self, account: int, space: SpaceId, command: c.SpaceCommand, **more: Any) -> Outcome:
        return await self.spaces.execute(who(account, **more), space, command)

    async def live(self, *, mic_open: bool = True, **create: Any) -> SpaceId:
        """A live Space of `HOST`, who is connected."""
        outcome = await self.spaces.create(who(HOST), c.Create(**create))
        space = outcome.space.id
        await self.do(HOST, space, c.Start())
        await self.enter(space, HOST)
        if mic_open:
            await self.do(HOST, space, c.SetMicAccess(open=True))
        return space

    async def enter(self, space: SpaceId, *accounts: int) -> None:
        """They connect, and the service hears of it."""
        for account in accounts:
            assert self.engine.connect(space, account, account) is None
        await self.hear()

    async def overhear(self, space: SpaceId, *accounts: int) -> None:
        """They listen without their names."""
        for account in accounts:
            assert self.engine.connect(space, account, account, anonymous=True) is None
        await self.hear()

    async def lose(self, space: SpaceId, *accounts: int) -> None:
        """Their connections end."""
        for account in accounts:
            self.engine.disconnect(space, account)
        await self.hear()

    async def speaks(self, space: SpaceId, *accounts: int) -> None:
        """They come in, are invited, take the mic and open it."""
        for account in accounts:
            await self.enter(space, account)
            await self.do(HOST, space, c.Invite(account=account))
            await self.do(account, space, c.TakeMic())
            await self.do(account, space, c.Unmute())

    async def hear(self) -> None:
        """Takes the events that the engine has."""
        await self.presence.take(self.engine.take_events())

    async def state(self, space: SpaceId) -> Space:
        return await self.spaces.get(space)


async def matches(world: World, space: SpaceId) -> None:
    """The engine holds what the log says, folded from its beginning."""
    state = replay(Space(id=space), await world.spaces.log.tail(space, 0))
    people = await PeopleBook(world.graph, world.spaces.log).load(state)
    want = tables(state, people, Audience(), world.limits)
    if want is None:
        assert space not in world.engine.spaces
        return
    assert world.engine.spaces[space] == want.space
    assert world.engine.acls(space) == want.acls
    said, meant = json.loads(world.engine.snapshot(space)), json.loads(want.snapshot)
    for often in ("votes", "audience"):
        del said[often], meant[often]
    assert said == meant


class Flaky:
    """A database that can be down."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.down = False
        self.lose_answers = False
        """Writes are committed, and their answer is lost."""

    async def read(self, unit: Callable[[sa.Connection], T]) -> T:
        self._answers()
        return await self._db.read(unit)

    async def write(self, unit: Callable[[sa.Connection], T]) -> T:
        self._answers()
        result = await self._db.write(unit)
        if self.lose_answers:
            raise Unavailable("the connection was lost", uncertain=True)
        return result

    def _answers(self) -> None:
        if self.down:
            raise Unavailable("the database is down")
