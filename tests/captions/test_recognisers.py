"""The recognisers themselves: Moonshine on real speech; the WebSocket protocol against servers that behave or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from spaces_ctl.captions.messages import Heard as Told
from spaces_ctl.captions.moonshine import Moonshine
from spaces_ctl.captions.recogniser import RATE, Pcm, RecogniserFailed
from spaces_ctl.captions.room import Packet, Room
from spaces_ctl.captions.voice import Budget
from spaces_ctl.captions.websocket import WebSocketRecogniser
from tests.support.captions import opus_packets, utterances, word_error_rate
from tests.support.patience import PATIENCE_S

SECOND: Pcm = np.zeros(RATE, np.int16)


async def test_real_speech_through_opus_is_recognised() -> None:
    """25 s of one reader, as packets of 32 kbit/s: at most one word in ten wrong, lines at their time."""
    spoken = utterances()
    budget, told, recogniser = Budget(streams=1, queue_ms=10_000), list[Told](), Moonshine()
    room = Room(1, "en", recogniser, budget, told.append)
    room.allow({0: 1})
    packets = opus_packets(np.concatenate([sound for sound, _ in spoken]))
    for group, packet in enumerate(packets):
        room.packet(Packet(group, 0, 1, 20, packet), group / 50)
        while budget.waiting_ms > 2_000:
            await asyncio.sleep(0.005)
    await room.finish()
    await recogniser.aclose()
    final = [one for one in told if one.final]
    assert budget.shed_ms == 0
    assert word_error_rate(" ".join(text for _, text in spoken), " ".join(one.text for one in final)) <= 0.10
    assert [one.line for one in final] == list(range(len(final)))
    ends = np.cumsum([len(sound) * 1000 / RATE for sound, _ in spoken])
    first = [one for one in final if one.start_ms < ends[0] - 500]
    assert abs(first[-1].end_ms - ends[0]) < 1_000, "the first utterance ends where its line does"
    partial = [one for one in told if not one.final]
    assert len(partial) > len(final), "lines grow while they are spoken"


async def test_two_streams_of_moonshine_do_not_mix() -> None:
    (one, text_one), (two, text_two) = utterances()[1], utterances()[4]
    recogniser = Moonshine()
    first, second = await recogniser.open("en"), await recogniser.open("en-GB")
    for at in range(0, max(len(one), len(two)), RATE // 2):
        for stream, sound in ((first, one), (second, two)):
            if at < len(sound):
                await stream.feed(sound[at : at + RATE // 2])
    assert word_error_rate(text_one, " ".join(line.text for line in await first.finish())) <= 0.4
    assert word_error_rate(text_two, " ".join(line.text for line in await second.finish())) <= 0.4
    await recogniser.aclose()


async def test_moonshine_has_no_other_language() -> None:
    recogniser = Moonshine()
    with pytest.raises(RecogniserFailed, match="de"):
        await recogniser.open("de")
    await recogniser.aclose()


# WebSocket

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def recognising(handler: Handler) -> AsyncIterator[WebSocketRecogniser]:
    async with serve(handler, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield WebSocketRecogniser(f"ws://127.0.0.1:{port}/asr", headers={"authorization": "Bearer x"}, patience_s=1)


def line(number: int, text: str, *, final: bool = False, ms: int = 0) -> str:
    fields = {"type": "line", "line": number, "start_ms": 0, "end_ms": ms, "text": text, "final": final}
    return json.dumps(fields)


async def test_a_recogniser_over_websocket() -> None:
    begun: list[Any] = []

    async def server(socket: ServerConnection) -> None:
        assert socket.request is not None
        begun.append((json.loads(await socket.recv()), socket.request.headers["authorization"]))
        ms = 0
        async for message in socket:
            if isinstance(message, bytes):
                ms += len(message) * 1000 // (2 * RATE)
                await socket.send(line(0, f"  so far\n{ms}", ms=ms))
            else:
                assert json.loads(message) == {"type": "end"}
                await socket.send(line(0, f"all of {ms}", final=True, ms=ms))
                await socket.send(line(1, "left open", ms=ms))
                await socket.send('{"type": "done"}')
                return

    async with recognising(server) as recogniser:
        stream = await recogniser.open("en")
        assert await stream.feed(SECOND) == []
        while not (heard := await stream.feed(SECOND[:16])):
            await asyncio.sleep(0.01)
        assert heard[0].text.startswith("so far 10")
        last = await stream.finish()
        assert [(one.line, one.text.split()[0], one.final) for one in last] == [(0, "all", True), (1, "left", True)]
        assert last[0].end_ms == last[1].end_ms >= 1_000
    assert begun == [({"type": "begin", "rate": RATE, "language": "en"}, "Bearer x")]


async def _closes(socket: ServerConnection) -> None:
    await socket.recv()


async def _babbles(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send('{"type": "line", "text": 7}')
    await socket.wait_closed()


async def _refuses(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send('{"type": "error", "detail": "a secret that was said"}')


async def _floods(socket: ServerConnection) -> None:
    await socket.recv()
    for number in range(2_000):
        await socket.send(line(number, "word"))
    await socket.wait_closed()


async def _sleeps(socket: ServerConnection) -> None:
    await socket.wait_closed()


@pytest.mark.parametrize("server", [_closes, _babbles, _refuses, _floods])
async def test_a_server_that_misbehaves_fails_the_stream(server: Handler) -> None:
    async with recognising(server) as recogniser:
        stream = await recogniser.open("en")

        async def feed() -> None:
            while True:
                await stream.feed(SECOND)
                await asyncio.sleep(0.01)

        with pytest.raises(RecogniserFailed) as failed:
            await asyncio.wait_for(feed(), PATIENCE_S)
        assert "secret" not in str(failed.value)
        with pytest.raises(RecogniserFailed):
            await stream.finish()
        await stream.aclose()


async def test_a_server_that_never_answers_is_not_waited_for() -> None:
    async with recognising(_sleeps) as recogniser:
        stream = await recogniser.open("en")
        with pytest.raises(RecogniserFailed, match="in time"):
            await asyncio.wait_for(stream.finish(), PATIENCE_S)


async def test_what_was_heard_is_not_even_in_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    """The library logs frames at that level."""
    caplog.set_level("DEBUG")

    async def server(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(line(0, "rosebud", final=True))
        await socket.send('{"type": "done"}')

    async with recognising(server) as recogniser:
        stream = await recogniser.open("en")
        # The server is in this process, too, and logs what it sends.
        assert [one.text for one in await stream.finish()] == ["rosebud"]
    ours = [record.getMessage() for record in caplog.records if record.name != "websockets.server"]
    assert "rosebud" not in str(ours)


async def test_nobody_listens_there() -> None:
    with pytest.raises(RecogniserFailed):
        await WebSocketRecogniser("ws://127.0.0.1:9/", patience_s=1).open("en")
