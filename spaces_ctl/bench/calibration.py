"""What measurements say of costs, in the form that the plan needs; the package ships with that of bench/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from spaces_ctl.bench.rows import BadResults, Measurement, Tier, median, read

__all__ = ["Calibration", "TierCost", "calibrate", "load_calibration", "shipped"]


class TierCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one listener costs a server, by measurement."""

    server: str
    version: str
    tier: Tier
    speakers: int
    listeners: int
    """How many were measured."""
    core_seconds_per_listener_second: float
    bytes_per_listener: float
    p99_ms: float | None
    rounds: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Costs of all servers and tiers that were measured, and where that was."""

    source: str
    """File and commit."""
    machine: dict[str, str]
    costs: list[TierCost]
    core_seconds_per_join: float | None = None
    """What a join and what follows until the first audio cost, from the join storm; None: not measured."""

    def cost(self, server: str, tier: Tier, speakers: int = 1) -> TierCost | None:
        """The cost measured with so many speakers, else with the nearest number; of several crowds, the largest."""
        found = [cost for cost in self.costs if cost.server == server and cost.tier == tier]
        return min(found, key=lambda cost: (abs(cost.speakers - speakers), -cost.listeners), default=None)


def calibrate(measurements: Iterable[Measurement], source: str, machine: dict[str, str]) -> Calibration:
    """The medians of clean measurements: a perfect network, no ACK_FREQUENCY, one Space, nobody else.

    Those of a server beyond its capacity (1 % lost, or p99 over 100 ms) say nothing of its cost and are left out.
    Raises BadResults if nothing is left.
    """
    everything = list(measurements)
    groups: dict[tuple[str, str, Tier, int, int], list[Measurement]] = {}
    for one in everything:
        perfect = not (one.loss or one.jitter_ms or one.ack_frequency or one.awake or one.joiners or one.joiners_failed)
        p99 = one.latency.quantile_ms(0.99)
        sound = one.loss_ratio < 0.01 and p99 is not None and p99 < 100 and one.server_cpu_seconds > 0
        if perfect and sound and one.spaces == 1 and one.shards == 1:
            groups.setdefault((one.server, one.version, one.tier, one.speakers, one.listeners), []).append(one)
    if not groups:
        raise BadResults("no measurement from which costs could be told")
    costs = [
        TierCost(
            server=server,
            version=version,
            tier=tier,
            speakers=speakers,
            listeners=listeners,
            core_seconds_per_listener_second=median(1 / one.listeners_per_core for one in rounds),
            bytes_per_listener=median(one.bytes_per_listener for one in rounds),
            p99_ms=median(one.latency.quantile_ms(0.99) or 0.0 for one in rounds),
            rounds=len(rounds),
        )
        for (server, version, tier, speakers, listeners), rounds in sorted(groups.items())
    ]
    calibration = Calibration(source=source, machine=machine, costs=costs)
    return msgspec.structs.replace(calibration, core_seconds_per_join=_join(everything, calibration))


def _join(measurements: Sequence[Measurement], calibration: Calibration) -> float | None:
    """The storm's cost less that of those who listened throughout, for each joiner."""
    found = []
    for one in measurements:
        listening = calibration.cost(one.server, one.tier, one.speakers)
        if one.server != "spaces" or not one.joiners or listening is None:
            continue
        rest = one.server_cpu_seconds - listening.core_seconds_per_listener_second * one.listeners * one.seconds
        if rest > 0:
            found.append(rest / one.joiners)
    return median(found) if found else None


def shipped() -> Calibration:
    """The one that this package came with."""
    data = resources.files("spaces_ctl.bench").joinpath("calibration.json").read_bytes()
    return msgspec.json.decode(data, type=Calibration)


def load_calibration(path: Path) -> Calibration:
    """From a calibration or from results (JSON lines). Raises BadResults, naming the file, and OSError."""
    if path.suffix == ".jsonl":
        return calibrate(read(path), str(path), {})
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except msgspec.MsgspecError as error:
        raise BadResults(f"{path}: {error}") from None
