"""The live view in the terminal, and its plain replacement for logs and pipes. Both show a `View`: the figures."""

import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from spaces_ctl.demo.measure import Latency, Levels

TALKING_DBOV = -50.0
"""From this level on somebody counts as talking."""
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


@dataclass(slots=True)
class View:
    """Everything there is to see, kept up to date by `run`."""

    title: str
    names: list[str]
    page: str = ""
    phase: str = "starting"
    began: float | None = None
    seconds: float = 0.0
    """Planned length, 0 for until Ctrl-C."""
    joined: int = 0
    listeners: int = 0
    visitors: int = 0
    """People who came through the page."""
    expected: int = 0
    """Frames of which the listeners' share should have arrived by now."""
    delivered: int = 0
    latency: Latency = field(default_factory=Latency)
    packets_per_second: float = 0.0
    server_cpu: float = 0.0
    """Cores busy in the server process."""
    levels: Levels = field(default_factory=Levels)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=4))

    @property
    def loss(self) -> float:
        """Share of the frames expected so far that are missing so far."""
        return max(0.0, 1 - self.delivered / self.expected) if self.expected else 0.0

    def talking(self) -> list[str]:
        """Who is heard at this moment."""
        return [name for seat, name in enumerate(self.names) if self.levels.now(seat) > TALKING_DBOV]


class Display(Protocol):
    """Something that shows a `View`: entered before the first process starts, left before the summary."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...
    def show(self) -> None:
        """Called several times a second."""


class Dashboard:
    """The full-screen view."""

    def __init__(self, view: View, console: Console) -> None:
        self._view = view
        self._live = Live(console=console, auto_refresh=False, screen=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.__exit__(kind, error, at)

    def show(self) -> None:
        """Draws it anew."""
        self._live.update(render(self._view), refresh=True)


class PlainLog:
    """One line every five seconds, for `--no-tui`."""

    def __init__(self, view: View, console: Console, every: float = 5.0) -> None:
        self._view = view
        self._console = console
        self._every = every
        self._next = time.monotonic()
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def show(self) -> None:
        """Prints a line if it is time for one."""
        view = self._view
        if view.phase != self._phase:
            self._phase = view.phase
            self._console.print(f"[{view.phase}]" if view.phase != "live" else f"[live] {view.page}", markup=False)
        if view.phase == "live" and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            self._console.print(_line(view), markup=False, highlight=False)


def _line(view: View) -> str:
    talking = ", ".join(view.talking()) or "nobody"
    return (
        f"{_elapsed(view)}  listeners {view.joined}/{view.listeners}  packets/s {view.packets_per_second:,.0f}  "
        f"loss {view.loss:.3%}  latency {_latency(view)}  server {view.server_cpu:.0%}  talking: {talking}"
    )


def render(view: View) -> RenderableType:
    """The view as rich draws it."""
    people = Table.grid(padding=(0, 1))
    people.add_column(width=1)
    people.add_column(min_width=10)
    people.add_column(ratio=1)
    for seat, name in enumerate(view.names):
        level = view.levels.now(seat)
        colour = _COLOURS[seat % len(_COLOURS)]
        talks = level > TALKING_DBOV
        people.add_row(
            Text("●" if talks else "○", style=colour if talks else "dim"),
            Text(name, style=f"bold {colour}" if talks else "dim"),
            Text(_bar(level), style=colour),
        )
    figures = Table.grid(padding=(0, 2))
    figures.add_column(style="dim")
    figures.add_column(justify="right")
    for label, value in (
        ("listeners", f"{view.joined} of {view.listeners}" + (f" + {view.visitors} by page" if view.visitors else "")),
        ("packets/s", f"{view.packets_per_second:,.0f}"),
        ("delivered", f"{view.delivered:,}"),
        ("loss", f"{view.loss:.3%}"),
        ("latency p50 / p99", _latency(view)),
        ("server CPU", f"{view.server_cpu:.0%} of one core"),
    ):
        figures.add_row(label, value)
    both = Table.grid(expand=True, padding=(0, 3))
    both.add_column(ratio=3)
    both.add_column(ratio=2)
    both.add_row(people, figures)
    link = (
        Text.assemble(("listen and speak: ", "dim"), (view.page, "bold underline")) if view.page else Text(view.phase)
    )
    notes = [Text(note, style="dim") for note in view.notes]
    return Panel(
        Group(link, Text(), both, *([Text(), *notes] if notes else [])),
        title=f"{view.title} · {view.phase} {_elapsed(view)}",
        subtitle="Ctrl-C ends it",
        border_style="blue",
    )


def _elapsed(view: View) -> str:
    if view.began is None:
        return ""
    now = max(0, int(time.monotonic() - view.began))
    text = f"{now // 60}:{now % 60:02}"
    return f"{text} of {int(view.seconds) // 60}:{int(view.seconds) % 60:02}" if view.seconds else text


def _latency(view: View) -> str:
    p50, p99 = view.latency.quantile(0.5), view.latency.quantile(0.99)
    return "none yet" if p50 is None or p99 is None else f"{p50:.1f} / {p99:.1f} ms"


def _bar(level: float, width: int = 24) -> str:
    filled = max(0.0, min(1.0, (level + 60) / 50)) * width
    whole = int(filled)
    part = "▏▎▍▌▋▊▉"[int((filled - whole) * 7)] if 0 < whole < width else ""
    return "█" * whole + part
