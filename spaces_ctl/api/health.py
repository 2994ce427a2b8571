"""Whether the process lives, whether it can do its work, and its figures for Prometheus.

`/metrics` is for the networks in `ApiSettings.metrics_from` only. Labels are bounded: routes by their template,
refusals and verdicts by the engine's codes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from spaces_ctl.api.recording_figures import RecordingHealths, condition
from spaces_ctl.api.recording_figures import metrics as recording_metrics
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces.feeds import Feeds
from spaces_ctl.service.errors import ServiceError

__all__ = ["Check", "EngineFigures", "health_handlers"]

Check = Callable[[], Awaitable[object]]
"""Returns if all is well, raises otherwise."""
EngineFigures = Callable[[], Awaitable[Any]]
"""`Engine.stats`."""

_PATIENCE_S = 2.0
_TEXT = "text/plain; version=0.0.4"
"""Litestar adds the charset."""
_log = logging.getLogger("spaces.api")


def health_handlers(
    settings: ApiSettings,
    checks: Mapping[str, Check],
    feeds: Feeds,
    engine: EngineFigures | None,
    recordings: RecordingHealths | None = None,
) -> list[HTTPRouteHandler]:
    """The three handlers. `checks` are named for whoever reads the answer; `recordings` are told but never make a
    server unready: people talk and listen without them.
    """
    networks = [ipaddress.ip_network(network) for network in settings.metrics_from]
    figures = _Figures(feeds, recordings)
    registry = CollectorRegistry()
    registry.register(figures)

    @get("/healthz", include_in_schema=False, opt={"open": True}, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @get("/readyz", include_in_schema=False, opt={"open": True})
    async def readyz() -> Response[dict[str, str]]:
        """Each thing that a request may need."""
        results = dict(zip(checks, await asyncio.gather(*map(_checked, checks.values())), strict=True))
        ready = all(result == "ok" for result in results.values())
        if recordings is not None:
            results["recordings"] = condition(recordings())
        return Response(results, status_code=200 if ready else 503)

    @get("/metrics", include_in_schema=False, opt={"open": True})
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Prometheus text."""
        address = request.client.host if request.client else ""
        if not _within(address, networks):
            raise ServiceError("role.forbidden")
        if engine is not None:
            figures.engine = await engine()
        return Response(generate_latest(REGISTRY) + generate_latest(registry), media_type=_TEXT)

    return [healthz, readyz, metrics]


async def _checked(check: Check) -> str:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await check()
    except Exception as error:
        _log.warning("not ready: %r", error)
        return "failing"
    return "ok"


def _within(address: str, networks: list[Any]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


class _Figures(Collector):
    """Figures of the engine (as last read), of the event streams and of recordings."""

    def __init__(self, feeds: Feeds, recordings: RecordingHealths | None) -> None:
        self.engine: Any = None
        self._recordings = recordings
        self._feeds = feeds

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("spaces_event_streams", "Open event streams.", value=self._feeds.streams)
        if self._recordings is not None:
            yield from recording_metrics(self._recordings())
        stats = self.engine
        if stats is None:
            return
        yield GaugeMetricFamily("spaces_engine_sessions", "Media sessions.", value=stats.sessions)
        yield GaugeMetricFamily("spaces_engine_connections", "QUIC connections.", value=stats.connections)
        for name, text in (
            ("cpu_seconds", "CPU time of the shards, in seconds."),
            ("datagrams_sent", "Media datagrams sent."),
            ("stream_objects_sent", "Media objects sent on streams."),
            ("packets_received", "Packets received."),
            ("ticks", "Ticks of 20 ms."),
            ("skipped", "Objects that were too late for a listener and left out."),
            ("admitted", "Sessions admitted."),
        ):
            yield CounterMetricFamily(f"spaces_engine_{name}", text, value=getattr(stats, name))
        for name, text, label in (
            ("refusals", "Sessions refused, by code.", "code"),
            ("verdicts", "What became of frames from the stage.", "verdict"),
        ):
            family = CounterMetricFamily(f"spaces_engine_{name}", text, labels=[label])
            for key, value in getattr(stats, name).items():
                family.add_metric([key], value)
            yield family
