"""How recordings are doing, for `/readyz` and `/metrics`: the worker's newest figures, without waiting for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from spaces_ctl.media.requests import Figures

__all__ = ["RecordingHealth", "RecordingHealths", "condition", "metrics"]

_GAUGES = (
    ("following", "Live Spaces whose recordings are followed."),
    ("spool_bytes", "Recorded audio on the disk of the spool."),
    ("free_bytes", "Room on the disk of the spool."),
    ("waiting_files", "Finished files that are not in the object store yet."),
)
_COUNTERS = (
    ("uploaded_bytes", "Bytes put into the object store."),
    ("uploaded_objects", "Objects put into the object store."),
    ("store_failures", "Attempts that failed at the object store."),
)


class RecordingHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The media worker, as the server knows it."""

    up: bool
    restarts: int
    """Workers that died and were replaced."""
    figures: Figures | None
    """The newest; None while there is no worker."""


RecordingHealths = Callable[[], RecordingHealth]


def condition(health: RecordingHealth) -> str:
    """For `/readyz`: recordings wait, but whoever talks and listens does not notice."""
    figures = health.figures
    well = health.up and figures is not None and not figures.store_down and not figures.low_space
    return "ok" if well else "degraded"


def metrics(health: RecordingHealth) -> Iterator[Metric]:
    """Prometheus' families."""
    yield GaugeMetricFamily("spaces_recordings_worker_up", "Whether the media worker runs.", value=health.up)
    yield CounterMetricFamily("spaces_recordings_worker_restarts", "Media workers replaced.", value=health.restarts)
    figures = health.figures
    if figures is None:
        return
    for name, text in _GAUGES:
        yield GaugeMetricFamily(f"spaces_recordings_{name}", text, value=getattr(figures, name))
    for name, text in _COUNTERS:
        yield CounterMetricFamily(f"spaces_recordings_{name}", text, value=getattr(figures, name))
    lag = "How much recorded audio of one Space is not in the object store yet, in seconds, at most."
    yield GaugeMetricFamily("spaces_recordings_upload_lag_seconds", lag, value=figures.lag_s)
    up = "Whether the object store answered the newest attempt."
    yield GaugeMetricFamily("spaces_recordings_store_up", up, value=not figures.store_down)
