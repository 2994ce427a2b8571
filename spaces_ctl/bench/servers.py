"""The servers under test, each with its speakers: a context that starts both and says how they are reached."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from spaces_ctl.bench.errors import BenchFailed, Missing
from spaces_ctl.bench.load import Protocol
from spaces_ctl.bench.machine import our_version
from spaces_ctl.bench.processes import child, line

__all__ = ["SERVERS", "Scene", "Target", "Tools"]

SERVER_CORE, LOAD_CORE = 0, 1
BITRATE = 32_000
_PATIENCE_S = 30.0
_PASSWORD = "bench"


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs are."""

    programs: Path
    """`load`, `speakers`, `sink`, `limit`, `plain-quinn`, as `make bench-build` makes them."""
    peers: Path
    """`bin/moq-relay`, as `make bench-peers` installs it."""
    engine: Path | None = None
    """Directory with the build of `spaces_ctl` that is measured; None: the one that is running."""

    def program(self, name: str) -> Path:
        """One of ours. Raises Missing."""
        path = self.programs / name
        if not path.is_file():
            raise Missing(f"{path} is not there: run `make bench-build` in a checkout, or say --programs DIR")
        return path

    def peer(self, *names: str) -> Path:
        """One of the others, by any of its names. Raises Missing."""
        for name in names:
            own = self.peers / "bin" / name
            found = own if own.is_file() else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
            if found:
                return Path(found)
        raise Missing(f"{names[0]} is not installed: run `make bench-peers`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a server is to serve."""

    speakers: int = 1
    spaces: int = 1
    shards: int = 1
    mix: bool = False
    """Whether the mix is made."""
    cores: Sequence[int] = (SERVER_CORE,)
    load_cores: Sequence[int] = (LOAD_CORE,)
    host: str = "127.0.0.1"
    realtime: bool = False
    """Speakers stamp by a clock that other hosts share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running server in which somebody speaks."""

    server: str
    version: str
    pid: int
    protocol: Protocol
    address: str
    spaces: list[str]
    path: str = "/spaces/{space}"
    speaking: asyncio.subprocess.Process
    """Whoever speaks; a figure is worth nothing if they stopped."""


def _free_port(host: str) -> int:
    with socket.socket() as taken:
        taken.bind((host, 0))
        return int(taken.getsockname()[1])


async def _accepting(host: str, port: int) -> None:
    """Waits until something listens on TCP. Raises BenchFailed."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                await writer.wait_closed()
                return
    except TimeoutError:
        raise BenchFailed(f"nothing listens on {host}:{port}") from None


def _version(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found.group() if found else "unknown"


async def _speaking(stack: AsyncExitStack, tools: Tools, scene: Scene, *words: str) -> asyncio.subprocess.Process:
    env = {"SPACES_BENCH_CLOCK": "realtime"} if scene.realtime else None
    speakers = await stack.enter_async_context(child(scene.load_cores, tools.program("speakers"), *words, env=env))
    if await line(speakers, _PATIENCE_S) != "speaking":
        raise BenchFailed("the speakers do not speak")
    return speakers


@asynccontextmanager
async def _our_server(tools: Tools, scene: Scene, cores: Sequence[int]) -> AsyncIterator[Target]:
    """Our server, somebody speaking in each Space."""
    options = {
        "host": scene.host,
        "cores": list(cores)[: scene.shards],
        "shards": scene.shards,
        "spaces": scene.spaces,
        "speakers": scene.speakers,
        "mix": scene.mix,
        "mix_frame_ms": 60,
        "mix_bitrate": BITRATE,
    }
    env = {"PYTHONPATH": str(tools.engine)} if tools.engine else None
    program = Path(__file__).with_name("server.py")
    async with AsyncExitStack() as stack:
        command = (sys.executable, "-P", str(program), json.dumps(options))
        process = await stack.enter_async_context(child(cores, *command, env=env))
        at = json.loads(await line(process, _PATIENCE_S))
        pairs = [word for space in at["spaces"] for token in space["tokens"] for word in (space["url"], token)]
        speaking = await _speaking(stack, tools, scene, "spaces", at["certificate"], *pairs)
        yield Target(
            server="spaces",
            version=our_version(),
            pid=process.pid,
            protocol="moqt",
            address=at["address"],
            spaces=[space["name"] for space in at["spaces"]],
            speaking=speaking,
        )


@asynccontextmanager
async def spaces(tools: Tools, scene: Scene) -> AsyncIterator[Target]:
    """Our engine, as users run it: inside a Python process."""
    async with _our_server(tools, scene, scene.cores) as target:
        yield target


@asynccontextmanager
async def plain_quinn(tools: Tools, scene: Scene) -> AsyncIterator[Target]:
    """The server that one would write in an afternoon: `bench/load/src/bin/plain-quinn.rs`."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(child(scene.cores, tools.program("plain-quinn"), f"{scene.host}:0"))
        version, address = (await line(server, _PATIENCE_S)).split()
        speaking = await _speaking(stack, tools, scene, "plain", address, str(scene.speakers))
        yield Target(
            server="plain quinn",
            version=version,
            pid=server.pid,
            protocol="plain",
            address=address,
            spaces=["all"],
            speaking=speaking,
        )


@asynccontextmanager
async def moq_relay(tools: Tools, scene: Scene) -> AsyncIterator[Target]:
    """moq-relay, which has the stage from our server (on the load's core) as its one upstream."""
    relay = tools.peer("moq-relay")
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(_our_server(tools, scene, scene.load_cores))
        port = _free_port(scene.host)
        server = await stack.enter_async_context(
            child(
                scene.cores,
                relay,
                f"--listen={scene.host}:{port}",
                "--listen-tls-generate=localhost",
                "--auth-public=**",
                f"--cluster-connect=moqt://{origin.address}/spaces/{origin.spaces[0]}",
                "--connect-tls-insecure",
                env={"RUST_LOG": "error"},
            )
        )
        await asyncio.sleep(1.0)
        if server.returncode is not None:
            raise BenchFailed(f"moq-relay ended with code {server.returncode}")
        yield Target(
            server="moq-relay",
            version=_version(relay, "--version"),
            pid=server.pid,
            protocol="moqt",
            address=f"{scene.host}:{port}",
            spaces=origin.spaces[:1],
            path="/",
            speaking=origin.speaking,
        )


@contextmanager
def _home() -> Iterator[str]:
    """A directory that servers which give up being root can write to."""
    with tempfile.TemporaryDirectory(prefix="spaces-bench-") as home:
        if os.geteuid() == 0:
            Path(home).chmod(0o777)
        yield home


_ICECAST = """<icecast>
  <limits>
    <clients>50000</clients><sources>2</sources><queue-size>524288</queue-size>
    <client-timeout>30</client-timeout><header-timeout>15</header-timeout><source-timeout>30</source-timeout>
    <burst-on-connect>0</burst-on-connect><burst-size>0</burst-size>
  </limits>
  <authentication><source-password>{password}</source-password><admin-password>{password}</admin-password>
  </authentication>
  <hostname>localhost</hostname>
  <listen-socket><port>{port}</port><bind-address>{host}</bind-address></listen-socket>
  <paths><basedir>{home}</basedir><logdir>{home}</logdir><webroot>{home}</webroot><adminroot>{home}</adminroot></paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>1</loglevel></logging>
  <security><chroot>0</chroot>{owner}</security>
</icecast>
"""
_OWNER = "<changeowner><user>nobody</user><group>nogroup</group></changeowner>"


@asynccontextmanager
async def icecast(tools: Tools, scene: Scene) -> AsyncIterator[Target]:
    """Icecast with one Ogg Opus stream, a page a frame; it has no notion of several speakers."""
    if scene.speakers != 1:
        raise BenchFailed("Icecast has one stream: one speaker")
    program = tools.peer("icecast2", "icecast")
    with _home() as home:
        port = _free_port(scene.host)
        # It refuses to run as root.
        root = os.geteuid() == 0
        config = Path(home) / "icecast.xml"
        config.write_text(
            _ICECAST.format(password=_PASSWORD, port=port, host=scene.host, home=home, owner=_OWNER if root else "")
        )
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(child(scene.cores, program, "-c", config, quiet=True))
            await _accepting(scene.host, port)
            address = f"{scene.host}:{port}"
            speaking = await _speaking(stack, tools, scene, "icecast", address, _PASSWORD)
            yield Target(
                server="icecast",
                version=_version(program, "-v"),
                pid=server.pid,
                protocol="icecast",
                address=address,
                spaces=["all"],
                speaking=speaking,
            )


_MURMUR = """database={home}/murmur.sqlite
logfile={home}/murmur.log
pidfile={home}/murmur.pid
welcometext=
host={host}
port={port}
users=50000
usersperchannel=0
bandwidth=558000
timeout=60
autobanAttempts=0
bonjour=false
allowping=true
certrequired=false
"""


@asynccontextmanager
async def mumble(tools: Tools, scene: Scene) -> AsyncIterator[Target]:
    """mumble-server, everybody in its root channel."""
    program = tools.peer("mumble-server", "murmurd")
    with _home() as home:
        port = _free_port(scene.host)
        config = Path(home) / "murmur.ini"
        config.write_text(_MURMUR.format(home=home, host=scene.host, port=port))
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(child(scene.cores, program, "-fg", "-ini", config, quiet=True))
            await _accepting(scene.host, port)
            address = f"{scene.host}:{port}"
            speaking = await _speaking(stack, tools, scene, "mumble", address, str(scene.speakers))
            yield Target(
                server="mumble-server",
                version=_version(program, "-version"),
                pid=server.pid,
                protocol="mumble",
                address=address,
                spaces=["all"],
                speaking=speaking,
            )


SERVERS: dict[str, Callable[[Tools, Scene], AbstractAsyncContextManager[Target]]] = {
    "spaces": spaces,
    "plain-quinn": plain_quinn,
    "moq-relay": moq_relay,
    "icecast": icecast,
    "mumble-server": mumble,
}
"""By the name on the command line."""
