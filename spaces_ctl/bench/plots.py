"""Pictures of measurements, as SVG: small, and the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spaces_ctl.bench.errors import Missing
from spaces_ctl.bench.rows import Measurement, median

__all__ = ["draw"]

Rows = Sequence[Measurement]


def draw(measurements: Rows, directory: Path) -> list[Path]:
    """All pictures for which there are measurements. Raises Missing without matplotlib, and OSError."""
    try:
        import matplotlib
    except ImportError:
        raise Missing("matplotlib is not installed: pip install 'spaces-ctl[bench]'") from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "spaces"
    directory.mkdir(parents=True, exist_ok=True)
    spoilt = ("loss", "jitter_ms", "ack_frequency", "awake", "joiners")
    perfect = [one for one in measurements if not any(getattr(one, name) for name in spoilt)]
    plain = [one for one in perfect if one.spaces == 1 and not one.scenario.startswith("hostile-")]
    single = [one for one in plain if one.shards == 1]
    drawn = [
        _curves(
            directory / "frames.svg",
            [one for one in single if one.speakers == 1],
            lambda one: one.frames_per_core_second / 1000,
            "listeners",
            "thousand frames per core-second",
        ),
        _curves(
            directory / "memory.svg",
            [one for one in single if one.listeners >= 100 or len(single) < 30],
            lambda one: one.bytes_per_listener / 1000,
            "listeners",
            "KB of resident memory per listener",
            log=True,
        ),
        _cdf(directory / "latency.svg", single),
        _shards(directory / "shards.svg", [one for one in plain if one.scenario == "shards"]),
        _tiers(directory / "tiers.svg", [one for one in single if one.server == "spaces"]),
    ]
    return [path for path in drawn if path is not None]


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    from matplotlib import pyplot

    pyplot.close(figure)
    return path


def _figure() -> tuple[Any, Any]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _label(one: Measurement) -> str:
    return f"{one.server} {one.tier}" if one.server == "spaces" else one.server


def _curves(
    path: Path, rows: Rows, value: Callable[[Measurement], float], x: str, y: str, *, log: bool = False
) -> Path | None:
    lines: dict[str, dict[int, list[float]]] = {}
    for one in rows:
        lines.setdefault(_label(one), {}).setdefault(one.listeners, []).append(value(one))
    if not lines:
        return None
    figure, axes = _figure()
    for label, points in sorted(lines.items()):
        at = sorted(points)
        axes.plot(at, [median(points[listeners]) for listeners in at], marker="o", label=label)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    return _save(figure, path)


def _cdf(path: Path, rows: Rows) -> Path | None:
    """For each server and tier, the largest crowd with one speaker."""
    largest: dict[str, Measurement] = {}
    for one in rows:
        known = largest.get(_label(one))
        if one.latency_us and one.speakers == 1 and (known is None or one.listeners > known.listeners):
            largest[_label(one)] = one
    if not largest:
        return None
    figure, axes = _figure()
    for label, one in sorted(largest.items()):
        millis, shares = one.latency.cdf()
        # A few hundred points draw the same line as ten thousand.
        step = max(1, len(millis) // 300)
        axes.plot(
            [*millis[::step], millis[-1]], [*shares[::step], shares[-1]], label=f"{label}, {one.listeners} listeners"
        )
    axes.set_xscale("log")
    axes.set_xlabel("ms from when a frame was due to its arrival")
    axes.set_ylabel("share of frames")
    axes.legend(fontsize="small")
    return _save(figure, path)


def _bars(path: Path, values: dict[str, list[float]], y: str) -> Path | None:
    if not values:
        return None
    figure, axes = _figure()
    axes.bar(list(values), [median(found) for found in values.values()])
    axes.set_ylabel(y)
    return _save(figure, path)


def _shards(path: Path, rows: Rows) -> Path | None:
    values: dict[str, list[float]] = {}
    for one in sorted(rows, key=lambda one: one.shards):
        values.setdefault(f"{one.shards} shard(s)", []).append(one.frames_per_core_second / 1000)
    return _bars(path, values, "thousand frames per core-second")


def _tiers(path: Path, rows: Rows) -> Path | None:
    values: dict[str, list[float]] = {}
    for one in sorted(rows, key=lambda one: (one.tier == "mix", one.speakers)):
        if one.scenario in ("tiers", "speakers"):
            values.setdefault(f"{one.tier}, {one.speakers} sp.", []).append(one.listeners_per_core)
    return _bars(path, values, "listeners per core")
