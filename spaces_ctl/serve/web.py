"""uvicorn in our own event loop: we hold the socket, the signals, the certificates and the moment to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

from spaces_ctl.api.tls import CertificateFiles
from spaces_ctl.settings.model import Http

__all__ = ["WebServer"]


class _Server(uvicorn.Server):
    """uvicorn without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves an ASGI application on a socket, between entering and leaving `running`."""

    def __init__(self, app: Any, http: Http, files: CertificateFiles | None, *, grace_s: int) -> None:
        """`grace_s`: how long requests may take to finish when it stops, in seconds."""
        context = files.context if files else None
        self._serving: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                interface="asgi3",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(http.trusted_proxies),
                forwarded_allow_ips=list(http.trusted_proxies),
                ssl_context_factory=(lambda _config, _default: context) if context else None,
                timeout_graceful_shutdown=grace_s,
                ws="websockets-sansio",
                ws_max_size=64 * 1024,
            )
        )

    @contextlib.asynccontextmanager
    async def running(self, listening: socket.socket) -> AsyncIterator[None]:
        """Serves inside the block, finishes requests under way after it. If serving fails, the block is cancelled."""
        async with asyncio.TaskGroup() as group:
            self._serving = serving = group.create_task(self._serve(listening), name="http")
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.001)
            try:
                yield
            finally:
                self._server.should_exit = True

    async def _serve(self, listening: socket.socket) -> None:
        try:
            await self._server.serve(sockets=[listening])
        except SystemExit as error:
            # uvicorn's way to say that the application did not start; the reason is in the log.
            raise RuntimeError("the application did not start") from error

    def hurry(self) -> None:
        """Waits for nobody any more."""
        if self._serving is not None:
            self._serving.cancel()
