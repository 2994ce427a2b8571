"""The process is killed, or its control loop dies, in the middle of a talk: docs/recovery.md, rows 2 and 3."""

import asyncio
import itertools
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

import msgspec
import pytest

from spaces_ctl import commands as c
from spaces_ctl.engine import Engine, EngineConfig, Listener, Refused, Speaker, TokenSigner, space_name
from spaces_ctl.model import Actor, SpaceId, StageRole
from spaces_ctl.policy.state import Space
from spaces_ctl.service.fake_graph import FakeGraph
from spaces_ctl.service.recovery import attach_or_make, supervise
from spaces_ctl.service.services import Services, open_services
from spaces_ctl.service.upkeep import Watchdog
from tests.support.child_service import signer
from tests.support.databases import sqlite_with_tables
from tests.support.listening import Spoilt, again_if_spoilt
from tests.support.patience import PATIENCE_S
from tests.support.rooms import GONE, Ear, speech, talk
from tests.support.worlds import ANN, BEN, CID, HOST

pytestmark = pytest.mark.alone

T = TypeVar("T")
DEAD_S = 0.3
"""How long nobody follows the engine."""


class Child:
    """The service in a process that can be killed and started again, on the same port and directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.pin = b""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> float:
        """Returns after how many seconds it was ready."""
        began = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.child_service", str(self.directory), str(self.port),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        word, port, pin = (await self._line()).split()
        assert word == "ready"
        self.port, self.pin = int(port), bytes.fromhex(pin)
        return time.monotonic() - began

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def ask(self, account: int, space: SpaceId, command: c.SpaceCommand | str) -> Space:
        assert self._process is not None
        assert self._process.stdin is not None
        text = command if isinstance(command, str) else msgspec.json.encode(command).decode()
        self._process.stdin.write(f"{account} {space} {text}\n".encode())
        line = await self._line()
        assert not line.startswith("refused"), line
        return msgspec.json.decode(line, type=Space)

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self._process.stdout.readline()).decode().strip()


async def again(connect: Callable[[], Awaitable[T]]) -> T:
    """As a client does: tries until the server is back; a Space that is not known yet is one of the reasons to wait."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await connect()
            except Refused as refused:
                if refused.code != "space.not_found":
                    raise
            except GONE:
                pass
            await asyncio.sleep(0.02)


async def test_kill_9_in_mid_talk_and_everybody_is_what_they_were(tmp_path: Path) -> None:
    packets, tokens = await speech(), signer()
    child = Child(tmp_path)
    await child.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(child.kill)
        space = (await child.ask(0, 0, "create")).id
        url = f"https://127.0.0.1:{child.port}/spaces/{space_name(space)}"
        token = {account: tokens.mint(account=account, sid=account) for account in (HOST, ANN, BEN, CID)}

        async def listener(account: int | None) -> Listener:
            key = None if account is None else token[account]
            return await stack.enter_async_context(Listener(url, token=key, certificate_sha256=child.pin))

        async def speaker() -> Speaker:
            return await stack.enter_async_context(
                Speaker(url, token=token[HOST], seat=0, certificate_sha256=child.pin)
            )

        for account in (ANN, BEN, CID):
            await listener(account)
        first = asyncio.create_task(talk(await speaker(), packets))
        ear = Ear(await listener(None))
        await child.ask(HOST, space, c.AddCohost(account=ANN))
        await child.ask(ANN, space, c.AcceptCohost())
        await child.ask(HOST, space, c.Invite(account=BEN))
        await child.ask(BEN, space, c.TakeMic())
        await child.ask(BEN, space, c.Unmute())
        await child.ask(HOST, space, c.Unmute())
        await ear.hears(0, 10)
        await child.ask(HOST, space, c.Remove(account=CID))
        before = await child.ask(HOST, space, c.Mute(account=BEN))
        await child.kill()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        heard = max(frame.group for frame in ear.frames)
        await ear.aclose()

        ready_s = await child.start()
        assert ready_s < 15
        second = asyncio.create_task(talk(await again(speaker), packets))
        new_ear = Ear(await again(lambda: listener(None)))
        await again(lambda: listener(ANN))
        await again(lambda: listener(BEN))
        with pytest.raises(Refused) as refused:
            await again(lambda: listener(CID))
        assert refused.value.code == "participant.removed"
        await new_ear.hears(0, 10)
        assert min(frame.group for frame in new_ear.frames) > heard, "the Space's time goes on"
        after = await child.ask(HOST, space, "show")
        assert [(seat.account, seat.role, seat.muted) for seat in after.stage] == [
            (HOST, StageRole.HOST, False),
            (ANN, StageRole.COHOST, True),
            (BEN, StageRole.SPEAKER, True),
        ]
        assert (after.stage, after.admin, after.away_until) == (before.stage, HOST, {})
        # What was asked for before the kill is in force, and goes on being decided.
        ended = await child.ask(ANN, space, c.Revoke(account=BEN))
        assert ended.seat_of(BEN) is None
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await new_ear.aclose()


class Lives:
    """A supervised control loop in a thread of its own, with a handle to give it work and to kill it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.signer = TokenSigner.generate()
        self.graph = FakeGraph()
        self.watchdog = Watchdog()
        self.ready = threading.Event()
        self.lives: list[tuple[asyncio.AbstractEventLoop, Services, asyncio.Event]] = []
        self.deaths: list[bool] = []
        # A daemon, so that a failure does not keep the test run from ending.
        self.thread = threading.Thread(target=self._supervise, daemon=True)

    def _supervise(self) -> None:
        supervise(self._live, self.watchdog, pause_s=DEAD_S)

    async def _live(self) -> None:
        engine, attached = attach_or_make(EngineConfig(signers=[self.signer]), self.name)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(engine)
            services = await stack.enter_async_context(
                open_services(
                    database_url=f"sqlite:///{self.directory / 'spaces.db'}",
                    engine=engine,
                    attached=attached,
                    signer=self.signer,
                    media_urls=[],
                    certificate_sha256=lambda: None,
                    directory=self.directory,
                    public_url="https://spaces.test",
                    graph=lambda db: self.graph,
                    watchdog=self.watchdog,
                )
            )
            over = asyncio.Event()
            self.lives.append((asyncio.get_running_loop(), services, over))
            self.ready.set()
            await over.wait()
            if self.deaths.pop():
                raise RuntimeError("the loop dies")
            await services.stop()
            await engine.aclose()

    async def call(self, work: Callable[[Services], Awaitable[T]]) -> T:
        """Runs `work` in the loop that lives now."""
        loop, services, _ = self.lives[-1]

        async def run() -> T:
            return await work(services)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), loop))

    async def do(self, account: int, space: SpaceId, command: c.SpaceCommand) -> Space:
        return (await self.call(lambda services: services.spaces.execute(Actor(account=account), space, command))).space

    def end(self, *, die: bool) -> None:
        self.ready.clear()
        self.deaths.append(die)
        loop, _, over = self.lives[-1]
        loop.call_soon_threadsafe(over.set)

    async def alive(self) -> None:
        assert await asyncio.to_thread(self.ready.wait, 20)


@again_if_spoilt
async def test_the_control_loop_dies_and_the_talk_goes_on(tmp_path: Path) -> None:
    tmp_path = Path(mkdtemp(dir=tmp_path))
    await sqlite_with_tables(tmp_path / "spaces.db")
    packets, lives = await speech(), Lives(tmp_path, f"dies-in-mid-talk-{tmp_path.name}")
    lives.thread.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, lives.thread.join, 20)
        await lives.alive()
        stack.callback(lambda: lives.end(die=False))

        async def create(services: Services) -> SpaceId:
            host = Actor(account=HOST)
            space = (await services.spaces.create(host, c.Create())).space.id
            await services.spaces.execute(host, space, c.Start())
            await services.spaces.execute(host, space, c.SetMicAccess(open=True))
            return space

        space = await lives.call(create)
        engine = Engine.attach(lives.name)
        url = f"https://127.0.0.1:{engine.port}/spaces/{space_name(space)}"

        def listener(account: int | None) -> Listener:
            token = None if account is None else lives.signer.mint(account=account, sid=account)
            return Listener(url, token=token, certificate_sha256=engine.certificate_sha256)

        async with listener(BEN) as leaver:
            await lives.do(HOST, space, c.Invite(account=BEN))
            await lives.do(BEN, space, c.TakeMic())
            token = lives.signer.mint(account=HOST, sid=HOST)
            speaker = await stack.enter_async_context(
                Speaker(url, token=token, seat=0, certificate_sha256=engine.certificate_sha256)
            )
            await lives.do(HOST, space, c.Unmute())
            talking = asyncio.create_task(talk(speaker, packets))
            ear = Ear(await stack.enter_async_context(listener(None)))
            await ear.hears(0, 10)
            lives.end(die=True)
            await ear.hears(0, 5)
            await leaver.aclose()  # while nobody follows the engine
        await lives.alive()
        assert lives.watchdog.restarts == 1
        await ear.hears(0, 10)
        groups = [frame.group for frame in ear.frames]
        gaps = [later - earlier for earlier, later in itertools.pairwise(groups)]
        assert min(gaps) >= 1, "none comes twice"
        # The loop was dead for DEAD_S, which is 15 groups; a frame may be late on a busy machine.
        if max(gaps) > DEAD_S / 0.02 / 3:
            raise Spoilt(f"nobody spoke for {max(gaps)} groups")
        async with asyncio.timeout(PATIENCE_S):
            while BEN not in (await lives.call(lambda services: services.spaces.get(space))).away_until:
                await asyncio.sleep(0.02)
        state = await lives.do(HOST, space, c.Mute(account=HOST))
        assert state.admin == HOST
        await ear.is_silent(0)
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking
        await ear.aclose()
