"""The worker as a process: killed in mid-upload and mid-finalize, stuck, silent, orphaned."""

import asyncio
import os
import signal
import subprocess
import sys
import time as real_time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from spaces_ctl.media.errors import MediaError, WorkerGone
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.remote import RemoteWorker
from spaces_ctl.media.requests import Done, Finalize, Finalized, Follow, Open, Plan, Spooled
from spaces_ctl.media.spool import spool_of
from tests.support.log_files import Recording
from tests.support.media_worker import KEY, SPACE, named
from tests.support.patience import PATIENCE_S

COMMAND = (sys.executable, "-m", "tests.support.child_worker")
PUBLIC = Plan(keep=True, public=True, review=True)
SOURCE = f"spaces/{SPACE}/source"


@asynccontextmanager
async def running(spool: Path, store: Path, **more: float) -> AsyncIterator[RemoteWorker]:
    worker = RemoteWorker(Open(spool=str(spool), store=str(store)), command=COMMAND, **more)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def kill(worker: RemoteWorker) -> int:
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    return worker.pid


async def test_killed_in_mid_upload_and_nothing_is_lost(
    spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_STORE_S", "0.05")
    log = Recording(spool, SPACE, started_at_ms=int(real_time.time() * 1000))
    for _ in range(12):
        log.write()
    objects = Objects.open(str(tmp_path / "objects"))
    follow = Follow(space=SPACE, key=KEY, plan=PUBLIC)
    async with running(spool, tmp_path / "objects") as worker:

        async def again() -> None:
            await worker.ask("follow", follow, Done)

        worker.started = again
        for wanted in (2, 5, 8):

            async def some(wanted: int = wanted) -> bool:
                return len(await named(objects, SOURCE)) >= wanted

            await until(some)
            kill(worker)
        assert len(await named(objects, SOURCE)) < 12
        log.write(final=True)
        monkeypatch.setenv("SLOW_STORE_S", "0")
        await until(lambda: _restarted(worker, 3))
        done = await worker.ask("finalize", Finalize(space=SPACE, key=KEY, plan=PUBLIC, end_group=0), Finalized)
        assert done.duration_ms == 13 * 4000
    assert len(await named(objects, SOURCE)) == 13
    groups = msgspec.json.decode(await objects.get(f"spaces/{SPACE}/replay/audio.opus"), type=list[int])
    assert groups == [packet.group for packet in log.packets]
    assert not spool_of(spool, SPACE).exists()


async def _restarted(worker: RemoteWorker, times: int) -> bool:
    return worker.restarts >= times and worker.pid is not None


async def test_killed_in_mid_finalize_and_it_is_finished_by_the_next(
    spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_STORE_S", "0.05")
    log = Recording(spool, SPACE, started_at_ms=int(real_time.time() * 1000))
    for _ in range(10):
        log.write()
    log.write(final=True)
    objects = Objects.open(str(tmp_path / "objects"))
    request = Finalize(space=SPACE, key=KEY, plan=PUBLIC, end_group=0)
    async with running(spool, tmp_path / "objects") as worker:
        asking = asyncio.create_task(worker.ask("finalize", request, Finalized))

        async def begun() -> bool:
            return len(await named(objects, SOURCE)) >= 4

        await until(begun)
        kill(worker)
        with pytest.raises(WorkerGone):
            await asking
        assert len(list(spool_of(spool, SPACE).iterdir())) == 11
        assert (await worker.ask("spooled", Done(), Spooled)).spaces == (SPACE,)
        assert (await worker.ask("finalize", request, Finalized)).duration_ms == 11 * 4000
    groups = msgspec.json.decode(await objects.get(f"spaces/{SPACE}/replay/audio.opus"), type=list[int])
    assert groups == [packet.group for packet in log.packets]


async def test_a_stuck_worker_is_replaced_and_holds_nobody_up(spool: Path, tmp_path: Path) -> None:
    async with running(spool, tmp_path / "objects", heartbeat_s=0.05, stuck_s=1.0) as worker:
        await worker.ask("spooled", Done(), Spooled)
        first = worker.pid
        longest = 0.0
        asking = asyncio.create_task(worker.ask("stuck", Done(), Done, timeout_s=PATIENCE_S))
        while not asking.done():
            before = real_time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, real_time.monotonic() - before)
        with pytest.raises(WorkerGone):
            await asking
        assert (await worker.ask("spooled", Done(), Spooled)).spaces == ()
        assert worker.pid != first
        assert longest < 0.5, "the loop was never held up"


async def test_an_answer_that_never_comes_is_given_up_and_the_worker_lives_on(spool: Path, tmp_path: Path) -> None:
    async with running(spool, tmp_path / "objects") as worker:
        await worker.ask("spooled", Done(), Spooled)
        with pytest.raises(WorkerGone, match="timeout"):
            await worker.ask("silent", Done(), Done, timeout_s=0.1)
        assert (await worker.ask("spooled", Done(), Spooled)).spaces == ()
        assert worker.restarts == 0
        with pytest.raises(MediaError, match="no such operation"):
            await worker.ask("nonsense", Done(), Done)


async def test_errors_logs_and_figures_come_over(spool: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(spool, tmp_path / "objects", heartbeat_s=0.05) as worker:
        log = Recording(spool, SPACE, started_at_ms=int(real_time.time() * 1000))
        log.write().write_bytes(b"\xc1")
        log.write(final=True)
        await worker.ask("finalize", Finalize(space=SPACE, key=KEY, plan=PUBLIC, end_group=0), Finalized)

        async def told() -> bool:
            return worker.figures is not None and worker.figures.uploaded_objects >= 4

        await until(told)
        assert worker.pid is not None
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) >= 10
        pid = worker.pid
    assert gone(pid)
    assert "unreadable" in caplog.text


async def test_a_store_that_cannot_be_is_told(spool: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    worker = RemoteWorker(Open(spool=str(spool), store="ftp://nowhere"), command=COMMAND)
    task = asyncio.create_task(worker.run())

    async def complained() -> bool:
        return "ftp" in caplog.text

    await until(complained)
    with pytest.raises(WorkerGone):
        await worker.ask("spooled", Done(), Spooled, timeout_s=0.1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


_PARENT = """
import asyncio, sys
from spaces_ctl.media.remote import RemoteWorker
from spaces_ctl.media.requests import Done, Open, Spooled

async def main():
    worker = RemoteWorker(Open(spool=sys.argv[1], store=sys.argv[1] + "/objects"), command=sys.argv[2:])
    task = asyncio.create_task(worker.run())
    await worker.ask("spooled", Done(), Spooled)
    print(worker.pid, flush=True)
    await worker.ask("stuck", Done(), Done, timeout_s=1000)

asyncio.run(main())
"""


async def test_the_worker_dies_with_the_server_even_in_the_middle_of_a_computation(spool: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(spool), *COMMAND], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        with parent.stdout:
            pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert not gone(pid)
    finally:
        parent.kill()
        parent.wait()

    async def orphan_is_gone() -> bool:
        return gone(pid)

    await until(orphan_is_gone)
