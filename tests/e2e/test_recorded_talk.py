"""Real speech through `spaces serve` into a replay: on disk and on S3, with the store away, killed, and unrecorded."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from spaces_ctl import segments
from spaces_ctl.api.wire import space_id
from spaces_ctl.client import SpacesClient
from spaces_ctl.demo import speech
from spaces_ctl.engine import Frame, Speaker
from spaces_ctl.media.archive import Archive, Keys
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.spool import Spool, spool_of
from tests.support.audio import decode
from tests.support.patience import PATIENCE_S
from tests.support.proxy import a_proxy
from tests.support.real_server import RealServer, real_server
from tests.support.rooms import GONE, Ear
from tests.support.s3 import S3Server, s3_server
from tests.support.watching import Watcher, listener, speaker

READY_S = 5.0
"""A replay is made as people talk: at the end little is left to do. (Here it takes about a second.)"""


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def voices() -> list[speech.Voice]:
    return speech.voices(2)


def objects_of(store: str) -> Objects:
    return Objects.open(store, access_key_id="test", secret_access_key="test")


def settings(store: str, limits: str = "") -> str:
    text = f'[recordings]\nstore = "{store}"\naccess_key_id = "test"\nsecret_access_key_file = "s3-secret"\n'
    return f"{text}[limits.override]\n{limits}\n" if limits else text


@contextmanager
def serving(directory: Path, store: str, limits: str = "") -> Iterator[RealServer]:
    (directory / "s3-secret").write_text("test")
    with real_server(directory, more=settings(store, limits)) as server:
        yield server


class Talk:
    """A Space with two people who talk, one who listens, and one who watches what happens."""

    def __init__(self, server: RealServer, stack: AsyncExitStack, voices: list[speech.Voice]) -> None:
        self.server = server
        self.stack = stack
        self.voices = voices
        self.clients: dict[str, SpacesClient] = {}
        self.space = ""
        self._talking: list[asyncio.Task[None]] = []

    async def begin(self, *, record: bool) -> None:
        for name in ("hana", "sam", "lee"):
            client = await self.stack.enter_async_context(SpacesClient(self.server.url))
            await client.register(name, "correct horse")
            self.clients[name] = client
        made = await self.clients["hana"].spaces.create(title="Recorded", record=record)
        self.space = made.id
        room = self.clients["hana"].space(made.id)
        await room.start()
        await room.set_mic_access(True)
        sam = self.clients["sam"]
        async with listener(await sam.space(made.id).join()):
            await room.invite((await sam.me.get()).account.id)
            await sam.space(made.id).take_mic()
        self.watcher = await self.stack.enter_async_context(Watcher(self.clients["lee"], self.space))
        await self.talk()

    async def talk(self) -> None:
        """Everybody connects and speaks."""
        for name, voice in zip(("hana", "sam"), self.voices, strict=True):
            room = self.clients[name].space(self.space)
            mouth = await self.stack.enter_async_context(speaker(await room.join()))
            await room.unmute()
            self._talking.append(asyncio.create_task(_speak(mouth, voice)))
        self.ear = Ear(
            await self.stack.enter_async_context(listener(await self.clients["lee"].space(self.space).join()))
        )
        self.stack.push_async_callback(self.ear.aclose)
        await self.ear.hears(0, 10)
        await self.ear.hears(1, 10)

    async def hush(self) -> None:
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)
        self._talking.clear()

    async def end(self) -> None:
        await self.clients["hana"].space(self.space).end()
        await self.hush()

    async def ready(self) -> float:
        """Seconds until the replay is announced."""
        begun = time.monotonic()
        await self.watcher.sees("replay_ready")
        return time.monotonic() - begun

    @property
    def id(self) -> int:
        return space_id(self.space)

    async def has_heard(self, seat: int, frames: int) -> None:
        """Until who listens has heard so many frames of the seat."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard(seat)) < frames:
                await asyncio.sleep(0.05)

    def heard(self, seat: int) -> list[Frame]:
        return [frame for frame in self.ear.frames if frame.seat == seat]


async def _speak(mouth: Speaker, voice: speech.Voice) -> None:
    samples = array("h", voice.samples.tobytes())
    with suppress(*GONE):
        while True:
            await mouth.speak_pcm(samples)


@asynccontextmanager
async def a_talk(server: RealServer, voices: list[speech.Voice], *, record: bool) -> AsyncIterator[Talk]:
    async with AsyncExitStack() as stack:
        talk = Talk(server, stack, voices)
        await talk.begin(record=record)
        try:
            yield talk
        finally:
            await talk.hush()


async def kept_frames(server: RealServer, store: str, space: int) -> list[segments.SeatFrame]:
    """What the store has of everybody, read with the key that the database has."""
    with sqlite3.connect(server.directory / "spaces.db") as database:
        [(key,)] = database.execute("SELECT key FROM recordings WHERE space = ?", (space,))
    database.close()
    keys = Keys()
    keys.learn(space, key)
    archive = Archive(spool=Spool(server.directory / "nowhere", segments), objects=objects_of(store), keys=keys)
    return [
        frame for contents in [one async for one in archive.contents(space, 0, 1 << 40)] for frame in contents.frames
    ]


async def names(store: str, space: int) -> list[str]:
    prefix = f"spaces/{space}/"
    return [name.removeprefix(prefix) for name, _ in await objects_of(store).list(f"spaces/{space}")]


async def gone(directory: Path) -> None:
    """The spool of a Space: emptied when all of it is in the store."""
    async with asyncio.timeout(PATIENCE_S):
        while directory.exists():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["directory", "s3"])
@pytest.mark.alone
async def test_speech_becomes_a_replay_within_seconds_of_the_end(
    kind: str, tmp_path: Path, voices: list[speech.Voice], request: pytest.FixtureRequest
) -> None:
    store = str(tmp_path / "kept") if kind == "directory" else request.getfixturevalue("s3").bucket()
    with serving(tmp_path, store) as server:
        async with a_talk(server, voices, record=True) as talk:
            async with asyncio.timeout(PATIENCE_S):
                # Put away while it is live.
                while not [name for name in await names(store, talk.id) if name.startswith("source/")]:
                    await asyncio.sleep(0.2)
            await talk.has_heard(0, 301)
            await talk.end()
            seconds = await talk.ready()
            print(f"replay ready {seconds:.2f} s after the end ({kind})")
            assert seconds < READY_S
            found = await names(store, talk.id)
            assert {"replay/audio.opus", "replay/ready.json", "replay/timeline.json"} <= set(found)
            assert [name for name in found if name.startswith("replay/hls/")]
            await gone(spool_of(tmp_path / "recordings", talk.id))
            replay = tmp_path / "replay.opus"
            replay.write_bytes(await objects_of(store).get(f"spaces/{talk.id}/replay/audio.opus"))
            sound = np.abs(decode(replay).astype(np.int32))
            loud = sound[: len(sound) // 480 * 480].reshape(-1, 480).max(axis=1) > 500
            assert loud.mean() > 0.5, "two people who read aloud are heard in it"
            # Every frame that a listener heard of the host is in the source, byte for byte.
            source = {frame.opus for frame in await kept_frames(server, store, talk.id) if frame.seat == 0}
            heard = talk.heard(0)
            assert len(heard) > 300
            assert all(frame.opus in source for frame in heard)


@pytest.mark.alone
async def test_the_store_is_away_and_nobody_hears_it(tmp_path: Path, voices: list[speech.Voice], s3: S3Server) -> None:
    async with a_proxy(s3.port) as proxy:
        store = s3.bucket(port=proxy.port)
        with serving(tmp_path, store) as server:
            async with a_talk(server, voices, record=True) as talk, httpx.AsyncClient(base_url=server.url) as web:
                await asyncio.sleep(5)
                assert (await web.get("/readyz")).json()["recordings"] == "ok"
                talk.ear.frames.clear()
                await proxy.cut()
                await asyncio.sleep(8)
                await talk.has_heard(0, 400)
                async with asyncio.timeout(PATIENCE_S):
                    while (ready := await web.get("/readyz")).json()["recordings"] != "degraded":
                        await asyncio.sleep(0.2)
                assert ready.status_code == 200
                during = [frame.group for frame in talk.heard(0)]
                figures = (await web.get("/metrics")).text
                assert "spaces_recordings_store_up 0.0" in figures
                await talk.end()
                await talk.watcher.sees("ended")
                await asyncio.sleep(3)
                assert talk.watcher.told("replay_ready") is None
                await proxy.mend()
                seconds = await talk.ready()
                print(f"replay ready {seconds:.2f} s after the store was back")
                found = await names(store, talk.id)
                assert "replay/audio.opus" in found
                await gone(spool_of(tmp_path / "recordings", talk.id))
                groups = [frame.group for frame in await kept_frames(server, store, talk.id) if frame.seat == 0]
                spoken = {group for group in groups if during[0] <= group <= during[-1]}
                assert spoken == set(during), "all of it was heard, and all of it is kept"
                async with asyncio.timeout(PATIENCE_S):
                    while (await web.get("/readyz")).json()["recordings"] != "ok":
                        await asyncio.sleep(0.1)


@pytest.mark.alone
async def test_killed_in_mid_talk_and_again_at_the_end(tmp_path: Path, voices: list[speech.Voice]) -> None:
    store = str(tmp_path / "kept")
    with serving(tmp_path, store) as server:
        async with a_talk(server, voices, record=True) as talk:
            await talk.has_heard(0, 250)
            last = talk.heard(0)[-1].group
            server.kill()
            await talk.hush()
            server.start()
            await talk.talk()
            await talk.has_heard(0, 80)
            again = talk.heard(0)[0].group
            await talk.end()
            server.kill()
            server.start()
            async with Watcher(talk.clients["lee"], talk.space) as watcher:
                ready = await watcher.sees("replay_ready")
            assert ready.data["duration_ms"] >= (again - 10) * 20
            await gone(spool_of(tmp_path / "recordings", talk.id))
            groups = [frame.group for frame in await kept_frames(server, store, talk.id) if frame.seat == 0]
            assert max(group for group in groups if group <= last) > last - 50, "a second at most is lost"
            assert [group for group in groups if group >= again], "and it went on"


@pytest.mark.parametrize("kept", [True, False])
async def test_nothing_of_an_unrecorded_space_lies_about(
    kept: bool, tmp_path: Path, voices: list[speech.Voice]
) -> None:
    store = str(tmp_path / "kept")
    with serving(tmp_path, store, "" if kept else "audit_copy = false") as server:
        async with a_talk(server, voices, record=False) as talk:
            await talk.has_heard(0, 350)
            packets = {frame.opus for frame in talk.ear.frames if len(frame.opus) > 30}
            spool = spool_of(tmp_path / "recordings", talk.id)
            written = b"".join(path.read_bytes() for path in spool.iterdir())
            assert any(packet in written for packet in packets), "the last minutes are there for clips"
            await talk.end()
            await gone(spool)
            assert len(packets) > 300
            everything = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
            assert not [packet for packet in packets for data in everything if packet in data]
            found = await names(store, talk.id)
            assert all(name.startswith("source/") for name in found)
            assert bool(found) is kept
            if kept:
                source = {frame.opus for frame in await kept_frames(server, store, talk.id)}
                assert packets <= source, "a moderator with the key hears all of it"
            else:
                with sqlite3.connect(server.directory / "spaces.db") as database:
                    assert database.execute("SELECT count(*) FROM recordings").fetchone() == (0,)
                database.close()
