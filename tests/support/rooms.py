"""The service with the real engine: sockets on loopback, native clients, a real clock."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from spaces_ctl.captions.recogniser import RATE, Pcm
from spaces_ctl.clock import Clock, SystemClock
from spaces_ctl.engine import (
    CaptionLine,
    ConnectionClosed,
    ConnectionFailed,
    Engine,
    EngineConfig,
    Frame,
    Listener,
    MixFrame,
    Refused,
    Speaker,
    TokenSigner,
    space_name,
)
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.fake_graph import FakeGraph
from spaces_ctl.service.journal import Journal
from spaces_ctl.store.database import Database
from tests.support.captions import opus_packets
from tests.support.databases import sqlite_with_tables
from tests.support.patience import PATIENCE_S
from tests.support.worlds import World

NOBODY = 999
GONE = (ConnectionClosed, ConnectionFailed, Refused)
"""How a client learns that it is out."""


class Deployment(World):
    """A `World` whose engine is real; people connect by QUIC."""

    engine: Engine

    def __init__(self, db: Database, engine: Engine, signer: TokenSigner, **more: Any) -> None:
        super().__init__(db, engine=engine, **more)
        self.signer = signer

    @property
    def pin(self) -> bytes:
        return self.engine.certificate_sha256

    def url(self, space: SpaceId) -> str:
        return f"https://127.0.0.1:{self.engine.port}/spaces/{space_name(space)}"

    def token(self, account: int, sid: int) -> str:
        return self.signer.mint(account=account, sid=sid)

    async def group_now(self, space: SpaceId) -> int:
        """The Space's media time. (Putting nobody out changes nothing and answers with it.)"""
        return (await self.engine.kick(space, account=NOBODY)).fence_group

    def speaker(self, space: SpaceId, account: int, seat: int, sid: int | None = None) -> Speaker:
        token = self.token(account, account if sid is None else sid)
        return Speaker(self.url(space), token=token, seat=seat, certificate_sha256=self.pin)

    def listener(self, space: SpaceId, account: int | None = None, sid: int | None = None) -> Listener:
        token = None if account is None else self.token(account, account if sid is None else sid)
        return Listener(self.url(space), token=token, certificate_sha256=self.pin)

    def reader(self, space: SpaceId) -> Listener:
        """A guest who hears the mix and reads the captions."""
        return Listener(self.url(space), certificate_sha256=self.pin, track="mix", captions=True)


@asynccontextmanager
async def a_deployment(
    directory: Path,
    *,
    url: str | None = None,
    limits: Limits | None = None,
    graph: FakeGraph | None = None,
    clock: Clock | None = None,
    engine_name: str | None = None,
    shards: int = 1,
) -> AsyncIterator[Deployment]:
    """Engine, database (SQLite in `directory`, unless `url`), service, and the loop that follows the engine."""
    signer = TokenSigner.generate()
    db = await Database.open(url or await sqlite_with_tables(directory / "spaces.db"), synchronous="normal")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(db.aclose)
        journal = await Journal.open(directory / "journal")
        stack.push_async_callback(journal.aclose)
        engine = await stack.enter_async_context(
            Engine(EngineConfig(signers=[signer], shards=shards), name=engine_name)
        )
        deployment = Deployment(
            db, engine, signer, limits=limits, graph=graph, journal=journal, clock=clock or SystemClock()
        )
        following = asyncio.create_task(deployment.presence.run())
        yield deployment
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await deployment.spaces.aclose()


async def speech() -> list[bytes]:
    """A second of continuous speech-like sound as Opus packets of 20 ms, without discontinuous transmission."""
    packets = (await asyncio.to_thread(opus_packets, _tone(1.2), bitrate=24_000))[2:52]
    # A frame of DTX has one or two bytes (RFC 6716, section 3.1).
    assert all(len(packet) > 10 for packet in packets)
    return packets


def _tone(seconds: float) -> Pcm:
    t = np.arange(int(seconds * RATE)) / RATE
    phase = math.tau * np.cumsum(180 + 40 * np.sin(5 * t)) / RATE
    return np.asarray((np.sin(phase) + 0.5 * np.sin(2 * phase)) * (0.6 + 0.4 * np.sin(12 * t)) * 8_000, np.int16)


async def talk(speaker: Speaker, packets: list[bytes]) -> None:
    """Sends for ever, a packet every 20 ms, until the connection is gone."""
    with suppress(*GONE):
        while True:
            for packet in packets:
                await speaker.send_opus(packet, paced=True)


class Ear:
    """A guest who writes down every frame that arrives."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.frames: list[Frame] = []
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        with suppress(*GONE):
            async for batch in self._listener.frames():
                self.frames += batch
                self._arrived.set()

    @property
    def lost(self) -> int:
        """Frames that were sent and did not arrive."""
        return self._listener.stats().lost

    def forget(self) -> None:
        """All but the newest."""
        del self.frames[:-10]

    async def hears(self, seat: int, frames: int, timeout_s: float = PATIENCE_S) -> None:
        """Returns when so many more frames of the seat have come from now on."""
        heard = len(self.frames)
        async with asyncio.timeout(timeout_s):
            while sum(frame.seat == seat for frame in self.frames[heard:]) < frames:
                self._arrived.clear()
                await self._arrived.wait()

    async def is_silent(self, seat: int) -> None:
        """Returns when no frame of the seat has come for a while, though somebody speaks there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                heard = sum(frame.seat == seat for frame in self.frames)
                await asyncio.sleep(0.3)
                if sum(frame.seat == seat for frame in self.frames) == heard:
                    return

    async def aclose(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class MixEar:
    """Writes down every packet of the mix and every caption that arrives."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.packets: list[MixFrame] = []
        self.lines: list[CaptionLine] = []
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._read())]

    async def _hear(self) -> None:
        with suppress(*GONE):
            async for batch in self._listener.mix():
                self.packets += batch

    async def _read(self) -> None:
        with suppress(*GONE):
            async for line in self._listener.captions():
                self.lines.append(line)

    def forget(self) -> None:
        """All but the newest."""
        del self.packets[:-10], self.lines[:-10]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
