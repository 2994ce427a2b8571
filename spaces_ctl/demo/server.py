"""The server process of the demo: a development server as `spaces serve --dev` starts it, with a Space in it.

What only the demo has: the speakers' accounts, and links to the files that the recorder writes of each person, so that
they stay when the server has made the replay of its log and clears it away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from spaces_ctl.client import SpacesClient
from spaces_ctl.client.space import Space
from spaces_ctl.demo.child import Boss, Message, one_line
from spaces_ctl.model import Speak
from spaces_ctl.serve.composition import compose, database_refusals
from spaces_ctl.serve.dev import development, seed
from spaces_ctl.serve.errors import PortTaken
from spaces_ctl.serve.run import Composed, Place, Running, serve
from spaces_ctl.service.services import Services
from spaces_ctl.service.sessions import SessionKind
from spaces_ctl.settings import Settings
from spaces_ctl.store.migrate import upgrade

DEFAULT_PORT = 8420
_REPORT_S = 0.5


def main() -> int:
    """Serves until told to end; then the recordings are whole, and where they lie is reported."""
    first = Boss.first()
    if first is None:
        return 0
    show = _Show(first)
    try:
        show.serve()
    except PortTaken as error:
        Boss.tell("error", message=f"port {first['port']} is taken ({error}); choose another with --port")
        return 1
    except Exception as error:
        if not show.failed:
            Boss.tell("error", message=one_line(error))
        return 1
    if show.failed:
        return 1
    with contextlib.suppress(BrokenPipeError):
        Boss.tell(
            "ended",
            recordings=sorted(map(str, show.links)),
            cpu=time.process_time() - show.cpu_before,
            uplink=show.uplink,
        )
    return 0


class _Show:
    """One run: the server, and what happens on it."""

    def __init__(self, first: Message) -> None:
        self._title = str(first["title"])
        self._names: list[str] = list(first["names"])
        self._recordings = Path(first["recordings"])
        self._state = self._recordings / "server"
        self._port: int | None = first["port"]
        self._running: Running | None = None
        self._services: Services | None = None
        self._tokens: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.links: set[Path] = set()
        """Files of what each person said."""
        self.uplink: dict[str, int] = {}
        self.cpu_before = 0.0
        """Seconds of processor time that the start took."""
        self.failed = False
        """The parent was told why."""

    def serve(self) -> None:
        """Returns when the server has stopped. Raises CannotStart."""
        self._state.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(filename=self._state / "server.log", level=logging.INFO)
        replace = msgspec.structs.replace
        settings = development(Settings(), self._state)
        port = self._port or (DEFAULT_PORT if _free(DEFAULT_PORT) else 0)
        settings = replace(
            settings,
            http=replace(settings.http, port=port),
            media=replace(settings.media, port=port if port and _free(port, socket.SOCK_DGRAM) else 0),
            # They would take the processor from what is measured.
            captions=replace(settings.captions, enabled=False),
        )
        serve(settings, self._compose, announce=self._begin, tracks=True)

    @asynccontextmanager
    async def _compose(self, settings: Settings, running: Running) -> AsyncIterator[Composed]:
        with database_refusals():
            await upgrade(settings.database.full_url)
        async with compose(settings, running) as composed:
            self._running, self._services = running, composed.services
            await seed(composed.services, self._state)
            yield composed

    def _begin(self, place: Place) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(place))

    async def _run(self, place: Place) -> None:
        """The Space from its start to its end; then the server is told to stop."""
        try:
            await self._play(place)
        except asyncio.CancelledError:
            pass  # the parent has hung up
        except Exception as error:
            self.failed = True
            with contextlib.suppress(BrokenPipeError):
                Boss.tell("error", message=one_line(error))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    async def _play(self, place: Place) -> None:
        assert self._running is not None
        engine = self._running.engine
        boss = await Boss.open()
        tokens = [await self._account(n, name) for n, name in enumerate(self._names)]
        async with SpacesClient(place.public_url, token=tokens[0]) as host:
            made = await host.spaces.create(title=self._title, record=True)
            space = host.space(made.id)
            await space.start()
            await space.set_mic_access(True)
            await space.set_speak(Speak.EVERYONE)
            self.cpu_before = time.process_time()
            boss.tell(
                "ready",
                api=place.public_url,
                url=f"{place.media_urls[0]}/spaces/{made.id}",
                certificate=place.certificate_sha256,
                space=made.id,
                page=f"{place.public_url}/s/{made.id}",
                tokens=tokens,
            )
            reporting = asyncio.create_task(self._report(boss, space))
            ended = asyncio.create_task(boss.next("end"))
            try:
                await asyncio.wait({reporting, ended}, return_when=asyncio.FIRST_COMPLETED)
                if reporting.done():
                    reporting.result()
                await ended
            finally:
                reporting.cancel()
                ended.cancel()
            await self._link(space)
            self.uplink = dict((await engine.stats()).verdicts)
            await space.end()

    async def _account(self, number: int, name: str) -> str:
        """An account for a voice, and a token for everything that it may do."""
        assert self._services is not None
        handle = f"{re.sub('[^a-z]', '', name.lower())[:10] or 'voice'}_{number + 1}"
        account = await self._services.accounts.create(handle=handle, name=name)
        login = await self._services.sessions.open(account.id, device="spaces demo", kind=SessionKind.BEARER)
        return login.secret

    async def _report(self, boss: Boss, space: Space) -> None:
        assert self._running is not None
        assert self._services is not None
        while True:
            await self._link(space)
            stats = await self._running.engine.stats()
            named = self._services.spaces.counters.audience(_number(space)).named
            boss.tell(
                "stats",
                packets=stats.datagrams_sent + stats.stream_objects_sent,
                cpu=time.process_time(),
                visitors=max(0, named - len(self._names)),
            )
            await asyncio.sleep(_REPORT_S)

    async def _link(self, space: Space) -> None:
        """Every file of a person gets a second name, which stays when the server clears its log away."""
        assert self._running is not None
        for file in await self._running.engine.recordings(_number(space)):
            link = self._recordings / file.path.name
            if file.kind == "track" and link not in self.links and file.path.exists():
                link.unlink(missing_ok=True)
                link.hardlink_to(file.path)
                self.links.add(link)


def _number(space: Space) -> int:
    from spaces_ctl.api.wire import space_id

    return space_id(space.id)


def _free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
