"""What remains of a demo: a summary to read, JSON to compare, and a picture of who spoke, how loud and how quickly."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spaces_ctl.demo.measure import Latency, Levels


@dataclass(slots=True)
class Result:
    """The figures of one run."""

    listeners: int
    speakers: int
    seconds: float
    """How long people spoke."""
    sent_frames: int
    """Opus frames that left the encoders (silence sends hardly any: DTX)."""
    expected_frames: int
    """`sent_frames` times `listeners`: all listeners are there before the first frame and until after the last."""
    delivered_frames: int
    """Frames that reached listeners and equal one that was sent; each counts once per listener."""
    duplicates: int
    latency: Latency
    """From the encoder's output to the listener's input."""
    mouth_to_ear_ms: float | None
    """Median of microphone to loudspeaker at one listener, playout delay included."""
    server_cpu_seconds: float
    """User and system time of the server process (engine, recorder, HTTP, Python) over its whole life."""
    url: str
    uplink: dict[str, int] = field(default_factory=dict)
    """What became of the speakers' frames at the engine, by verdict: late ones are lost for all listeners."""
    unheard: int = 0
    """Frames that were sent and reached nobody: lost before the fan-out (of the last 3 s it is not known yet)."""
    unmatched: int = 0
    """Frames that listeners received and no speaker says to have sent; once per listener."""
    recordings: list[str] = field(default_factory=list)
    plot: str | None = None

    @property
    def loss_ratio(self) -> float:
        """Share of the expected frames that did not arrive."""
        if not self.expected_frames:
            return 0.0
        return 1 - self.delivered_frames / self.expected_frames

    def to_json(self) -> dict[str, Any]:
        """As `--json` writes it."""
        return {
            "expected_frames": self.expected_frames,
            "delivered_frames": self.delivered_frames,
            "loss_ratio": self.loss_ratio,
            "latency_ms": {"p50": self.latency.quantile(0.5), "p99": self.latency.quantile(0.99)},
            "recordings": self.recordings,
            "server_cpu_seconds": self.server_cpu_seconds,
            "listeners": self.listeners,
            "speakers": self.speakers,
            "seconds": self.seconds,
            "sent_frames": self.sent_frames,
            "duplicates": self.duplicates,
            "mouth_to_ear_ms": self.mouth_to_ear_ms,
            "uplink": self.uplink,
            "unheard_frames": self.unheard,
            "unmatched_frames": self.unmatched,
            "plot": self.plot,
            "url": self.url,
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows for a reader."""
        p50, p99 = self.latency.quantile(0.5), self.latency.quantile(0.99)
        ear = self.mouth_to_ear_ms
        rows = [
            ("listeners, speakers", f"{self.listeners}, {self.speakers}, for {self.seconds:.0f} s"),
            (
                "frames",
                f"{self.sent_frames:,} sent, {self.delivered_frames:,} of {self.expected_frames:,} delivered",
            ),
            ("loss", f"{self.loss_ratio:.4%}, {self.duplicates:,} duplicates"),
            ("latency", "nothing arrived" if p50 is None else f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"),
            ("mouth to ear", "not measured" if ear is None else f"{ear:.0f} ms, playout delay included"),
            ("server CPU", f"{self.server_cpu_seconds:.2f} s"),
        ]
        rows += [("recording" if n == 0 else "", path) for n, path in enumerate(self.recordings)]
        if self.plot:
            rows.append(("plot", self.plot))
        return rows


def write_json(path: Path, result: Result) -> None:
    """Writes the figures; the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def write_plot(path: Path, result: Result, levels: Levels, names: Sequence[str]) -> None:
    """Draws who spoke and how loud over time, and the histogram of latencies. The suffix says the format."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = max(1, len(names))
    figure, (stage, times) = pyplot.subplots(
        2, 1, figsize=(10, 3.5 + 0.5 * rows), height_ratios=[rows + 1, 4], layout="constrained"
    )
    colours = pyplot.get_cmap("tab10")
    for seat, _name in enumerate(names):
        points = list(levels.seats.get(seat, ()))
        at = [second for second, _ in points]
        # -60 dBov and less is the floor, 0 fills the row.
        height = [max(0.0, min(1.0, (level + 60) / 50)) * 0.45 for _, level in points]
        colour = colours(seat % 10)
        stage.fill_between(at, [seat - h for h in height], [seat + h for h in height], color=colour, lw=0)
        stage.axhline(seat, color=colour, lw=0.4)
    stage.set_yticks(range(len(names)), list(names))
    stage.set_ylim(rows - 0.4, -0.6)
    stage.set_xlim(0, max(1.0, result.seconds))
    stage.set_xlabel("seconds")
    stage.set_title("Who spoke, and how loud")
    steps = sorted(result.latency.steps)
    if steps:
        p50, p99 = (result.latency.quantile(share) or 0.0 for share in (0.5, 0.99))
        limit = max(p99 * 1.5, p50 * 2, 1.0)
        # Whole steps of the histogram, or its bars would beat against them.
        width = max(0.1, math.ceil(limit / 8) / 10)
        bins = [0] * 81
        for step in steps:
            bins[min(80, int(step / 10 / width))] += result.latency.steps[step]
        times.bar([(n + 0.5) * width for n in range(81)], bins, width=width, color="#4477aa")
        for share, value in (("p50", p50), ("p99", p99)):
            times.axvline(value, color="#cc3311", lw=1)
            times.annotate(f" {share} {value:.1f} ms", (value, max(bins)), color="#cc3311", va="top")
        times.set_xlim(0, 81 * width)
    times.set_xlabel("milliseconds from encoder to listener (last bar: more)")
    times.set_ylabel("frames")
    times.set_title(
        f"{result.delivered_frames:,} of {result.expected_frames:,} frames to {result.listeners} listeners, "
        f"loss {result.loss_ratio:.3%}"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
