"""The order of things: voices, server, listeners, speakers; then everybody talks; then the same backwards, and the sum.

What is expected is exact because of this order: listeners have all joined before the first frame is encoded, and stay
until the last one has had time to reach them.
"""

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from spaces_ctl.demo import script, speech
from spaces_ctl.demo.child import Message
from spaces_ctl.demo.children import Child, ChildFailed
from spaces_ctl.demo.dashboard import Dashboard, Display, PlainLog, View
from spaces_ctl.demo.measure import Heard, Said, mouth_to_ear
from spaces_ctl.demo.report import Result, write_json, write_plot

TITLE = "Spaces demo"
MOST_SPEAKERS = 12
"""A stage has 13 seats, and a visitor shall find one."""

_READY_S = 60.0
_LAST_FRAME_S = 1.0
"""How long the last frames may be under way, jitter buffers included, before they are lost."""
_REFRESH_S = 0.2
_PER_PROCESS = 1_000
"""Listeners from which on a second process shares the load."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    listeners: int = 100
    speakers: int = 3
    seconds: float = 0.0
    tui: bool = True
    json: Path | None = None
    port: int | None = None
    recordings: Path = Path("recordings")
    plot: Path | None = None
    speech: Path | None = None
    together: bool = False


@dataclass(slots=True)
class _Run:
    """What is known while it runs."""

    options: Options
    view: View
    sent: dict[int, int]
    joined: dict[str, int]
    arrived: dict[str, Message]
    sent_at: deque[tuple[float, int]]
    packets: deque[tuple[float, int]]
    cpu: deque[tuple[float, float]]

    def frames(self) -> int:
        """Frames that the encoders sent so far."""
        return sum(self.sent.values())


async def run(options: Options, console: Console) -> Result:
    """Runs the demo to its end and writes what it leaves behind.

    Raises:
        ChildFailed: A process failed.
        speech.SpeechError: There is nothing to say.

    """
    voices = _voices(options, console)
    names = [voice.name for voice in voices]
    directory = options.recordings / datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
    view = View(TITLE, names, listeners=options.listeners, seconds=options.seconds)
    state = _Run(options, view, {}, {}, {}, deque(maxlen=100), deque(maxlen=10), deque(maxlen=10))
    interactive = options.tui and console.is_terminal
    display: Display = Dashboard(view, console) if interactive else PlainLog(view, console)
    with _stop_signals() as stop, display:
        result, ear = await _play(state, directory, display, stop)
    if ear is not None:
        result.mouth_to_ear_ms = await asyncio.to_thread(ear.delay, voices, result.seconds, options.together)
    plot = options.plot or directory / "demo.png"
    await asyncio.to_thread(write_plot, plot, result, view.levels, names)
    result.plot = str(plot)
    if options.json is not None:
        write_json(options.json, result)
    return result


async def _play(state: _Run, directory: Path, display: Display, stop: asyncio.Event) -> tuple[Result, "_Ear | None"]:
    options, view = state.options, state.view
    async with AsyncExitStack() as stack:
        showing = asyncio.create_task(_show(state, display))
        stack.callback(showing.cancel)

        async def start(role: str, name: str, **first: object) -> Child:
            child = await Child.start(role, name, lambda message: _note(state, name, message, everybody), **first)
            everybody.append(child)
            stack.push_async_callback(child.stop)
            return child

        everybody: list[Child] = []
        view.phase = "starting the server"
        server = await start(
            "server",
            "server",
            title=TITLE,
            names=view.names,
            port=options.port,
            recordings=str(directory.resolve()),
        )
        ready = await server.hear("ready", _READY_S)
        view.page = str(ready["page"])
        join = {"url": ready["url"], "certificate": ready["certificate"]}

        view.phase = "listeners join"
        shares = _shares(options.listeners)
        crowd = [
            await start(
                "listeners",
                f"listeners {n}",
                **join,
                listeners=share,
                ear=str(directory.resolve() / "heard.wav") if n == 0 else None,
                space=ready["space"],
            )
            for n, share in enumerate(shares)
        ]
        await _all_or_failure([child.hear("ready", _READY_S) for child in crowd], everybody)

        view.phase = "speakers join"
        speakers: list[Child] = []
        for seat, name in enumerate(view.names):
            child = await start(
                "speaker",
                name,
                **join,
                api=ready["api"],
                token=ready["tokens"][seat],
                space=ready["space"],
                seat=seat,
                speakers=options.speakers,
                speech=str(options.speech) if options.speech else None,
                together=options.together,
            )
            # One after the other: the server gives the seats in the order in which people ask.
            await _all_or_failure([child.hear("ready", _READY_S)], everybody)
            speakers.append(child)

        view.phase = "live"
        view.began = began = time.monotonic() + 0.3
        for child in (*speakers, *crowd):
            child.tell("go", at=began, seconds=options.seconds)
        length = options.seconds or None
        await _until(stop, began + length if length else None, everybody)

        view.phase = "ending"
        for child in speakers:
            child.tell("stop")
        done = await _all_or_failure([child.hear("done", _READY_S) for child in speakers], everybody)
        await asyncio.sleep(_LAST_FRAME_S)
        for child in crowd:
            child.tell("finish")
        reports = await _all_or_failure([child.hear("report", _READY_S) for child in crowd], everybody)
        server.tell("end")
        ended = await server.hear("ended", _READY_S)
        spoken = max(float(message["seconds"]) for message in done)

    sent = sum(int(message["frames"]) for message in done)
    result = Result(
        listeners=options.listeners,
        speakers=options.speakers,
        seconds=spoken,
        sent_frames=sent,
        expected_frames=sent * options.listeners,
        delivered_frames=sum(int(report["delivered"]) for report in reports),
        duplicates=sum(int(report["duplicates"]) for report in reports),
        latency=view.latency,
        mouth_to_ear_ms=None,
        server_cpu_seconds=float(ended["cpu"]),
        url=view.page,
        unheard=max(int(report["unheard"]) for report in reports),
        unmatched=sum(int(report["unmatched"]) for report in reports),
        uplink={str(verdict): int(count) for verdict, count in ended["uplink"].items()},
        recordings=[str(path) for path in ended["recordings"]],
    )
    heard = next((report["heard"] for report in reports if report.get("heard")), None)
    if heard is None:
        return result, None
    mouths = [None if message["mouth"] is None else float(message["mouth"]) for message in done]
    return result, _Ear(Path(heard["path"]), float(heard["began"]), mouths)


def _note(state: _Run, name: str, message: Message, everybody: Sequence[Child]) -> None:
    """What a child reports goes into the view, and what speakers sent goes to those who count arrivals."""
    view, now = state.view, time.monotonic()
    match message["kind"]:
        case "sent":
            state.sent[message["seat"]] = message["total"]
            view.levels.add(message["seat"], message["levels"])
            state.sent_at.append((now, state.frames()))
            for child in everybody:
                if child.name.startswith("listeners"):
                    child.tell("sent", seat=message["seat"], log=message["log"])
        case "arrived" | "report":
            state.arrived[name] = message
            view.delivered = sum(int(part["delivered"]) for part in state.arrived.values())
            view.latency.add((int(step), int(count)) for step, count in message["latency"])
        case "joined":
            state.joined[name] = int(message["listeners"])
            view.joined = sum(state.joined.values())
        case "stats":
            state.packets.append((now, int(message["packets"])))
            state.cpu.append((now, float(message["cpu"])))
            view.packets_per_second, view.server_cpu = _rate(state.packets), _rate(state.cpu)
            view.visitors = int(message["visitors"])
        case "note":
            view.notes.append(str(message["text"]))


async def _show(state: _Run, display: Display) -> None:
    while True:
        # Frames of the last second may be on their way; they are not yet expected.
        settled = [total for at, total in state.sent_at if at < time.monotonic() - _LAST_FRAME_S]
        state.view.expected = (settled[-1] if settled else 0) * state.options.listeners
        display.show()
        await asyncio.sleep(_REFRESH_S)


async def _all_or_failure(waiting: Sequence[Coroutine[Any, Any, Message]], everybody: Sequence[Child]) -> list[Message]:
    """All answers, unless a process fails first: then its failure."""
    tasks = [asyncio.create_task(answer) for answer in waiting]
    failures = [child.failed for child in everybody]
    pending = set(tasks)
    try:
        while pending:
            either: set[asyncio.Future[Any]] = {*pending, *failures}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            for failure in failures:
                if failure.done():
                    failure.result()
            pending = {task for task in tasks if not task.done()}
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()


async def _until(stop: asyncio.Event, deadline: float | None, everybody: Sequence[Child]) -> None:
    """Waits for the end of the conversation, for a signal, or for a process to fail."""
    stopped = asyncio.create_task(stop.wait())
    try:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        failures = [child.failed for child in everybody]
        either: set[asyncio.Future[Any]] = {stopped, *failures}
        await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for failure in failures:
            if failure.done():
                failure.result()
    finally:
        stopped.cancel()


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Ctrl-C and SIGTERM end the demo in good order; a second one at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _voices(options: Options, console: Console) -> list[speech.Voice]:
    if options.speech is not None:
        return speech.voices_from(options.speech, options.speakers)
    return speech.voices(options.speakers, lambda line: console.print(line, markup=False, highlight=False))


@dataclass(frozen=True, slots=True)
class _Ear:
    """What one listener heard, and when each speaker began."""

    path: Path
    began: float
    mouths: list[float | None]

    def delay(self, voices: Sequence[speech.Voice], seconds: float, together: bool) -> float | None:
        """Milliseconds from mouth to ear in the median; `None` if nothing was recognised."""
        heard = Heard(speech.read_wav(self.path), self.began)
        # The ear remembers its last minute, however long people have talked.
        since = max(0.0, round(self.began - min(filter(None, self.mouths), default=self.began)))
        said = [
            Said(script.spoken(voices, seat, seconds, since=since, together=together), mouth + since)
            for seat, mouth in enumerate(self.mouths)
            if mouth is not None
        ]
        delays = sorted(mouth_to_ear(heard, said))
        return delays[len(delays) // 2] if delays else None


def _shares(listeners: int) -> list[int]:
    """Listeners of each process; at least one process, which has the ear that is measured."""
    processes = 1 if listeners <= _PER_PROCESS else 2
    return [listeners // processes + (n < listeners % processes) for n in range(processes)]


def _rate(points: deque[tuple[float, float]] | deque[tuple[float, int]]) -> float:
    if len(points) < 2:
        return 0.0
    (first, before), (last, after) = points[0], points[-1]
    return (after - before) / max(1e-3, last - first)


__all__ = ["MOST_SPEAKERS", "ChildFailed", "Options", "run"]
