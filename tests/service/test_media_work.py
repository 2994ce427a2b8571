"""Recordings follow the log through outages and restarts, and no Space waits for another one's."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.media.errors import MediaError, WorkerGone
from spaces_ctl.media.requests import Plan
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import ReplayStatus
from spaces_ctl.service.fakes import FakeRecordings
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.media_work import MediaQueue, MediaWork
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.recordings import plan
from spaces_ctl.service.tables import Audience, People, tables
from spaces_ctl.store import event_log
from spaces_ctl.store import recordings as store
from spaces_ctl.store.database import Database
from tests.support.patience import PATIENCE_S
from tests.support.worlds import HOST, World


class Recordings(FakeRecordings):
    """Fails, or takes long, where it is told to."""

    def __init__(self) -> None:
        super().__init__(duration_ms=5_000)
        self.down = False
        self.slow: dict[SpaceId, asyncio.Event] = {}
        self.cutting: set[int] = set()
        self.gone: set[int] = set()
        """Clips of which nothing is there."""
        self.begun: list[SpaceId] = []
        """Finalized."""

    async def finalize(self, space: SpaceId) -> int:
        if self.down:
            raise WorkerGone("gone", "no worker")
        self.begun.append(space)
        if space in self.slow:
            await self.slow[space].wait()
        return await super().finalize(space)

    async def cut(self, space: SpaceId, clip: int, start_ms: int, end_ms: int, *, last_try: bool = False) -> None:
        if clip in self.gone and not last_try:
            raise MediaError("source.gone", "nothing is there")
        self.cutting.add(clip)
        if space in self.slow:
            await self.slow[space].wait()
        await super().cut(space, clip, start_ms, end_ms)


class Media:
    """The queue, its work and what they work on."""

    def __init__(self, world: World, recordings: Recordings) -> None:
        self.recordings = recordings
        self.reaction = MediaReaction(spaces=world.spaces, recordings=recordings, clock=world.clock)
        self.work = MediaWork(self.reaction.take, db=world.db, clock=world.clock)
        self.reactor = Reactor(
            "media", MediaQueue(world.clock), db=world.db, clock=world.clock, log_after=event_log.read_all
        )

    async def drain(self) -> None:
        await self.reactor.drain()
        await self.work.finish()

    def calls(self, space: SpaceId) -> list[str]:
        return [name for name, of, _ in self.recordings.calls if of == space]


@pytest.fixture
def media(world: World) -> Media:
    return Media(world, Recordings())


async def test_a_space_is_followed_from_its_start_and_when_what_is_kept_changes(world: World, media: Media) -> None:
    space = await world.live(record=True)
    await media.drain()
    assert media.calls(space) == ["follow"]
    await world.do(HOST, space, c.SetClips(on=False))
    await media.drain()
    assert media.calls(space) == ["follow"] * 2
    await world.do(HOST, space, c.SetRequests(open=False))
    await media.drain()
    assert media.calls(space) == ["follow"] * 2, "that concerns nobody"
    await world.do(HOST, space, c.StopRecording())
    await media.drain()
    assert media.calls(space) == ["follow"] * 3


async def test_an_outage_of_hours_puts_nothing_aside(world: World, media: Media) -> None:
    space = await world.live(record=True)
    await media.drain()
    media.recordings.down = True
    await world.do(HOST, space, c.End())
    tries = 0
    for _ in range(400):
        await media.drain()
        [row] = await world.db.read(store.pending)
        assert row.error.startswith("gone"), "somebody who looks sees why"
        tries = row.tries
        world.clock.advance(seconds=30)
    assert 190 <= tries <= 210, "once a minute in the end"
    assert (await world.state(space)).replay.status is ReplayStatus.PROCESSING
    media.recordings.down = False
    world.clock.advance(seconds=61)
    await media.drain()
    assert (await world.state(space)).replay.status is ReplayStatus.AVAILABLE
    assert await world.db.read(store.pending) == []


async def test_one_that_takes_long_holds_up_no_other_space_and_its_own_waits(world: World, media: Media) -> None:
    slow = await world.live(record=True)
    world.clock.advance(seconds=40)
    await world.do(HOST, slow, c.End())
    media.recordings.slow[slow] = asyncio.Event()
    running = asyncio.create_task(media.drain())
    quick = await world.live(record=True)
    await world.do(HOST, quick, c.End())
    second = asyncio.create_task(media.drain())
    async with asyncio.timeout(PATIENCE_S):
        while (await world.state(quick)).replay.status is not ReplayStatus.AVAILABLE:
            await asyncio.sleep(0.01)
    assert (await world.state(slow)).replay.status is ReplayStatus.PROCESSING
    media.recordings.slow.pop(slow).set()
    await asyncio.gather(running, second)
    assert (await world.state(slow)).replay.status is ReplayStatus.AVAILABLE


async def test_clips_are_cut_side_by_side_and_before_what_follows_them(world: World, media: Media) -> None:
    space = await world.live(record=True)
    await media.drain()
    world.clock.advance(seconds=60)
    for end in range(10):
        await world.do(HOST, space, c.Clip(end_ms=40_000 + end))
    await world.do(HOST, space, c.DeleteClip(clip=7))
    await world.do(HOST, space, c.End())
    gate = media.recordings.slow[space] = asyncio.Event()
    running = asyncio.create_task(media.drain())
    async with asyncio.timeout(PATIENCE_S):
        # All at once but the deleted one; the end waits for them.
        while len(media.recordings.cutting) < 9:
            await asyncio.sleep(0.01)
    assert media.calls(space) == ["follow"]
    gate.set()
    await running
    assert sorted(clip for name, _, clip in media.recordings.calls if name == "cut") == [1, 2, 3, 4, 5, 6, 8, 9, 10]
    names = media.calls(space)
    assert names.index("finalize") > max(n for n, name in enumerate(names) if name == "cut")


async def test_a_clip_whose_source_is_gone_is_given_up_after_ten_minutes(world: World, media: Media) -> None:
    space = await world.live(record=True)
    world.clock.advance(seconds=60)
    await world.do(HOST, space, c.Clip(end_ms=40_000))
    media.recordings.gone.add(1)
    for _ in range(9):
        await media.drain()
        assert not media.recordings.cutting
        world.clock.advance(seconds=60)
    world.clock.advance(seconds=61)
    await media.drain()
    assert media.recordings.cutting == {1}


async def test_a_row_that_is_done_while_the_rows_are_read_is_not_done_again(world: World) -> None:
    class LateAnswers:
        """Reads at once, and answers when it is told to."""

        def __init__(self) -> None:
            self.answer = asyncio.Event()
            self.has_read = asyncio.Event()

        async def read(self, unit: Callable[[sa.Connection], Any]) -> Any:
            found = await world.db.read(unit)
            if unit is store.pending:
                self.has_read.set()
                await self.answer.wait()
            return found

        async def write(self, unit: Callable[[sa.Connection], Any]) -> Any:
            return await world.db.write(unit)

    late: Any = LateAnswers()
    recordings = Recordings()
    media = Media(world, recordings)
    media.work = MediaWork(media.reaction.take, db=late, clock=world.clock)
    space = await world.live(record=True)
    await world.do(HOST, space, c.End())
    recordings.slow[space] = asyncio.Event()
    await media.reactor.drain()
    late.answer.set()
    first = asyncio.create_task(media.work.finish())
    async with asyncio.timeout(PATIENCE_S):
        while not media.work._running or recordings.begun != [space]:
            await asyncio.sleep(0.01)
    late.answer.clear()
    late.has_read.clear()
    second = asyncio.create_task(media.work.finish())
    await late.has_read.wait()
    recordings.slow[space].set()
    async with asyncio.timeout(PATIENCE_S):
        while await world.db.read(store.pending) or media.work._running:
            await asyncio.sleep(0.01)
    late.answer.set()
    await asyncio.gather(first, second)
    assert recordings.begun == [space]


async def test_what_was_not_done_is_done_by_the_next_process(database: Database) -> None:
    world = World(database)
    media = Media(world, Recordings())
    space = await world.live(record=True)
    await media.drain()
    await world.do(HOST, space, c.End())
    await media.reactor.drain()  # the row is there, and then the process is killed
    later = Media(world.again(), Recordings())
    await later.drain()
    assert later.calls(space) == ["finalize"]
    assert (await world.state(space)).replay.status is ReplayStatus.AVAILABLE


async def test_a_worker_that_begins_is_told_of_live_spaces_and_of_what_lies_in_the_spool(
    world: World, media: Media, caplog: pytest.LogCaptureFixture
) -> None:
    ended = await world.live(record=True)
    await world.do(HOST, ended, c.End())
    live = await world.live()
    await media.reaction.resume([ended, 99])
    assert set(media.recordings.calls) == {("follow", live, 0), ("finalize", ended, 0)}
    assert (await world.state(ended)).replay.status is ReplayStatus.AVAILABLE
    assert "nobody knows: 99" in caplog.text, "what may be somebody's is left alone"


async def test_one_space_that_cannot_be_resumed_does_not_stop_the_others(world: World, media: Media) -> None:
    ended = await world.live(record=True)
    await world.do(HOST, ended, c.End())
    live = await world.live()
    media.recordings.down = True
    with pytest.raises(WorkerGone):
        await media.reaction.resume([ended])
    assert media.recordings.calls == [("follow", live, 0)]


async def test_a_replay_deleted_before_it_was_ready_is_completed_for_review_alone(world: World, media: Media) -> None:
    space = await world.live(record=True)
    await world.do(HOST, space, c.End())
    before = plan(await world.state(space), world.limits, stop_group=None)
    assert before == Plan(keep=True, public=True, review=True)
    await world.do(HOST, space, c.DeleteReplay())
    after = plan(await world.state(space), world.limits, stop_group=None)
    assert after == Plan(keep=True, public=False, review=True)
    await media.drain()
    assert (await world.state(space)).replay.status is ReplayStatus.DELETED


@pytest.mark.parametrize(
    ("record", "clips", "audit_copy", "keep", "public", "logged"),
    [
        (True, True, True, True, True, True),
        (True, False, False, True, True, True),
        (False, True, True, True, False, True),
        (False, False, True, True, False, True),
        (False, True, False, False, False, True),
        (False, False, False, False, False, False),
    ],
)
async def test_what_is_kept_and_what_the_engine_writes(
    database: Database, record: bool, clips: bool, audit_copy: bool, keep: bool, public: bool, logged: bool
) -> None:
    world = World(database, limits=Limits(audit_copy=audit_copy))
    state = await world.state(await world.live(record=record, clips=clips))
    assert plan(state, world.limits, stop_group=None) == Plan(keep=keep, public=public, review=audit_copy)
    found = tables(state, People(), Audience(), world.limits)
    assert found is not None
    assert found.space.record is logged
    assert (b'"recording":true' in found.snapshot) is record, "people are told of the public recording alone"


async def test_a_report_makes_a_review_copy_of_what_was_not_to_be_kept(database: Database) -> None:
    world = World(database, limits=Limits(audit_copy=False))
    space = await world.live(clips=False)
    await world.enter(space, 2)
    await world.do(2, space, c.ReportSpace(reason="spam"))
    state = await world.state(space)
    assert plan(state, world.limits, stop_group=None) == Plan(keep=True, public=False, review=True)
    assert world.engine.spaces[space].record
    await world.do(HOST, space, c.End())
    assert plan(await world.state(space), world.limits, stop_group=None).review
