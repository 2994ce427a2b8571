"""A server from start to end. What is served is put together in `composition`; here is when and for how long.

1. the HTTP port is bound, so that a taken one is told at once; the key and the certificates are read
2. the engine starts on its UDP port: named, so that it belongs to the process
3. the control loop: database, services (which fold live Spaces and tell the engine), application
4. only then the HTTP socket listens: whoever gets a connection gets an answer
5. SIGTERM: no new connections; people are told to move, requests are finished; database and engine are closed

If the control loop dies after it has served, it begins at 3 again and attaches to the engine (`service.recovery`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import uvloop

from spaces_ctl.engine import AddressInUse, Engine, EngineConfig, StartFailed, TokenSigner, WebSocketConfig
from spaces_ctl.serve.certificates import Certificates
from spaces_ctl.serve.errors import BadSettings, PortTaken
from spaces_ctl.serve.secrets import join_signer
from spaces_ctl.serve.signals import Stop, handled
from spaces_ctl.serve.sockets import bind_tcp, listening
from spaces_ctl.serve.systemd import Notifier
from spaces_ctl.serve.web import WebServer
from spaces_ctl.service.recovery import attach_or_make, supervise
from spaces_ctl.service.upkeep import Watchdog
from spaces_ctl.settings.model import Settings

__all__ = ["Compose", "Composed", "Place", "Running", "serve"]

log = logging.getLogger(__name__)

_DEVELOPMENT_NAMES = ("localhost", "127.0.0.1", "::1")


class Place(NamedTuple):
    """Where the server is reached, known once the ports are."""

    public_url: str
    media_urls: tuple[str, ...]
    """`https://host:port` of the audio, first choice first."""
    certificate_sha256: str | None
    """Hex; of the development certificate at the start, which clients have to pin."""


class Running(NamedTuple):
    """The engine in this process, and what goes with it over all lives of the control loop."""

    engine: Engine
    attached: bool
    """It has outlived an earlier control loop."""
    signer: TokenSigner
    watchdog: Watchdog
    place: Place
    pin: Callable[[], bytes | None]
    """SHA-256 of the certificate that clients have to pin at the moment."""


class Composed(Protocol):
    """The services and their application, ready to serve."""

    @property
    def app(self) -> Any:
        """The ASGI application."""
        ...

    async def failed(self) -> None:
        """Waits; raises what a background task of the services died of."""
        ...

    def draining(self) -> None:
        """From now on the server is not ready for anything new."""
        ...


class Compose(Protocol):
    """Puts services and application together."""

    def __call__(self, settings: Settings, running: Running) -> AbstractAsyncContextManager[Composed]:
        """Database open and live Spaces in the engine when entered. Raises CannotStart."""
        ...


def serve(
    settings: Settings, compose: Compose, *, announce: Callable[[Place], None] | None = None, tracks: bool = False
) -> None:
    """Serves until told to stop. `announce` is called once, when the first request can be answered.

    `tracks`: the recorder writes a file of each person beside its log (`EngineConfig.recording_tracks`).

    Raises CannotStart, and whatever else it could not start with. Once it has served, it lives until it is stopped.
    """
    server = _Server(settings, compose, announce, tracks=tracks)
    try:
        supervise(server.live, server.watchdog, loop_factory=uvloop.new_event_loop)
    finally:
        server.bound.close()
    if server.failure is not None:
        raise server.failure


class _Server:
    def __init__(
        self, settings: Settings, compose: Compose, announce: Callable[[Place], None] | None, *, tracks: bool
    ) -> None:
        self._settings = settings
        self._tracks = tracks
        self._compose = compose
        self._announce = announce
        self._notifier = Notifier()
        self._signer = join_signer(settings)
        self._certificates = Certificates(settings, _names(settings))
        self._served = False
        self._reloading: asyncio.Task[None] | None = None
        self.bound: socket.socket = bind_tcp(settings.http.bind, settings.http.port)
        self.watchdog = Watchdog()
        self.failure: Exception | None = None
        """Why it did not start."""

    async def live(self) -> None:
        """One life of the control loop. Raises what it died of, if it has served before."""
        async with AsyncExitStack() as stack:
            engine: Engine | None = None
            try:
                engine, attached = await self._engine(stack)
                await stack.enter_async_context(self._certificates.watched(engine))
                pin = self._certificates.pin
                place = _place(self._settings, engine, self.bound.getsockname()[1], pin())
                running = Running(engine, attached, self._signer, self.watchdog, place, pin)
                async with self._compose(self._settings, running) as composed:
                    await self._serve(stack.enter_context(handled(self._reload)), composed, engine, place)
            except Exception as error:
                if self._served:
                    # The engine stays: the next life attaches to it.
                    raise
                self.failure = error
            if engine is not None:
                await engine.aclose()

    async def _serve(self, stop: Stop, composed: Composed, engine: Engine, place: Place) -> None:
        web = WebServer(
            composed.app, self._settings.http, self._certificates.http, grace_s=self._settings.node.drain_seconds
        )
        async with web.running(listening(self.bound)):
            first = not self._served
            self._served = True
            log.info("ready", extra={"url": place.public_url, "media": place.media_urls[0], "pid": os.getpid()})
            self._notifier.ready(f"on {place.public_url}")
            if first and self._announce is not None:
                self._announce(place)
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(composed.failed()), group.create_task(self._heartbeat())]
                await stop.gently.wait()
                for task in beside:
                    task.cancel()
            log.info("draining", extra={"seconds": self._settings.node.drain_seconds})
            self._notifier.stopping()
            composed.draining()
            leaving = [asyncio.create_task(self._drain(engine, stop)), asyncio.create_task(_hurry(stop, web))]
        # The end of the block has finished the requests that were under way.
        try:
            await leaving[0]
        finally:
            for task in leaving:
                task.cancel()

    async def _drain(self, engine: Engine, stop: Stop) -> None:
        """Tells everybody who listens or speaks to come again, and waits a while until they are gone."""
        draining = asyncio.create_task(engine.drain("", patience_ms=self._settings.node.drain_seconds * 1000))
        hurry = asyncio.create_task(stop.at_once.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if draining.done():
            log.info("drained", extra={"left": draining.result()})

    async def _heartbeat(self) -> None:
        """Tells systemd that the loop turns."""
        while self._notifier.watchdog_s is not None:
            self._notifier.alive()
            await asyncio.sleep(self._notifier.watchdog_s)

    async def _engine(self, stack: AsyncExitStack) -> tuple[Engine, bool]:
        settings = self._settings
        engine, attached = attach_or_make(
            _engine_config(settings, self._signer, self._certificates.media_files, self._tracks),
            f"spaces-{settings.node.name}",
        )
        try:
            return await stack.enter_async_context(engine), attached
        except AddressInUse as error:
            tcp = _websocket(settings)
            over_tcp = "" if tcp is None else f" or port {(tcp.bind or (0, settings.media.port))[1]} (TCP)"
            where = f"{settings.media.bind} port {settings.media.port} (UDP){over_tcp}"
            advice = "the port is in use; stop who has it or set media.port"
            raise PortTaken(f"the audio cannot listen on {where}: {advice}") from error
        except (StartFailed, ValueError, OSError) as error:
            raise BadSettings(f"the engine does not start: {error}") from error

    def _reload(self) -> None:
        """SIGHUP: certificates are read again (they are when they change, too)."""
        self._reloading = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        self._notifier.reloading()
        renewed = await self._certificates.renew()
        log.info("certificates were read again", extra={"renewed": renewed})
        self._notifier.ready("serving")


async def _hurry(stop: Stop, web: WebServer) -> None:
    await stop.at_once.wait()
    web.hurry()


def _engine_config(
    settings: Settings, signer: TokenSigner, tls: tuple[Path, Path] | None, tracks: bool
) -> EngineConfig:
    media, recordings = settings.media, settings.recordings
    directory = recordings.directory if recordings.enabled else None
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    return EngineConfig(
        bind=(media.bind, media.port),
        signers=[signer],
        tls=tls,
        names=_names(settings),
        shards=media.shards,
        pin_to=media.pin,
        recordings=directory,
        fsync_ms=recordings.fsync_ms,
        max_sessions=media.max_sessions,
        idle_timeout_ms=media.idle_timeout_ms,
        reactions=len(settings.limits.resolve().reactions),
        websocket=_websocket(settings),
        segment_ms=recordings.segment_ms,
        recording_tracks=tracks,
    )


def _names(settings: Settings) -> list[str]:
    """What a development certificate is for."""
    names = {*_DEVELOPMENT_NAMES, settings.media.bind, _host(settings)}
    return sorted(names - {"0.0.0.0", "::", ""})


def _host(settings: Settings) -> str:
    """The host that people type."""
    from urllib.parse import urlsplit

    if settings.http.public_url:
        return urlsplit(settings.http.public_url).hostname or ""
    bind = settings.http.bind
    return {"0.0.0.0": "localhost", "::": "localhost"}.get(bind, bind)


def _place(settings: Settings, engine: Engine, http_port: int, pin: bytes | None) -> Place:
    host = _host(settings)
    bracketed = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.http.tls_certificate else "http"
    public_url = settings.http.public_url.rstrip("/") or f"{scheme}://{bracketed}:{http_port}"
    media = settings.media.public_addresses or (f"{bracketed}:{engine.port}",)
    return Place(
        public_url,
        (*(f"https://{address}" for address in media), *_websocket_urls(settings, engine, bracketed, pin)),
        None if pin is None else pin.hex(),
    )


def _websocket(settings: Settings) -> WebSocketConfig | None:
    media = settings.media
    if media.websocket == "off":
        return None
    host, _, port = media.websocket_bind.rpartition(":")
    bind = (host.strip("[]"), int(port)) if port else None
    if bind is None and media.port and media.port == settings.http.port:
        bind = (media.bind, media.port + 1)  # HTTP has TCP's port of that number
    return WebSocketConfig(bind=bind, plain=media.websocket == "plain")


def _websocket_urls(settings: Settings, engine: Engine, host: str, pin: bytes | None) -> tuple[str, ...]:
    """How clients reach the WebSockets: as told, by the audio's certificate, or on this machine without one."""
    media, port = settings.media, engine.websocket_port
    if port is None or media.websocket_urls:
        return media.websocket_urls if port is not None else ()
    if pin is None:
        return (f"wss://{host}:{port}",)
    # No browser takes a development certificate for a WebSocket, but all of them take plain ones to their own machine.
    local = media.bind if ipaddress.ip_address(media.bind).is_loopback else "127.0.0.1"
    return (f"ws://[{local}]:{port}" if ":" in local else f"ws://{local}:{port}",)
