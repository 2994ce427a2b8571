"""A running engine of ours with one Space, in a thread, for the peers to talk to."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from spaces_ctl.engine import Engine, EngineConfig, SetState, StageRow, Stats, TokenSigner, UpsertSpace, space_name
from tests.support.patience import PATIENCE_S

SEATS = 13
STATE = b'{"title":"Peers","live":true,"stage":[{"seat":0,"name":"Ada Lovelace","role":"host","muted":false}]}'


@dataclass(frozen=True, slots=True)
class Room:
    """Where the peers connect to."""

    host: str
    port: int
    space: str
    certificate: bytes
    tokens: list[str]
    """A join token a seat."""
    stats: Callable[[], Stats]
    """The server's counters, from any thread."""

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}/spaces/{self.space}"


@contextmanager
def running() -> Iterator[Room]:
    """Serves until the block ends."""
    ready: Future[Room] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(_serve(ready, stop),))
    thread.start()
    try:
        yield ready.result(PATIENCE_S)
    finally:
        stop.set()
        thread.join(PATIENCE_S)


async def _serve(ready: Future[Room], stop: threading.Event) -> None:
    try:
        await _serve_until(ready, stop)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def _serve_until(ready: Future[Room], stop: threading.Event) -> None:
    loop = asyncio.get_running_loop()
    signer = TokenSigner.generate()
    space = secrets.randbits(60)
    stage = [StageRow(seat=seat, account=seat + 1, role="host" if seat == 0 else "speaker") for seat in range(SEATS)]

    def token(seat: int) -> str:
        return signer.mint(account=seat + 1, sid=secrets.randbits(62))

    async with Engine(EngineConfig(bind=("127.0.0.1", 0), signers=[signer])) as engine:
        await engine.apply(UpsertSpace(space=space, version=1, stage=stage))
        await engine.apply(SetState(space=space, version=1, snapshot=STATE))
        name = space_name(space)
        ready.set_result(
            Room(
                host="127.0.0.1",
                port=engine.port,
                space=name,
                certificate=engine.certificate_sha256,
                tokens=[token(seat) for seat in range(SEATS)],
                stats=lambda: asyncio.run_coroutine_threadsafe(engine.stats(), loop).result(PATIENCE_S),
            )
        )
        while not stop.is_set():
            await asyncio.sleep(0.05)
