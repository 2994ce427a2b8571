"""A server as `spaces serve` runs it, with an application of four lines instead of services.

    python -m tests.support.small_server SETTINGS.json

/die kills the control loop, /slow answers after a while, /life tells how often the loop was started,
/react?KIND what becomes of a reaction.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from spaces_ctl.engine import Refused, UpsertSpace
from spaces_ctl.serve.errors import CannotStart
from spaces_ctl.serve.logs import configure
from spaces_ctl.serve.run import Running, serve
from spaces_ctl.settings import Settings, load

SLOW_S = 0.5
ACCOUNT = 9


async def lifespan(receive: Any, send: Any) -> None:
    """Of an application that has nothing to begin and nothing to end (ASGI's lifespan)."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


class Small:
    def __init__(self, running: Running) -> None:
        self._running = running
        self._died = asyncio.get_running_loop().create_future()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        text = ""
        match scope["path"]:
            case "/die":
                self._died.set_exception(RuntimeError("asked to"))
            case "/slow":
                await asyncio.sleep(SLOW_S)
            case "/never":
                await asyncio.sleep(3600)
            case "/life":
                known = await self._running.engine.counts(5) is not None
                text = f"{self._running.watchdog.restarts} {self._running.engine.port} {known}"
            case "/react":
                text = await self._react(int(scope["query_string"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text.encode()})

    async def _react(self, kind: int) -> str:
        engine = self._running.engine
        await engine.inject(5, named=1, first_account=ACCOUNT)
        while ACCOUNT not in await engine.present(5, [ACCOUNT]):
            await asyncio.sleep(0.005)
        try:
            await engine.react(5, ACCOUNT, kind)
        except Refused as refused:
            return refused.code
        return "counted"

    async def failed(self) -> None:
        await self._died

    def draining(self) -> None:
        print("draining", flush=True)


@asynccontextmanager
async def compose(settings: Settings, running: Running) -> AsyncIterator[Small]:
    if not running.attached:
        await running.engine.apply(UpsertSpace(space=5, version=1))
    yield Small(running)
    print("closed", flush=True)


def main() -> None:
    settings = load(Path(sys.argv[1]), {}).settings
    configure(settings.logging, node="small")
    try:
        serve(settings, compose, announce=lambda place: print(place.public_url, flush=True))
    except CannotStart as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(3)


if __name__ == "__main__":
    main()
