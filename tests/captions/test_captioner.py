"""Following Spaces; the process and what it has to say; what becomes of it when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest

from spaces_ctl.captions.captioner import Captioner
from spaces_ctl.captions.messages import Allow, Follow, FromCaptioner, FromServer, Heard, Leave, Lost, Open
from spaces_ctl.captions.process import Outbox
from spaces_ctl.captions.recogniser import RATE
from spaces_ctl.captions.remote import RemoteCaptioner
from spaces_ctl.captions.room import Packet
from spaces_ctl.captions.voice import Budget
from tests.support.captions import CountingRecogniser, opus_packets
from tests.support.patience import PATIENCE_S

LOUD = opus_packets((np.sin(np.arange(RATE * 2) / 5) * 8000).astype(np.int16))
CHILD = (sys.executable, "-m", "tests.support.child_captioner")


def follow(space: int, **more: Any) -> Follow:
    fields: dict[str, Any] = {"seats": {0: 1}, "language": "en", "certificate_sha256": None, "token": "t"} | more
    return Follow(space=space, url=f"https://127.0.0.1:1/spaces/{space}", **fields)


class Taps:
    """Connections that a test feeds by hand."""

    def __init__(self) -> None:
        self.queues: dict[int, asyncio.Queue[list[Packet] | Exception | None]] = {}
        self.opened: list[Follow] = []

    @asynccontextmanager
    async def __call__(self, follow: Follow, /) -> AsyncIterator[AsyncIterator[Iterable[Packet]]]:
        self.opened.append(follow)
        queue = self.queues[follow.space] = asyncio.Queue()

        async def batches() -> AsyncIterator[Iterable[Packet]]:
            while (batch := await queue.get()) is not None:
                if isinstance(batch, Exception):
                    raise batch
                yield batch

        yield batches()

    async def speak(self, space: int, ms: int, *, begin: int = 0) -> None:
        await settle()
        for n in range(ms // 20):
            self.queues[space].put_nowait([Packet(begin + n, 0, 1, 20, LOUD[n % len(LOUD)])])
        await settle()


async def settle() -> None:
    for _ in range(400):
        await asyncio.sleep(0)


@asynccontextmanager
async def captioner() -> AsyncIterator[tuple[Captioner, Taps, list[FromCaptioner]]]:
    taps, told = Taps(), list[FromCaptioner]()
    async with Captioner(CountingRecogniser(), Budget(streams=4, queue_ms=60_000), taps, told.append) as it:
        yield it, taps, told


def texts(told: list[FromCaptioner], space: int) -> list[tuple[str, bool]]:
    return [(one.text, one.final) for one in told if isinstance(one, Heard) and one.space == space]


async def test_spaces_are_followed_side_by_side_and_finished_when_they_end() -> None:
    async with captioner() as (it, taps, told):
        it.take(follow(7))
        it.take(follow(8))
        await taps.speak(7, 800)
        await taps.speak(8, 400)
        assert [bool(texts(told, space)) for space in (7, 8)] == [True, True]
        it.take(Leave(space=7, finish=True))
        it.take(Leave(space=8))
        await settle()
        assert texts(told, 7)[-1][1], "the last words"
        assert not any(final for _, final in texts(told, 8)), "nobody wants to know"
        assert it.spaces == 0


async def test_who_is_not_allowed_any_more_is_not_heard_of_again() -> None:
    async with captioner() as (it, taps, told):
        it.take(follow(7))
        await taps.speak(7, 700)
        it.take(Allow(space=7, seats={}))
        await taps.speak(7, 800, begin=35)
        assert len(texts(told, 7)) == 1
        it.take(Leave(space=7, finish=True))
        await settle()
        assert len(texts(told, 7)) == 1


@pytest.mark.parametrize("how", [None, RuntimeError("what was said")])
async def test_a_connection_that_ends_is_told_and_may_be_made_again(how: Exception | None) -> None:
    async with captioner() as (it, taps, told):
        it.take(follow(7))
        await taps.speak(7, 400)
        taps.queues[7].put_nowait(how)
        await settle()
        (lost,) = [one for one in told if isinstance(one, Lost)]
        assert lost.space == 7
        assert "said" not in lost.why
        it.take(follow(7, token="u"))
        await taps.speak(7, 400, begin=20)
        assert [one.token for one in taps.opened] == ["t", "u"]
        assert len(texts(told, 7)) == 2, "a short interruption does not end the line"
        it.take(follow(7, token="v"))
        await settle()
        assert len([one for one in told if isinstance(one, Lost)]) == 1, "to be told anew is no loss"


# The process


def line(n: int, text: str) -> Heard:
    return Heard(space=1, seat=0, generation=1, line=n, start_ms=0, end_ms=1, text=text, final=False)


async def test_the_outbox_keeps_the_newest_stage_of_a_line_and_is_bounded() -> None:
    outbox = Outbox(most=3)
    assert await outbox.take(0.01) == ()
    for n, text in ((0, "a"), (1, "b"), (0, "a a"), (2, "c"), (3, "d")):
        outbox.put(line(n, text))
    taken = await outbox.take(0.01)
    assert [(one.line, one.text) for one in taken if isinstance(one, Heard)] == [(1, "b"), (2, "c"), (3, "d")]
    outbox.put(Lost(space=1, why="x"))
    outbox.put(Lost(space=1, why="x"))
    assert len(await outbox.take(1)) == 2


async def test_every_message_comes_through() -> None:
    for message in (follow(7), Allow(space=7, seats={3: 4}), Leave(space=7, finish=True)):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=FromServer) == message


async def test_a_killed_process_is_started_again_and_told_everything(caplog: pytest.LogCaptureFixture) -> None:
    heard: asyncio.Queue[FromCaptioner] = asyncio.Queue()
    remote, resumed = RemoteCaptioner(Open(recogniser="moonshine"), command=CHILD), 0

    def resume() -> None:
        nonlocal resumed
        resumed += 1
        remote.send(follow(7))

    running = asyncio.create_task(remote.run(resume, heard.put))
    await asyncio.sleep(0.05)
    assert remote.process.pid is None, "there is no process before it is needed"
    remote.send(follow(7))
    pids = set[int]()
    async with asyncio.timeout(60):
        for life in range(3):
            assert isinstance(await heard.get(), Heard)
            pid = remote.process.pid
            assert pid is not None
            pids.add(pid)
            if life < 2:
                os.kill(pid, signal.SIGKILL)
                while remote.process.pid == pid:
                    await asyncio.sleep(0.01)
                while not heard.empty():
                    heard.get_nowait()
    assert len(pids) == resumed == 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_an_error_about_one_line_does_not_end_the_others() -> None:
    remote, taken = RemoteCaptioner(Open(recogniser="moonshine"), command=CHILD), list[FromCaptioner]()
    done = asyncio.Event()

    async def hear(message: FromCaptioner) -> None:
        taken.append(message)
        if len(taken) == 1:
            raise RuntimeError("what was said")
        done.set()

    running = asyncio.create_task(remote.run(lambda: remote.send(follow(7)), hear))
    remote.send(follow(7))
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
