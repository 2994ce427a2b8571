"""From the spool into the store: on a directory and on S3, with outages, restarts and every kind of Space."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.packaging import ReplaySummary
from spaces_ctl.media.requests import Delete, Deleted, Done, Figures, Finalize, Finalized, Follow, Forget, Plan
from spaces_ctl.media.spool import spool_of
from spaces_ctl.media.worker import Worker
from spaces_ctl.segments import Contents
from tests.support.log_files import Recording, a_packet
from tests.support.media_worker import KEY, SPACE, Breaking, ListPackager, a_worker, ask, named
from tests.support.virtual_time import VirtualTime

PUBLIC = Plan(keep=True, public=True, review=True)
KEPT = Plan(keep=True, public=False, review=True)
UNKEPT = Plan(keep=False, public=False)
SOURCE = f"spaces/{SPACE}/source"


def recording(spool: Path, time: VirtualTime, **more: int) -> Recording:
    return Recording(spool, SPACE, started_at_ms=time.now_ms() if "part" not in more else more.pop("at"), **more)


def follow(plan: Plan) -> Follow:
    return Follow(space=SPACE, key=KEY, plan=plan)


def finalize(plan: Plan, end_group: int = 0) -> Finalize:
    return Finalize(space=SPACE, key=KEY, plan=plan, end_group=end_group)


async def replayed(objects: Objects) -> list[int]:
    return msgspec.json.decode(await objects.get(f"spaces/{SPACE}/replay/audio.opus"), type=list[int])


async def archived(worker: Worker, first: int, end: int) -> list[int]:
    found = [contents async for contents in worker.archive.contents(SPACE, first, end)]
    return [packet.group for contents in found for packet in contents.mix]


async def finalized(worker: Worker, time: VirtualTime, request: Finalize) -> Finalized:
    asking = asyncio.create_task(ask(worker, "finalize", request, Finalized))
    for _ in range(200):
        await time.pass_(0.1)
        if asking.done():
            break
    return await asking


async def live(time: VirtualTime, log: Recording, files: int) -> None:
    """Time passes, and the recorder writes."""
    for _ in range(files):
        log.write()
        await time.pass_(4)


async def test_finished_files_are_sealed_in_the_store_and_the_open_one_waits(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(PUBLIC), Done)
        await live(time, log, 2)
        log.write(closed=False)
        await time.pass_(4)
        assert await named(objects, SOURCE) == [
            f"{SOURCE}/0001.00000000.0000000000-0000000200.seg",
            f"{SOURCE}/0001.00000001.0000000200-0000000400.seg",
        ]
        kept = [await objects.get(name) for name in await named(objects, SOURCE)]
        assert all(one.startswith(b"SPSEAL\x01") and b"opus of group" not in one for one in kept)
        # What lies in the spool can be cut, the open file included; what only the store has can be read.
        assert await archived(worker, 0, 600) == [packet.group for packet in log.packets]
        for path in log.directory.iterdir():
            path.unlink()
        assert await archived(worker, 0, 600) == [packet.group for packet in log.packets if packet.group < 400]
        assert await archived(worker, 200, 201) == [packet.group for packet in log.packets if 200 <= packet.group < 400]


async def test_old_files_leave_the_spool_when_they_are_in_the_store(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(KEPT), Done)
        await live(time, log, 60)
        left = worker.spool.entries(SPACE)
        assert 29 <= len(left) <= 31, "two minutes of four seconds each"
        assert len(await named(objects, SOURCE)) == 60
        objects.down = True
        await live(time, log, 60)
        assert len(worker.spool.entries(SPACE)) >= 60, "what the store does not have stays"


async def test_a_minute_without_the_store_loses_nothing(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(PUBLIC), Done)
        await live(time, log, 5)
        objects.down = True
        await live(time, log, 15)
        figures = await ask(worker, "figures", Done(), Figures)
        assert figures.store_down
        assert figures.waiting_files == 15
        assert 59 <= figures.lag_s <= 61
        assert figures.store_failures >= 6, "it is tried again and again"
        assert figures.store_failures <= 40, "but not without pauses"
        assert len(list(log.directory.iterdir())) == 20
        objects.down = False
        await time.pass_(12)
        figures = await ask(worker, "figures", Done(), Figures)
        assert (figures.store_down, figures.waiting_files, figures.lag_s) == (False, 0, 0.0)
        assert len(await named(objects, SOURCE)) == 20
        log.write(final=True)
        done = await finalized(worker, time, finalize(PUBLIC))
        assert done.duration_ms == 21 * 4000
        assert await replayed(objects) == [packet.group for packet in log.packets]
        assert worker.spool.spaces() == []


async def test_the_end_comes_while_the_store_is_down(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(PUBLIC), Done)
        await live(time, log, 2)
        objects.down = True
        await live(time, log, 2)
        log.write(final=True)
        first = asyncio.create_task(ask(worker, "finalize", finalize(PUBLIC), Finalized))
        await time.pass_(30)
        again = asyncio.create_task(ask(worker, "finalize", finalize(PUBLIC), Finalized))
        await time.pass_(30)
        assert not first.done()
        assert len(list(log.directory.iterdir())) == 5, "nothing goes before it is in the store"
        objects.down = False
        await time.pass_(12)
        assert (await first).duration_ms == 5 * 4000
        assert await again == await first
        assert await replayed(objects) == [packet.group for packet in log.packets]


async def test_another_worker_goes_on_where_one_was_killed(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    log = recording(spool, time)
    async with a_worker(spool, objects, time) as worker:
        await ask(worker, "follow", follow(PUBLIC), Done)
        await live(time, log, 40)
    await live(time, log, 2)
    async with a_worker(spool, objects, time) as worker:
        await ask(worker, "follow", follow(PUBLIC), Done)
        await live(time, log, 2)
        log.write(final=True)
        assert (await finalized(worker, time, finalize(PUBLIC))).duration_ms == 45 * 4000
    assert await replayed(objects) == [packet.group for packet in log.packets]
    assert len(await named(objects, SOURCE)) == 45


async def test_a_recording_that_nobody_finished_is_finished_after_a_restart(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    """Machine gone in mid-talk, and again after it; the Space ended meanwhile: two torn files, no last word."""
    started = time.now_ms()
    log = recording(spool, time)
    for _ in range(3):
        log.write()
    log.write(closed=False)
    second = recording(spool, time, part=2, group=1000, at=started)
    second.write(closed=False)
    async with a_worker(spool, objects, time) as worker:
        assert worker.spool.spaces() == [SPACE]
        done = await finalized(worker, time, finalize(PUBLIC, end_group=1500))
        assert done.duration_ms == 1500 * 20, "it lasted until the end by the log of events"
        assert worker.spool.spaces() == []
        assert await finalized(worker, time, finalize(PUBLIC, end_group=1500)) == done, "and again is no harm"
    assert await replayed(objects) == [packet.group for packet in (*log.packets, *second.packets)]
    assert len(await named(objects, SOURCE)) == 5


async def test_a_worker_killed_between_the_replay_and_the_spool(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    log = recording(spool, time)
    log.write(final=True)

    class Dies(Breaking):
        async def put(self, name: str, data: bytes) -> None:
            await super().put(name, data)
            if name.endswith("ready.json"):
                raise RuntimeError("killed")

    async with a_worker(spool, Dies(objects, time), time) as worker:
        with pytest.raises(MediaError, match="killed"):
            await finalized(worker, time, finalize(PUBLIC))
    assert list(log.directory.iterdir())

    def nobody(*_: object, **__: object) -> ListPackager:
        raise AssertionError("the replay is complete")

    async with a_worker(spool, objects, time, packager=nobody) as worker:
        assert (await finalized(worker, time, finalize(PUBLIC))).duration_ms == 4000
        assert worker.spool.spaces() == []


async def test_what_is_kept_for_review_alone_is_nowhere_in_the_clear(
    spool: Path, objects: Breaking, time: VirtualTime, tmp_path: Path
) -> None:
    secret = b"what somebody said in a Space that is not recorded"
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(KEPT), Done)
        log.write(packets=[a_packet(0, secret)])
        log.write(final=True)
        assert secret in b"".join(path.read_bytes() for path in log.directory.iterdir())
        assert (await finalized(worker, time, finalize(KEPT))).duration_ms == 0
        assert await named(objects, f"spaces/{SPACE}") == await named(objects, SOURCE)
        assert len(await named(objects, SOURCE)) == 2
        everything = [await objects.get(name) for name in await named(objects, "spaces")]
        everything += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert everything
        assert not [one for one in everything if secret in one]
        assert (await archived(worker, 0, 3))[0] == 0, "but a moderator hears it"


async def test_nothing_is_left_of_what_is_neither_recorded_nor_reviewed(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(UNKEPT), Done)
        await live(time, log, 60)
        assert 29 <= len(worker.spool.entries(SPACE)) <= 31
        assert await named(objects, "spaces") == []
        log.write(final=True)
        await finalized(worker, time, finalize(UNKEPT))
        assert await named(objects, "spaces") == []
        assert list(spool.iterdir()) == [spool / ".half"] or list(spool.iterdir()) == []


async def test_after_the_stop_nothing_is_kept(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    stopped = Plan(keep=True, public=True, review=False, stop_group=500)
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(Plan(keep=True, public=True)), Done)
        # The worker hears of the stop late: a file with what was said afterwards is in the store already.
        await live(time, log, 3)
        assert len(await named(objects, SOURCE)) == 3
        await ask(worker, "follow", follow(stopped), Done)
        await live(time, log, 2)
        log.write(final=True)
        done = await finalized(worker, time, finalize(stopped))
        assert done.duration_ms == 500 * 20
        assert len(await named(objects, SOURCE)) == 2
        assert worker.spool.spaces() == []


async def test_after_the_stop_the_review_goes_on_and_the_replay_does_not(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    plan = Plan(keep=True, public=True, review=True, stop_group=500)
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(plan), Done)
        await live(time, log, 5)
        log.write(final=True)
        await finalized(worker, time, finalize(plan))
        assert len(await named(objects, SOURCE)) == 6
        groups = await replayed(objects)
        assert groups == [packet.group for packet in log.packets if packet.group + 3 <= 500]
        assert 490 <= groups[-1] <= 497


async def test_a_report_keeps_what_was_said_before_it(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(UNKEPT), Done)
        await live(time, log, 60)
        assert await named(objects, "spaces") == []
        await ask(worker, "follow", follow(KEPT), Done)
        await live(time, log, 2)
        assert 31 <= len(await named(objects, SOURCE)) <= 33, "the last two minutes, and what came since"
        log.write(final=True)
        await finalized(worker, time, finalize(KEPT))
        assert 32 <= len(await named(objects, SOURCE)) <= 34


async def test_a_log_that_begins_anew_with_the_same_number_is_not_taken_for_the_old_one(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    """Clips are switched off, nothing is logged; then somebody reports, and the recorder finds none of its files."""
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(UNKEPT), Done)
        log.write(final=True)
        await time.pass_(130)
        assert worker.spool.entries(SPACE) == []
        await ask(worker, "follow", follow(KEPT), Done)
        again = Recording(spool, SPACE, started_at_ms=log.started_at_ms, group=6600)
        again.write(final=True)
        await finalized(worker, time, finalize(KEPT))
        assert await archived(worker, 0, 1 << 40) == [packet.group for packet in again.packets]


async def test_a_wrong_key_is_told_and_never_silence(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    async with a_worker(spool, objects, time) as worker:
        recording(spool, time).write(final=True)
        await finalized(worker, time, finalize(KEPT))
        assert await archived(worker, 0, 3)
        worker.keys.learn(SPACE, bytes(32))
        with pytest.raises(MediaError) as refused:
            await archived(worker, 0, 3)
        assert refused.value.code == "source.key"
        [name] = await named(objects, SOURCE)
        await objects.put(name, (await objects.get(name))[:-1] + b"?")
        worker.keys.learn(SPACE, KEY)
        with pytest.raises(MediaError) as refused:
            await archived(worker, 0, 3)
        assert refused.value.code == "source.key"


async def test_a_deletion_interrupts_what_is_being_made(spool: Path, objects: Breaking, time: VirtualTime) -> None:
    class Slow(ListPackager):
        async def finish(self, end_group: int) -> ReplaySummary:
            await time.sleep(60)
            return await super().finish(end_group)

    async with a_worker(spool, objects, time, packager=Slow) as worker:
        recording(spool, time).write(final=True)
        making = asyncio.create_task(ask(worker, "finalize", finalize(PUBLIC), Finalized))
        await time.pass_(2)
        deleted = await ask(worker, "delete", Delete(space=SPACE, parts=("replay",)), Deleted)
        assert deleted.objects == 1
        with pytest.raises(MediaError) as refused:
            await making
        assert refused.value.code == "interrupted"
        await time.pass_(120)
        assert await named(objects, f"spaces/{SPACE}/replay") == []
        await finalized(worker, time, finalize(KEPT))
        assert len(await named(objects, SOURCE)) == 1
        assert worker.spool.spaces() == []


async def test_forgotten_means_nothing_in_the_spool_and_no_follower(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        await ask(worker, "follow", follow(KEPT), Done)
        await live(time, log, 1)
        await ask(worker, "forget", Forget(space=SPACE), Done)
        assert worker.followers == {}
        assert worker.spool.spaces() == []


async def test_an_unreadable_file_does_not_stop_the_others(
    spool: Path, objects: Breaking, time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_worker(spool, objects, time) as worker:
        log = recording(spool, time)
        log.write().write_bytes(b"\xc1 no log")
        log.write(final=True)
        assert (await finalized(worker, time, finalize(PUBLIC))).segments == 66
    assert "unreadable" in caplog.text


async def test_low_space_is_told_once(
    spool: Path, objects: Breaking, time: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_worker(spool, objects, time, least_free_bytes=1 << 60) as worker:
        assert (await ask(worker, "figures", Done(), Figures)).low_space
        assert (await ask(worker, "figures", Done(), Figures)).low_space
    assert caplog.text.count("little room") == 1


async def test_many_spaces_upload_side_by_side_but_never_more_than_may_be(
    spool: Path, objects: Breaking, time: VirtualTime
) -> None:
    class Counting(Breaking):
        now = most = 0

        async def put(self, name: str, data: bytes) -> None:
            self.now += 1
            self.most = max(self.most, self.now)
            await time.sleep(0.2)
            await super().put(name, data)
            self.now -= 1

    counting = Counting(objects, time)
    async with a_worker(spool, counting, time, uploads=4) as worker:
        for space in range(1, 21):
            Recording(spool, space, started_at_ms=time.now_ms()).write()
            await ask(worker, "follow", Follow(space=space, key=KEY, plan=KEPT), Done)
        await time.pass_(3)
        assert len(await named(objects, "spaces")) == 20
    assert counting.most == 4


async def test_what_leaves_the_spool_is_durable_in_a_directory(
    spool: Path, tmp_path: Path, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        durable.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        assert list((spool_of(spool, SPACE)).iterdir()), "before anything goes"
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    objects = Breaking(Objects.open(str(tmp_path / "objects")), time)
    async with a_worker(spool, objects, time) as worker:
        recording(spool, time).write(final=True)
        await finalized(worker, time, finalize(PUBLIC))
    for name in await named(objects, f"spaces/{SPACE}"):
        path = tmp_path / "objects" / name
        assert {str(path), str(path.parent)} <= set(durable)


def test_contents_are_what_a_log_says() -> None:
    """The stand-in's format loses nothing that the real one has."""
    assert set(Contents.__slots__) >= {"mix", "frames", "seats", "gaps", "final", "closed"}
