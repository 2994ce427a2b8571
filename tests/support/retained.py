"""A deployment that records, as far as it goes without an engine: real recordings, worker, store and readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.clock import Clock
from spaces_ctl.media.errors import WorkerGone
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.requests import Open
from spaces_ctl.media.spool import spool_of
from spaces_ctl.media.worker import Worker
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.moderation import Moderation, ModerationReaction
from spaces_ctl.service.ports import Profile
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.recordings import WorkerRecordings
from spaces_ctl.service.retention import Retention
from spaces_ctl.store import captions, deletions, event_log
from spaces_ctl.store.deletions import Deletion
from spaces_ctl.store.moderation import READER
from spaces_ctl.store.notifications import Notice
from spaces_ctl.store.tables.all import metadata
from tests.support.log_files import PlainLogs
from tests.support.media_worker import ListPackager
from tests.support.spoken_logs import SpokenLogs, log, spoken
from tests.support.worlds import ANN, HOST, World

T = TypeVar("T")

SECRET_WORDS = "nobody else shall read this"


class AskedHere:
    """The worker in the test's own loop."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.asked: list[str] = []
        self.down = False

    async def ask(self, operation: str, request: msgspec.Struct, answer: type[T], *, timeout_s: float = 30.0) -> T:
        self.asked.append(operation)
        if self.down:
            raise WorkerGone("gone", "it died")
        return msgspec.msgpack.decode(await self.worker.answer(operation, msgspec.msgpack.encode(request)), type=answer)


class Retained:
    """A world with all that keeps, hands out and deletes."""

    def __init__(self, world: World, directory: Path, worker: Worker) -> None:
        self.world = world
        self.directory = directory
        self.objects = worker.objects
        self.worker = AskedHere(worker)
        self.told: list[tuple[Sequence[AccountId], Notice]] = []
        asker: Any = self.worker
        self.recordings = WorkerRecordings(spaces=world.spaces, db=world.db, worker=asker)

        async def no_accounts(*_: Any) -> Any:
            raise AssertionError

        self.moderation = Moderation(
            db=world.db,
            clock=world.clock,
            new_id=world.ids.next,
            execute=world.spaces.execute,
            execute_account=no_accounts,
        )
        self.retention = Retention.build(
            db=world.db,
            clock=world.clock,
            new_id=world.ids.next,
            spaces=world.spaces,
            moderation=self.moderation,
            profiles=self._profiles,
            tell=self._tell,
            objects=self.objects,
            spool=directory / "spool",
            made_by=self.recordings,
            worker=asker,
            space_name=wire.space_text,
            link_key=bytes(32),
        )
        self._reactors = [
            Reactor(name, reaction, db=world.db, clock=world.clock, log_after=event_log.read_all)
            for name, reaction in (
                ("media", MediaReaction(spaces=world.spaces, recordings=self.recordings, clock=world.clock)),
                (READER, ModerationReaction(new_id=world.ids.next)),
            )
        ]

    async def _profiles(self, accounts: Any) -> dict[AccountId, Profile]:
        return {account: Profile(id=account, handle=f"user{account}", name=f"User {account}") for account in accounts}

    async def _tell(self, accounts: Sequence[AccountId], notice: Notice) -> None:
        self.told.append((accounts, notice))

    async def settle(self) -> None:
        """Timers ring, readers read, what is due is done."""
        await self.world.timers.ring()
        for reactor in self._reactors:
            await reactor.drain()
        await self.retention.settle()

    async def wait(self, **wait: float) -> None:
        self.world.clock.advance(**wait)
        await self.settle()

    async def over(self, *, record: bool = True, reported: bool = False, clip: bool = False) -> SpaceId:
        """20 s in which the host and Ann spoke, recorded by the engine; then its end."""
        world = self.world
        space = await world.live(record=record)
        await world.speaks(space, ANN)
        started_ms = (await world.state(space)).started_ms or 0
        await self.settle()
        files = log(spoken(), 1_000, HOST, ANN, space=space, started_at_ms=started_ms)
        SpokenLogs(self.directory / "spool").write(files)
        row = (1, ANN, 10_000, 12_000, SECRET_WORDS)
        await world.db.write(lambda k: captions.insert(k, space, [row, (2, HOST, 50_000, 51_000, "late")]))
        world.clock.advance(ms=started_ms + 20_000 - world.clock.now_ms())
        if reported:
            await world.do(ANN, space, c.ReportAccount(account=HOST, reason="hate"))
        if clip:
            await world.do(HOST, space, c.Clip(end_ms=15_000))
        await world.do(HOST, space, c.End())
        await self.settle()
        return space

    async def lies(self, space: SpaceId) -> set[str]:
        """What is left of a Space on any disk: the first part of each path below it."""
        parts = {name.split("/")[2] for name, _ in await self.objects.list(f"spaces/{space}")}
        named = {str(space), spool_of(self.directory, space).name}
        files = [path for path in self.directory.rglob("*") if path.is_file() and named & set(path.parts)]
        # Beside what the store tells of, whatever a file is called: half-written objects too.
        if any("objects" not in path.parts for path in files):
            parts.add("spool")
        if not parts and files:
            parts.add("something")
        return parts

    async def tables_with(self, space: SpaceId) -> set[str]:
        """Tables in which anything names the Space."""
        wanted = {space, str(space), wire.space_text(space)}

        def names(value: Any) -> bool:
            if isinstance(value, dict | list):
                return any(text in msgspec.json.encode(value).decode() for text in map(str, wanted))
            return value in wanted if isinstance(value, int | str) else False

        def read(k: sa.Connection) -> set[str]:
            return {
                str(table.name)
                for table in metadata.sorted_tables
                if any(names(value) for row in k.execute(sa.select(table)) for value in row)
            }

        found: set[str] = await self.world.db.read(read)
        return found

    async def holds(self, what: bytes) -> set[str]:
        """Tables in which it is to be found."""

        def raw(value: Any) -> bytes:
            if isinstance(value, str | dict | list):
                return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
            return bytes(value) if isinstance(value, bytes | memoryview) else b""

        def read(k: sa.Connection) -> set[str]:
            return {
                str(table.name)
                for table in metadata.sorted_tables
                if any(what in raw(value) for row in k.execute(sa.select(table)) for value in row)
            }

        found: set[str] = await self.world.db.read(read)
        return found

    async def account(self, space: SpaceId) -> list[Deletion]:
        rows: list[Deletion] = await self.world.db.read(lambda k: deletions.of_space(k, space))
        return rows


class _Hurried:
    """The worker's clock: the world's, and the time that the worker slept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slept_ms = 0

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._slept_ms

    async def sleep(self, seconds: float) -> None:
        self._slept_ms += round(seconds * 1000)
        await asyncio.sleep(min(seconds, 0.02))


@asynccontextmanager
async def retained(world: World, directory: Path, *, packager: Any = ListPackager) -> AsyncIterator[Retained]:
    (directory / "spool").mkdir(parents=True)
    objects = Objects.open(str(directory / "objects"))
    opened = Open(spool=str(directory / "spool"), store="")
    clock = _Hurried(world.clock)
    worker = Worker(opened, objects=objects, files=PlainLogs(), packager=packager, clock=clock, sleep=clock.sleep)
    async with worker:
        yield Retained(world, directory, worker)
