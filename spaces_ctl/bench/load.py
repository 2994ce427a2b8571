"""The load: what it is told, and what it reports. `bench/load` is the program."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from spaces_ctl.bench.errors import BenchFailed
from spaces_ctl.bench.processes import child, line
from spaces_ctl.bench.rows import Tier
from spaces_ctl.bench.times import Times

__all__ = ["Group", "GroupReport", "Linear", "Load", "Logistic", "Network", "Plan", "Report", "Steps", "share"]

_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""The load's memory on huge pages: half of what thousands of connections cost it is looking for where they are."""

Protocol = Literal["plain", "moqt", "icecast", "mumble"]


class Linear(msgspec.Struct, frozen=True, tag_field="kind", tag="linear"):
    """So many joins a second, evenly."""

    per_second: float


class Steps(msgspec.Struct, frozen=True, tag_field="kind", tag="steps"):
    """Crowds of `size` at once, every so many seconds."""

    size: int
    every_s: float


class Logistic(msgspec.Struct, frozen=True, tag_field="kind", tag="logistic"):
    """Slow, then fast, then slow: the middle 98 % within `seconds`."""

    seconds: float


class Network(msgspec.Struct, frozen=True):
    """What lies between server and listeners, emulated in the load."""

    loss: float = 0.0
    """Share of packets lost in each direction."""
    jitter_ms: float = 0.0
    """Packets towards listeners take up to so much longer."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Listeners that are counted together."""

    name: str
    listeners: int
    tier: Tier = "stage"
    curve: Linear | Steps | Logistic = Linear(500.0)
    starts: Literal["before", "on_begin"] = "before"
    stays: Literal["always", "until_audio"] = "always"
    behaviour: Literal["well", "stalled", "tiny_windows", "optimists"] = "well"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a load does."""

    server: str
    protocol: Protocol
    speakers: int
    spaces: list[str]
    path: str = "/spaces/{space}"
    groups: list[Group]
    network: Network = Network()
    seed: int = 1
    ack_frequency: bool = False
    connections_per_socket: int = 100
    realtime: bool = False
    """Frames are stamped by CLOCK_REALTIME, which several hosts can share, instead of CLOCK_MONOTONIC."""


class GroupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a group heard; times are `[µs, count]`."""

    name: str
    listeners: int
    joined: int
    heard_audio: int
    failed: int
    first_failure: str | None
    expected: int
    delivered: int
    repeated: int
    checked: int
    broken: int
    unplaced: int
    loss_ratio: float
    worst_listener_loss: float
    latency_us: list[tuple[int, int]]
    first_audio_us: list[tuple[int, int]]
    admission_us: list[tuple[int, int]]

    def __add__(self, other: GroupReport) -> GroupReport:
        """Both, of several hosts."""
        delivered, expected = self.delivered + other.delivered, self.expected + other.expected
        return GroupReport(
            name=self.name,
            listeners=self.listeners + other.listeners,
            joined=self.joined + other.joined,
            heard_audio=self.heard_audio + other.heard_audio,
            failed=self.failed + other.failed,
            first_failure=self.first_failure or other.first_failure,
            expected=expected,
            delivered=delivered,
            repeated=self.repeated + other.repeated,
            checked=self.checked + other.checked,
            broken=self.broken + other.broken,
            unplaced=self.unplaced + other.unplaced,
            loss_ratio=1 - delivered / expected if expected else 0.0,
            worst_listener_loss=max(self.worst_listener_loss, other.worst_listener_loss),
            latency_us=_added(self.latency_us, other.latency_us),
            first_audio_us=_added(self.first_audio_us, other.first_audio_us),
            admission_us=_added(self.admission_us, other.admission_us),
        )


def _added(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return list((Times.of(one) + Times.of(other)).counts)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a load says at the end."""

    groups: list[GroupReport]
    cpu_seconds: float
    turn_us: list[tuple[int, int]]

    def __add__(self, other: Report) -> Report:
        return Report(
            groups=[one + two for one, two in zip(self.groups, other.groups, strict=True)],
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            turn_us=_added(self.turn_us, other.turn_us),
        )


def share(plan: Plan, hosts: int) -> list[Plan]:
    """The plan of each of several hosts: together they are the whole one. Raises ValueError for no host."""
    if hosts < 1:
        raise ValueError("a load needs a host")
    plans = []
    for host in range(hosts):
        groups = []
        for group in plan.groups:
            mine = group.listeners // hosts + (host < group.listeners % hosts)
            curve = group.curve
            if isinstance(curve, Linear):
                curve = Linear(curve.per_second / hosts)
            elif isinstance(curve, Steps):
                curve = Steps(max(1, curve.size // hosts), curve.every_s)
            groups.append(msgspec.structs.replace(group, listeners=mine, curve=curve))
        plans.append(msgspec.structs.replace(plan, groups=groups, seed=plan.seed + host))
    return plans


@dataclass(slots=True)
class Load:
    """Loads on one or several hosts, begun and ended together: `async with`, then `ready`, `begin`, `end`."""

    plan: Plan
    program: Path
    cores: Sequence[int] = ()
    """Of a load on this machine; on other hosts the command says."""
    hosts: Sequence[str] = ()
    """Commands in front of the program, such as `ssh host-a taskset -c 1`; without any, one load runs here."""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _running: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def __aenter__(self) -> Load:
        """Starts them. Raises BenchFailed."""
        for plan, host in zip(share(self.plan, len(self.hosts) or 1), self.hosts or ("",), strict=True):
            text = msgspec.json.encode(plan).decode()
            front = shlex.split(host)
            # ssh hands its words to a shell.
            words = (*front, str(self.program), shlex.quote(text) if "ssh" in front[:1] else text)
            cores = () if self.hosts else self.cores
            self._running.append(await self._stack.enter_async_context(child(cores, *words, env=_HUGE_PAGES)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _all(self, event: str, patience_s: float) -> list[dict[str, Any]]:
        found = []
        for process in self._running:
            told = json.loads(await line(process, patience_s))
            if told.get("event") != event:
                raise BenchFailed(f"the load said {told.get('event')!r} instead of {event!r}")
            found.append(told)
        return found

    async def ready(self, patience_s: float) -> None:
        """Everybody who is to join before the measurement has, or failed to."""
        await self._all("ready", patience_s)

    async def begin(self, seconds: int) -> None:
        """Measurement begins, now, and lasts so long."""
        for process in self._running:
            assert process.stdin is not None
            process.stdin.write(f"begin {seconds}\n".encode())
            await process.stdin.drain()
        await self._all("begin", 10)

    async def end(self, seconds: int) -> None:
        """It is over."""
        await self._all("end", seconds + 30)

    async def report(self) -> Report:
        """What they heard, together."""
        reports = [msgspec.convert(told, Report, strict=False) for told in await self._all("report", 60)]
        whole = reports[0]
        for report in reports[1:]:
            whole += report
        return whole
