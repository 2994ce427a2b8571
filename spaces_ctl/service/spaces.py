"""One command, from the question to the answer: fold, facts, decide, commit, program, publish.

    outcome = await spaces.execute(actor, space, commands.Mute(account=7))

Commands of one Space run one after the other, those of different Spaces side by side. The answer comes when the engine
has applied what was decided: no frame of somebody silenced lies in a group after `Outcome.fence_group`, and none is
sent after the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded, SpaceEvent
from spaces_ctl.model import SYSTEM, AccountId, Actor, SpaceId, Status
from spaces_ctl.policy import Denied, decide, needs
from spaces_ctl.policy.facts import Facts
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space
from spaces_ctl.service.counters import Counters
from spaces_ctl.service.engine_acts import PutOut, leaving, react, removed_lately
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.facts import FactLoader
from spaces_ctl.service.folding import Folded, fold, replay
from spaces_ctl.service.journal import Journal, SpaceEntry
from spaces_ctl.service.people import PeopleBook, blocking
from spaces_ctl.service.ports import EventBus, MediaEngine, SocialGraph
from spaces_ctl.service.programming import Programmer
from spaces_ctl.service.safety import facts_at_hand, protects
from spaces_ctl.service.snowflake import Snowflakes
from spaces_ctl.service.space_log import (
    SpaceLog,
    StoreDown,
    VersionConflict,
    store_down_is_unavailable,
    store_errors,
)
from spaces_ctl.service.tables import People, Tables, tables
from spaces_ctl.store.database import Database

__all__ = ["Outcome", "Spaces"]

T = TypeVar("T")
logger = logging.getLogger(__name__)

_CONFLICTS = 8
_ENDED_LATELY_MS = 3_600_000
"""Far longer than an engine that works leaves an end unanswered."""
_REPORTS_WAIT_S = 600
"""When somebody who reported too much in an hour may try again: one of the reports may be an hour old by then."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a command led to."""

    space: Space
    """The Space afterwards."""
    events: tuple[Recorded, ...] = ()
    """None if nothing had to change. `sequence` is 0 for what was decided while the database was down."""
    fence_group: int | None = None
    """No frame of somebody silenced lies in a later group. None if the engine had nothing to change."""


class Spaces:
    """Every Space of the deployment; those that are live are programmed into this process's engine."""

    def __init__(
        self,
        *,
        db: Database,
        engine: MediaEngine,
        graph: SocialGraph,
        bus: EventBus,
        clock: Clock,
        limits: Limits,
        ids: Snowflakes,
        journal: Journal | None = None,
        counters: Counters | None = None,
        epoch: int = 0,
        patience_s: float = 5.0,
    ) -> None:
        """`epoch` is that of this process's lease on the engine; `journal` takes protecting commands while the database
        is down (None: they are refused then, like all others); `patience_s` is how long a read of the database or the
        graph may take before it counts as down.
        """
        self.limits = limits
        self.clock = clock
        self.counters = counters or Counters(clock)
        self.programmer = Programmer(engine, epoch)
        self.log = SpaceLog(db, limits, patience_s)
        self.people = PeopleBook(graph, self.log)
        self.wakes_timers: Callable[[], None] = lambda: None
        self._facts = FactLoader(log=self.log, graph=graph, engine=engine)
        self._engine = engine
        self._put_out = PutOut(engine)
        self._bus = bus
        self._ids = ids
        self._journal = journal
        self._folded = Folded()
        self._locks: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()

    # What others call

    async def create(self, actor: Actor, command: c.Create) -> Outcome:
        """A new Space. Raises ServiceError."""
        space = self._ids.next()

        async def run() -> Outcome:
            with store_down_is_unavailable():
                return await self._decide(Space(id=space), actor, command)

        return await self._alone(space, run)

    async def execute(self, actor: Actor, space: SpaceId, command: c.SpaceCommand) -> Outcome:
        """Carries out a command; returns when the engine has applied it.

        Raises ServiceError: the policy's refusals, `space.not_found`, `store.unavailable` (nothing happened),
        `engine.unavailable` (decided and recorded, but the engine did not confirm; it is told again until it does),
        `version.conflict`. A caller who is cancelled does not learn the outcome; it happens all the same.
        """
        return await self._alone(space, lambda: self._execute(actor, space, command))

    async def check(self, actor: Actor, space: SpaceId, command: c.SpaceCommand) -> Space:
        """Whether `execute` would do it now; nothing is done. Returns the Space. Raises ServiceError, as `execute`."""
        with store_down_is_unavailable():
            state = await self._load(space)
            now_ms = self.clock.now_ms()
            facts = await self._facts.load(state, needs(state, command, actor, self.limits), now_ms)
        self._ask(state, actor, command, facts, now_ms)
        return state

    async def get(self, space: SpaceId) -> Space:
        """The Space now. Raises ServiceError (`space.not_found`, `store.unavailable`)."""
        try:
            state = await self._load(space)
        except StoreDown as down:
            known = self._folded.known(space)
            if known.version:
                return known  # live Spaces go on
            raise ServiceError("store.unavailable") from down
        self._folded.looked_up(state)
        return state

    @property
    def live(self) -> Mapping[SpaceId, Space]:
        """Live Spaces of this process."""
        return self._folded.live

    async def blocks_changed(self, space: SpaceId, owner: AccountId, account: AccountId, on: bool) -> None:
        """`owner`, host or co-host there, blocks `account` or not any more: the engine is told, nothing decided."""

        async def run() -> None:
            state = self.live.get(space)
            if state is not None:
                self.people.keep(space, blocking(self.people.known(space), owner, account, on))
                await self._program(state, self.people.known(space))

        await self._alone(space, run)

    # Upkeep, by `service.recovery`

    async def live_in_log(self) -> list[SpaceId]:
        """Every live Space. Raises ServiceError (`store.unavailable`)."""
        with store_down_is_unavailable():
            return await self.log.live()

    async def ended_lately(self) -> list[SpaceId]:
        """What an engine that outlived its loop may take for live. Raises ServiceError (`store.unavailable`)."""
        with store_down_is_unavailable():
            return await self.log.ended(self.clock.now_ms() - _ENDED_LATELY_MS)

    async def adopt(self, space: SpaceId, *, attached: bool = False) -> Tables | None:
        """Takes a Space over at boot; answers what the engine has to know, None if it is not live after all.

        `attached`: who was removed may still be connected, and goes with the next `finish_removals`.

        Raises ServiceError (`store.unavailable`).
        """
        with store_down_is_unavailable():
            state = await self._load(space)
            if state.status is not Status.LIVE:
                return None
            people = await self._people_of(state, (), None, SYSTEM)
            self.programmer.owners_before(space, await self.log.deny_owners_ever(space))
            await self.log.set_timers(state)
            if attached:
                self._put_out.note(space, removed_lately(await self.log.tail(space, 0)))
        self._folded.remember(state)
        self.people.keep(space, people)
        return self._tables(state, people)

    async def finish_removals(self, space: SpaceId) -> None:
        """Closes the sessions of those who were removed and may be connected still. Raises ServiceError."""
        await self._alone(space, lambda: self._close_sessions(space, None))

    async def settle_log(self) -> None:
        """As `settle`, for a boot: the engine knows nothing yet. Raises ServiceError (`store.unavailable`)."""
        for space in self._unlogged():
            with store_down_is_unavailable():
                await self._alone(space, partial(self._settle, space))

    async def refresh(self, space: SpaceId) -> None:
        """Refolds a Space from the log and programs the engine from it. Raises ServiceError."""

        async def run() -> None:
            with store_down_is_unavailable():
                await self._settle(space)
                state = await self._load(space)
                self.people.forget(space)
                people = await self._people_of(state, (), None, SYSTEM)
            await self._enforce(state, people, ())

        await self._alone(space, run)

    def changed_counts(self) -> frozenset[SpaceId]:
        """Live Spaces whose snapshot lacks the newest counts."""
        return self.programmer.stale_snapshots | self.counters.take_changed() & self.live.keys()

    async def flush_snapshot(self, space: SpaceId) -> None:
        """Tells the audience's count and the votes."""

        async def run() -> None:
            state = self.live.get(space)
            if state is not None:
                want = self._tables(state, self.people.known(space))
                await self.programmer.flush_snapshot(space, want)

        await self._alone(space, run)

    async def follow_crowds(self) -> None:
        """Audiences that have become large or small are told what to hear.

        Raises ServiceError (`engine.unavailable`).
        """

        async def run(space: SpaceId) -> None:
            state = self.live.get(space)
            if state is not None:
                await self._program(state, self.people.known(space))

        for space in self.counters.judge(self.live, self.limits):
            await self._alone(space, partial(run, space))

    async def settle(self) -> None:
        """Brings what was decided while the database was down into the log.

        Raises ServiceError (`store.unavailable`).
        """
        for space in self._unlogged():
            await self.refresh(space)

    async def aclose(self) -> None:
        """Waits for the commands that are under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _unlogged(self) -> list[SpaceId]:
        entries = self._journal.entries if self._journal is not None else ()
        return list(dict.fromkeys(entry.space for entry in entries if isinstance(entry, SpaceEntry)))

    # One command

    async def _execute(self, actor: Actor, space: SpaceId, command: c.SpaceCommand) -> Outcome:
        try:
            await self._settle(space)
            for _ in range(_CONFLICTS):
                state = await self._load(space)
                try:
                    return await self._decide(state, actor, command)
                except VersionConflict:
                    self._folded.distrust(space)
        except StoreDown as down:
            state_at_hand = self.live.get(space)
            if state_at_hand is None or self._journal is None or not protects(command):
                raise ServiceError("store.unavailable") from down
            return await self._decide_without_store(self._journal, state_at_hand, actor, command)
        raise ServiceError("version.conflict")

    async def _decide(self, state: Space, actor: Actor, command: c.SpaceCommand) -> Outcome:
        now_ms = self.clock.now_ms()
        asked = needs(state, command, actor, self.limits)
        # How many Spaces somebody hosts is no single Space's matter.
        async with self._lock("host", asked.hosting) if asked.hosting is not None else nullcontext():
            facts = await self._facts.load(state, asked, now_ms)
            events = self._ask(state, actor, command, facts, now_ms)
            if isinstance(command, c.React) and actor.account is not None:
                await react(self._engine, self.limits, state.id, actor.account, command.emoji)
            after = fold(state, events, now_ms)
            people = await self._people_of(after, events, command, actor)
            recorded: tuple[Recorded, ...] = ()
            if events:
                try:
                    recorded = await self.log.commit(state, after, actor, now_ms, events)
                except StoreDown:
                    # It may have been committed all the same.
                    self.programmer.doubt(state.id)
                    raise
        return await self._enforce(after, people, recorded)

    async def _decide_without_store(
        self, journal: Journal, state: Space, actor: Actor, command: c.SpaceCommand
    ) -> Outcome:
        now_ms = self.clock.now_ms()
        asked = needs(state, command, actor, self.limits)
        present = await self._engine.present(state.id, asked.accounts) if asked.accounts else ()
        people = self.people.known(state.id)
        facts = facts_at_hand(asked, actor, command, people, present)
        events = self._ask(state, actor, command, facts, now_ms)
        if isinstance(command, c.Blocked) and actor.account is not None:
            people = blocking(people, actor.account, command.account, True)
        after = fold(state, events, now_ms)
        fence = await self._program(after, people)
        if events:
            entry = SpaceEntry(
                space=state.id, base=state.version, at_ms=now_ms, actor=actor, command=command, events=events
            )
            await journal.append(entry)
        self._folded.remember(after)
        self.people.keep(state.id, people)
        self._put_out.note(state.id, leaving(events))
        fence = await self._close_sessions(state.id, fence)
        recorded = tuple(
            Recorded(space=state.id, version=version, sequence=0, at_ms=now_ms, actor=actor, event=event)
            for version, event in enumerate(events, state.version + 1)
        )
        return Outcome(space=after, events=recorded, fence_group=fence)

    def _ask(
        self, state: Space, actor: Actor, command: c.SpaceCommand, facts: Facts, now_ms: int
    ) -> tuple[SpaceEvent, ...]:
        decision = decide(state, command, actor, facts, self.limits, now_ms)
        if isinstance(decision, Denied):
            wait_s = _REPORTS_WAIT_S if decision.code == "rate.limited" else None
            raise ServiceError(decision.code, decision.detail, retry_after_s=wait_s)
        return decision

    async def _people_of(
        self, after: Space, events: Sequence[SpaceEvent], command: c.SpaceCommand | None, actor: Actor
    ) -> People:
        if after.status is not Status.LIVE:
            return People()
        with store_errors():
            people = await self.people.load(after, events)
        if isinstance(command, c.Blocked) and actor.account is not None:
            people = blocking(people, actor.account, command.account, True)
        return people

    async def _enforce(self, after: Space, people: People, recorded: tuple[Recorded, ...]) -> Outcome:
        """What is committed becomes true, and is told whether or not the engine answered."""
        try:
            self._folded.remember(after)
            self.people.keep(after.id, people)
            self._put_out.note(after.id, leaving(entry.event for entry in recorded))
            fence = await self._program(after, people)
            fence = await self._close_sessions(after.id, fence)
        except ServiceError:
            raise
        except BaseException:
            self._folded.distrust(after.id)
            self.programmer.doubt(after.id)
            raise
        finally:
            if recorded:
                await self._bus.publish(recorded)
                self.wakes_timers()
        return Outcome(space=after, events=recorded, fence_group=fence)

    def _tables(self, state: Space, people: People) -> Tables | None:
        return tables(state, people, self.counters.audience(state.id), self.limits, self.counters.crowd(state.id))

    async def _program(self, state: Space, people: People) -> int | None:
        want = self._tables(state, people)
        return await self.programmer.program(state.id, want, ended=state.status is Status.ENDED)

    async def _close_sessions(self, space: SpaceId, fence: int | None) -> int | None:
        try:
            return await self._put_out.carry_out(space, fence)
        except ServiceError:
            self.programmer.doubt(space)  # upkeep comes back to it
            raise

    # States and locks

    async def _load(self, space: SpaceId) -> Space:
        """Folded up to the log's end. Raises StoreDown, ServiceError (`space.not_found`)."""
        known = self._folded.known(space)
        if known.version == 0:
            known = await self.log.load(space)
        state = replay(known, await self.log.tail(space, known.version))
        if state.status is Status.NEW:
            raise ServiceError("space.not_found")
        return state

    async def _settle(self, space: SpaceId) -> None:
        """What was decided while the database was down comes before anything else. Raises StoreDown."""
        if self._journal is None:
            return
        for entry in self._journal.entries:
            if isinstance(entry, SpaceEntry) and entry.space == space:
                self._folded.distrust(space)
                await self._settle_entry(entry)
                await self._journal.settled(entry)

    async def _settle_entry(self, entry: SpaceEntry) -> None:
        log = await self.log.tail(entry.space, 0)
        since = [(old.event, old.at_ms) for old in log[entry.base : entry.base + len(entry.events)]]
        if since == [(event, entry.at_ms) for event in entry.events]:
            return  # the commit whose answer was lost, or an earlier settling that was cut short
        state = replay(Space(id=entry.space), log)
        try:
            if state.version == entry.base:
                after = fold(state, entry.events, entry.at_ms)
                recorded = await self.log.commit(state, after, entry.actor, entry.at_ms, entry.events)
                await self._bus.publish(recorded)
                return
        except VersionConflict:
            pass
        # Another process went on with the Space meanwhile: what was asked for is decided anew.
        try:
            await self._decide(await self._load(entry.space), entry.actor, entry.command)
        except ServiceError as refused:
            logger.warning("decided while the database was down, refused afterwards: %s: %s", entry, refused)

    def _lock(self, kind: str, key: int) -> asyncio.Lock:
        return self._locks.setdefault((kind, key), asyncio.Lock())

    async def _alone(self, space: SpaceId, run: Callable[[], Awaitable[T]]) -> T:
        """One after the other in a Space; a caller who goes away does not stop half of it."""

        async def locked() -> T:
            async with self._lock("space", space):
                return await run()

        task = asyncio.create_task(locked())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may have gone away
