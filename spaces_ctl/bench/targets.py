"""What this server is meant to reach, and whether a run of the suite shows that it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from spaces_ctl.bench.limit import Ceiling
from spaces_ctl.bench.rows import Measurement, median, paired

__all__ = ["Target", "targets"]

OURS = "spaces"
LEAST_LOSS = 0.001
"""Loss up to which a figure counts."""
LATEST_MS = 40.0
"""p99 up to which a figure of the stage counts."""
PACKET = 126
"""Bytes of the stage's packet with one speaker. There a frame is a packet, as in the limit."""

Rounds = Sequence[Measurement]


class Target(NamedTuple):
    """One line."""

    what: str
    wanted: str
    measured: str
    reached: bool


def targets(measurements: Rounds, ceilings: Sequence[Ceiling]) -> list[Target]:
    """Those for which there are measurements, in the order in which one reads them."""
    found: list[Target] = []
    found += _beside(measurements, "pairs-1-speaker", "plain quinn", 1.8, "1 speaker")
    found += _beside(measurements, "compare", "icecast", 1.0, "1 speaker, beside Icecast")
    found += _beside(measurements, "compare", "mumble-server", 1.0, "1 speaker, beside mumble-server")
    found += _speakers(measurements, 4, 3.0)
    found += _speakers(measurements, 10, 7.0)
    for scenario in ("tiers", "tiers-full", "tiers-even"):
        found += _tiers(measurements, scenario)
    found += _limit(measurements, ceilings)
    found += _crowd(measurements)
    found += _flat(measurements, "growth-stage", "stage")
    found += _flat(measurements, "growth-mix", "mix")
    found += _flat(measurements, "growth-mix-awake", "mix")
    found += _memory(measurements)
    found += _storm(measurements)
    found += _hostile(measurements)
    return found


def _of(measurements: Rounds, scenario: str, server: str = OURS) -> list[Measurement]:
    return [one for one in measurements if one.scenario == scenario and one.server.startswith(server)]


def _p99(rounds: Rounds) -> float:
    found = [late for one in rounds if (late := one.latency.quantile_ms(0.99)) is not None]
    return median(found) if found else float("inf")


def _counts(rounds: Rounds, latest_ms: float = LATEST_MS) -> bool:
    return median(one.loss_ratio for one in rounds) <= LEAST_LOSS and _p99(rounds) <= latest_ms


def _frames(one: Measurement) -> float:
    return one.frames_per_core_second


def _beside(measurements: Rounds, scenario: str, other: str, least: float, what: str) -> Iterator[Target]:
    ours = _of(measurements, scenario)
    if (ratio := paired(ours, _of(measurements, scenario, other), _frames)) is not None:
        wanted = f"≥ {least:g} × {other}'s frames per core-second; loss ≤ {LEAST_LOSS:.1%}, p99 ≤ {LATEST_MS:g} ms"
        measured = f"{ratio}; p99 {_p99(ours):.1f} ms"
        yield Target(what, wanted, measured, ratio.median >= least and _counts(ours))


def _speakers(measurements: Rounds, speakers: int, least: float) -> Iterator[Target]:
    rounds = _of(measurements, "speakers")
    many = [one for one in rounds if one.speakers == speakers]
    if (ratio := paired(many, [one for one in rounds if one.speakers == 1], _frames)) is not None:
        measured = f"{ratio}; p99 {_p99(many):.1f} ms"
        wanted = f"≥ {least:g} × the frames of 1 speaker"
        yield Target(f"{speakers} speakers", wanted, measured, ratio.median >= least and _counts(many))


def _awake(rounds: Rounds) -> str:
    return ", core kept awake" if rounds and all(one.awake for one in rounds) else ""


def _tiers(measurements: Rounds, scenario: str) -> Iterator[Target]:
    rounds = _of(measurements, scenario)
    mix, stage = ([one for one in rounds if one.tier == tier] for tier in ("mix", "stage"))
    if (ratio := paired(mix, stage, lambda one: one.listeners_per_core)) is not None:
        what = f"`mix` in packets of 60 ms, {mix[0].listeners:,} beside {stage[0].listeners:,}{_awake(rounds)}"
        reached = ratio.median >= 2.5 and _counts(mix, 60.0) and _counts(stage)
        yield Target(what, "≥ 2.5 × the stage's listeners per core", str(ratio), reached)


def _limit(measurements: Rounds, ceilings: Sequence[Ceiling]) -> Iterator[Target]:
    ours = _of(measurements, "pairs-1-speaker")
    limits = [one.packets_per_core_second for one in ceilings if (one.size, one.segments) == (PACKET, 1)]
    if ours and limits:
        share = median(map(_frames, ours)) / median(limits)
        wanted = "≥ 50% of AES-128-GCM and sendmmsg alone"
        yield Target("share of the limit", wanted, f"{share:.0%} of {median(limits):,.0f}", share >= 0.5)


def _crowd(measurements: Rounds) -> Iterator[Target]:
    rounds = [one for one in _of(measurements, "growth-mix") if one.listeners == 7_000]
    if rounds:
        loss = median(one.loss_ratio for one in rounds)
        used = median(one.server_cpu_seconds / one.seconds for one in rounds)
        measured = f"p99 {_p99(rounds):.1f} ms, loss {loss:.4%}, {used:.0%} of the core"
        yield Target("7,000 on `mix`, one core", "p99 ≤ 60 ms", measured, _counts(rounds, 60.0))


def _flat(measurements: Rounds, scenario: str, tier: str) -> Iterator[Target]:
    """Of those that the core can serve: beyond, a server saves by sending late."""
    rounds = [one for one in _of(measurements, scenario) if one.listeners >= 1_000]
    sizes = sorted({one.listeners for one in rounds})
    served = [size for size in sizes if _counts([one for one in rounds if one.listeners == size], 60.0)]
    costs = [median(1e6 / one.listeners_per_core for one in rounds if one.listeners == size) for size in served]
    if len(costs) > 1:
        middle = (min(costs) + max(costs)) / 2
        spread = max(costs) / middle - 1
        measured = f"± {spread:.0%}: {costs[0]:.0f} µs a second at {served[0]:,}, {costs[-1]:.0f} at {served[-1]:,}"
        what = f"cost of a listener on `{tier}`, from 1,000 up{_awake(rounds)}"
        yield Target(what, "flat, ± 15%", measured, spread <= 0.15)


def _memory(measurements: Rounds) -> Iterator[Target]:
    if ours := _of(measurements, "pairs-1-speaker"):
        each = median(one.bytes_per_listener for one in ours) / 1000
        yield Target("resident memory of a listener", "≤ 20 KB", f"{each:.1f} KB", each <= 20)


def _storm(measurements: Rounds) -> Iterator[Target]:
    if rounds := _of(measurements, "storm"):
        worst = max(one.worst_listener_loss for one in rounds)
        first = [late for one in rounds if (late := one.first_audio.quantile_ms(0.99)) is not None]
        failed = sum(one.joiners_failed for one in rounds)
        audio = f"{median(first):.0f} ms" if first else "never"
        measured = f"the worst of all rounds lost {worst:.4%}; join to first audio p99 {audio}; {failed} could not join"
        yield Target("1,000 joins a second beside 3,000 on `mix`", "those lose nothing", measured, worst == 0)


def _hostile(measurements: Rounds) -> Iterator[Target]:
    alone = _of(measurements, "hostile-none")
    names = dict.fromkeys(one.scenario for one in measurements if one.scenario.startswith("hostile-"))
    for name in names:
        rounds = _of(measurements, name)
        if name == "hostile-none" or not alone or not rounds:
            continue
        worst = max(one.worst_listener_loss for one in rounds)
        measured = f"the worst lost {worst:.4%}; p99 {_p99(rounds):.1f} ms, alone {_p99(alone):.1f} ms"
        what = f"200 {name.removeprefix('hostile-').replace('-', ' ')} beside 1,000"
        yield Target(what, "the others lose nothing", measured, worst == 0 and _counts(rounds))
