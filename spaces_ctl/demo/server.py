"""The server process of the demo: the engine with one Space, and the page."""

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from spaces_ctl.demo.child import Boss, Message
from spaces_ctl.demo.web import Seats, application
from spaces_ctl.engine import (
    Counts,
    EndSpace,
    Engine,
    EngineConfig,
    Joined,
    Left,
    SetState,
    StageRow,
    TokenSigner,
    UpsertSpace,
    space_name,
)

DEFAULT_PORT = 8420
STAGE_SEATS = 13
_REPORT_S = 0.5
_COLOURS = ("#0891b2", "#c026d3", "#16a34a", "#ca8a04", "#2563eb", "#dc2626")


@dataclass(slots=True)
class Room:
    """The Space of the demo as its `state` track tells it."""

    title: str
    names: Sequence[str]
    seats: Seats
    counts: dict[str, int] = field(default_factory=dict)

    def account(self, seat: int) -> int:
        """The account that holds a seat."""
        return seat + 1

    def stage(self) -> list[StageRow]:
        """The stage table: the speakers of the demo, then a seat for every visitor who may want one."""
        return [
            StageRow(seat=seat, account=self.account(seat), role="host" if seat == 0 else "speaker")
            for seat in range(STAGE_SEATS)
        ]

    def state(self) -> bytes:
        """What the `state` track carries (JSON): people on stage, title, recording, counts."""
        people = [(seat, name) for seat, name in enumerate(self.names)]
        people += [(seat, f"Visitor {seat - len(self.names) + 1}") for seat in self.seats.taken]
        return json.dumps(
            {
                "title": self.title,
                "live": True,
                "recording": True,
                "counts": self.counts,
                "stage": [
                    {
                        "seat": seat,
                        "name": name,
                        "role": "host" if seat == 0 else "speaker",
                        "muted": False,
                        "colour": _COLOURS[seat % len(_COLOURS)],
                    }
                    for seat, name in people
                ],
            }
        ).encode()


async def run(boss: Boss, first: Message) -> None:
    """Serves until told to end; then the recordings are whole, and where they lie is reported."""
    recordings = Path(first["recordings"])
    recordings.mkdir(parents=True, exist_ok=True)
    visitors = Seats(list(range(len(first["names"]), STAGE_SEATS)))
    room = Room(first["title"], first["names"], visitors)
    signer = TokenSigner.generate()
    space = (int(time.time() * 1000) << 16) | secrets.randbits(16)
    with _page_socket(first["port"]) as http:
        port = http.getsockname()[1]
        config = EngineConfig(bind=("127.0.0.1", _udp_port(port)), signers=[signer], recordings=recordings)
        async with Engine(config) as engine:
            await engine.apply(UpsertSpace(space=space, version=1, record=True, stage=room.stage()))
            url = f"https://127.0.0.1:{engine.port}/spaces/{space_name(space)}"
            join = {
                "url": url,
                "certificate_sha256_hex": engine.certificate_sha256.hex(),
                "token": None,
                "space": space_name(space),
                "title": room.title,
            }

            def token(seat: int) -> str:
                return signer.mint(account=room.account(seat), sid=secrets.randbits(63), lifetime_s=86_400)

            def visitor_seat() -> dict[str, Any] | None:
                seat = visitors.reserve()
                return None if seat is None else {"seat": seat, "token": token(seat)}

            page = _Page(uvicorn.Config(application(lambda: join, visitor_seat), log_level="warning", lifespan="off"))
            async with _background(page.serve(sockets=[http])), _background(_state(engine, room, space)):
                boss.tell(
                    "ready",
                    url=url,
                    certificate=join["certificate_sha256_hex"],
                    space=join["space"],
                    page=f"http://127.0.0.1:{port}/",
                    tokens=[token(seat) for seat in range(len(room.names))],
                )
                async with _background(_watch(engine, room)), _background(_report(engine, boss, visitors)):
                    await boss.next("end")
                page.should_exit = True
                uplink = dict((await engine.stats()).verdicts)
                tracks = [file.path for file in await engine.recordings(space) if file.kind == "track"]
                await engine.apply(EndSpace(space=space, version=2))
    # The engine has stopped: the files are finished.
    boss.tell("ended", recordings=sorted(str(path) for path in tracks), cpu=time.process_time(), uplink=uplink)


class _Page(uvicorn.Server):
    """uvicorn without signal handlers: the demo's parent decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _background(job: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs a job beside the body. If the job fails, the body is cancelled and the failure raised."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(job)
        yield
        task.cancel()


async def _watch(engine: Engine, room: Room) -> None:
    """Keeps the roster and the counts from the engine's events."""
    async for batch in engine.events():
        for event in batch:
            match event:
                case Joined(account=account):
                    room.seats.joined(account - 1)
                case Left(account=account):
                    room.seats.left(account - 1)
                case Counts(named=named, anonymous=anonymous, guests=guests):
                    room.counts = {"named": named, "anonymous": anonymous, "guests": guests}


async def _state(engine: Engine, room: Room, space: int) -> None:
    """Publishes the `state` track, once a second while it changes."""
    version, published = 0, b""
    while True:
        if (snapshot := room.state()) != published:
            version, published = version + 1, snapshot
            await engine.apply(SetState(space=space, version=version, snapshot=snapshot))
        await asyncio.sleep(1.0)


async def _report(engine: Engine, boss: Boss, seats: Seats) -> None:
    while True:
        stats = await engine.stats()
        boss.tell(
            "stats",
            packets=stats.datagrams_sent + stats.stream_objects_sent,
            cpu=time.process_time(),
            visitors=len(seats.taken),
        )
        await asyncio.sleep(_REPORT_S)


def _page_socket(port: int | None) -> socket.socket:
    """The page's socket: on the port asked for, or else on the usual one, or else on any."""
    for candidate in (port,) if port else (DEFAULT_PORT, 0):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", candidate or 0))
        except OSError as error:
            listening.close()
            if candidate:
                refused = error
            continue
        listening.listen()
        return listening
    raise OSError(f"port {port} is taken ({refused.strerror}); choose another with --port") from refused


def _udp_port(wanted: int) -> int:
    """The page's port for UDP too, if nobody has it; else any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
