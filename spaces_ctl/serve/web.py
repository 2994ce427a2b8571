"""uvicorn in our own event loop: we hold the socket, the signals, the certificates and the moment to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from spaces_ctl.serve.errors import BadSettings
from spaces_ctl.settings.model import Http

__all__ = ["Certificate", "WebServer"]


class Certificate:
    """The TLS context of HTTP. `reload` serves every later handshake with what the files hold then."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Reads the files. Raises BadSettings."""
        self._files = (certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._load(self.context)

    def reload(self) -> None:
        """Reads the files again. Raises BadSettings; then the old certificate stays."""
        # Tried on another context first: a certificate without its key must not be left in ours.
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self._load(self.context)

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key)
        except ssl.SSLError as error:
            reason = (
                "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "are not PEM certificate and key"
            )
            raise BadSettings(f"http.tls_certificate {certificate} and http.tls_key {key} {reason}") from error
        except OSError as error:
            name = error.filename or certificate
            raise BadSettings(f"http.tls_certificate, http.tls_key: cannot read {name}: {error.strerror}") from error


class _Server(uvicorn.Server):
    """uvicorn without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebServer:
    """Serves an ASGI application on a socket, between entering and leaving `running`."""

    def __init__(self, app: Any, http: Http, certificate: Certificate | None, *, grace_s: int) -> None:
        """`grace_s`: how long requests may take to finish when it stops, in seconds."""
        context = certificate.context if certificate else None
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
