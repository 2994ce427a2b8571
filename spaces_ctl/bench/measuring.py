"""One round: a server, its speakers, its listeners, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from spaces_ctl.bench import load, processes
from spaces_ctl.bench.errors import BenchFailed
from spaces_ctl.bench.load import Group, GroupReport, Linear, Load, Network, Plan
from spaces_ctl.bench.machine import commit
from spaces_ctl.bench.rows import Measurement, Tier
from spaces_ctl.bench.servers import SERVERS, Scene, Tools
from spaces_ctl.bench.times import Times

__all__ = ["CHECKED", "JOINERS", "LISTENERS", "Round", "measure"]

LISTENERS = "listeners"
"""The group whose frames are the figure."""
JOINERS = "joiners"
"""The group that joins while it is measured, if any."""
CHECKED = 50
"""One payload in so many has its contents checked (bench/load/src/tally.rs)."""
_MIX_TICKS = 3
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What is measured."""

    scenario: str
    server: str = "spaces"
    tier: Tier = "stage"
    listeners: int = 1_000
    speakers: int = 1
    spaces: int = 1
    shards: int = 1
    seconds: int = 5
    curve: load.Linear | load.Steps | load.Logistic = field(default_factory=lambda: Linear(500.0))
    network: Network = field(default_factory=Network)
    seed: int = 1
    ack_frequency: bool = False
    awake: bool = False
    """The server's cores are kept from sleeping."""
    connections_per_socket: int = 100
    others: Sequence[Group] = ()
    """Further groups beside the listeners: joiners, stalled ones."""
    host: str = "127.0.0.1"
    load_hosts: Sequence[str] = ()


async def measure(
    what: Round, tools: Tools, beside: Callable[[int], AbstractAsyncContextManager[None]] = lambda _: nullcontext()
) -> Measurement:
    """Runs it, and `beside` (given the server's process id) while it is measured.

    Raises BenchFailed, and Missing if a program is not there.
    """
    start = SERVERS.get(what.server)
    if start is None:
        raise BenchFailed(f"no server is called {what.server!r}: {', '.join(SERVERS)}")
    cores = tuple(range(what.shards))
    mixed = any(group.tier == "mix" for group in what.others) or what.tier == "mix"
    scene = Scene(
        speakers=what.speakers,
        spaces=what.spaces,
        shards=what.shards,
        mix=mixed,
        cores=cores,
        host=what.host,
        realtime=bool(what.load_hosts),
    )
    listeners = Group(name=LISTENERS, listeners=what.listeners, tier=what.tier, curve=what.curve)
    async with processes.awake(cores if what.awake else ()), start(tools, scene) as target:
        plan = Plan(
            server=target.address,
            protocol=target.protocol,
            speakers=what.speakers,
            spaces=target.spaces,
            path=target.path,
            groups=[listeners, *what.others],
            network=what.network,
            seed=what.seed,
            ack_frequency=what.ack_frequency,
            connections_per_socket=what.connections_per_socket,
            realtime=scene.realtime,
        )
        await asyncio.sleep(0.5)
        empty = processes.resident_bytes(target.pid)
        async with Load(plan, tools.program("load"), cores=scene.load_cores, hosts=what.load_hosts) as loads:
            await loads.ready(_patience_s(what))
            await asyncio.sleep(_SETTLE_S)
            full = processes.resident_bytes(target.pid)
            async with beside(target.pid):
                before = processes.cpu_seconds(target.pid)
                await loads.begin(what.seconds)
                await loads.end(what.seconds)
                cpu = processes.cpu_seconds(target.pid) - before
            report = await loads.report()
        if target.speaking.returncode is not None:
            raise BenchFailed(f"the speakers stopped, with code {target.speaking.returncode}")
    everybody = what.listeners + sum(group.listeners for group in what.others if group.starts == "before")
    return _measurement(what, target.server, target.version, report, cpu, (full - empty) / max(1, everybody))


def _measurement(what: Round, server: str, version: str, report: load.Report, cpu: float, each: float) -> Measurement:
    def group(name: str) -> GroupReport | None:
        return next((group for group in report.groups if group.name == name), None)

    listeners, joiners = group(LISTENERS), group(JOINERS)
    if listeners is None:
        raise BenchFailed("the load's report has no listeners")
    # A packet of the mix is one payload of three frames. A load that counts fewer checks has not looked, or cannot
    # count: its other counts are then worth nothing either.
    payloads = listeners.delivered // (_MIX_TICKS if what.tier == "mix" else 1)
    if listeners.checked < payloads // CHECKED:
        raise BenchFailed(f"the load checked {listeners.checked} of {payloads} payloads, not one in {CHECKED}")
    if listeners.joined == 0:
        raise BenchFailed(f"no listener got in at {server}: {listeners.first_failure}")
    return Measurement(
        scenario=what.scenario,
        server=server,
        version=version,
        commit=commit(),
        tier=what.tier,
        listeners=what.listeners,
        speakers=what.speakers,
        spaces=what.spaces,
        shards=what.shards,
        seconds=what.seconds,
        loss=what.network.loss,
        jitter_ms=what.network.jitter_ms,
        ack_frequency=what.ack_frequency,
        awake=what.awake,
        delivered=listeners.delivered,
        expected=listeners.expected,
        worst_listener_loss=listeners.worst_listener_loss,
        repeated=listeners.repeated,
        checked=listeners.checked,
        broken=listeners.broken,
        failed=listeners.failed,
        first_failure=listeners.first_failure,
        server_cpu_seconds=round(cpu, 3),
        load_cpu_seconds=round(report.cpu_seconds, 3),
        load_turn_p99_ms=Times.of(report.turn_us).quantile_ms(0.99),
        bytes_per_listener=round(each),
        latency_us=listeners.latency_us,
        first_audio_us=joiners.first_audio_us if joiners else listeners.first_audio_us,
        joiners=joiners.heard_audio if joiners else 0,
        joiners_failed=joiners.failed if joiners else 0,
        others_gone=sum(group.failed for group in report.groups if group.name not in (LISTENERS, JOINERS)),
    )


def _patience_s(what: Round) -> float:
    """How long everybody may take to join: the curve's own time and room for a slow server."""
    curve, count = what.curve, what.listeners
    if isinstance(curve, Linear):
        own = count / curve.per_second
    elif isinstance(curve, load.Steps):
        own = count / curve.size * curve.every_s
    else:
        own = curve.seconds * 2
    return 60 + 3 * own
