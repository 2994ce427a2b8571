"""A running server of ours with one Space and the page, in a thread, for the peers to talk to."""

import asyncio
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from spaces_ctl.engine import Engine, EngineConfig, SetState, StageRow, TokenSigner, UpsertSpace, space_name

from spaces_ctl.demo.web import application

SEATS = 13
STATE = b'{"title":"Peers","live":true,"stage":[{"seat":0,"name":"Ada Lovelace","role":"host","muted":false}]}'
VISITOR = 12
"""The seat that the page gets when somebody wants to speak."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where the peers connect to."""

    host: str
    port: int
    space: str
    certificate: bytes
    tokens: list[str]
    """A join token a seat."""
    page: str

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}/spaces/{self.space}"


@contextmanager
def running() -> Iterator[Room]:
    """Serves until the block ends."""
    loop = asyncio.new_event_loop()
    ready: asyncio.Future[Room] = loop.create_future()
    started, stop = threading.Event(), asyncio.Event()
    failure: list[BaseException] = []

    async def main() -> None:
        try:
            await _serve(ready, started, stop)
        except BaseException as error:  # told in the test's thread
            failure.append(error)
            started.set()
            raise

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(30), "the server does not start"
    if failure:
        raise failure[0]
    try:
        yield ready.result()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(15)


async def _serve(ready: asyncio.Future[Room], started: threading.Event, stop: asyncio.Event) -> None:
    signer = TokenSigner.generate()
    space = secrets.randbits(60)
    stage = [StageRow(seat=seat, account=seat + 1, role="host" if seat == 0 else "speaker") for seat in range(SEATS)]

    def token(seat: int) -> str:
        return signer.mint(account=seat + 1, sid=secrets.randbits(62))

    async with Engine(EngineConfig(bind=("127.0.0.1", 0), signers=[signer])) as engine:
        await engine.apply(UpsertSpace(space=space, version=1, stage=stage))
        await engine.apply(SetState(space=space, version=1, snapshot=STATE))
        name = space_name(space)
        join: dict[str, Any] = {
            "url": f"https://127.0.0.1:{engine.port}/spaces/{name}",
            "certificate_sha256_hex": engine.certificate_sha256.hex(),
            "token": None,
            "space": name,
            "title": "Peers",
        }
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            web = application(lambda: join, lambda: {"seat": VISITOR, "token": token(VISITOR)})
            server = uvicorn.Server(uvicorn.Config(web, log_level="warning", lifespan="off"))
            serving = asyncio.create_task(server._serve([listening]))  # without its signal handlers
            ready.set_result(
                Room(
                    host="127.0.0.1",
                    port=engine.port,
                    space=name,
                    certificate=engine.certificate_sha256,
                    tokens=[token(seat) for seat in range(SEATS)],
                    page=f"http://127.0.0.1:{listening.getsockname()[1]}/",
                )
            )
            started.set()
            await stop.wait()
            server.should_exit = True
            await serving
