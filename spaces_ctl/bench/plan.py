"""What an audience needs: cores, bandwidth, machines, money. Pure; every number says where it comes from.

The model is a product of few factors, on purpose: a listener is taken to cost the same in any crowd ("Growth" in
RESULTS.md says how true that is), the rest is rates, sizes and prices. What had to be assumed can be said otherwise.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from spaces_ctl.bench.calibration import Calibration, TierCost
from spaces_ctl.bench.rows import Tier

__all__ = ["Assumptions", "Figure", "Fleet", "NotCalibrated", "Plan", "plan"]

Source = Literal["measured", "assumed", "computed", "specified"]

_TICKS_PER_SECOND = 50
_MIX_TICKS = 3
_STAGE_ENTRY = 4
"""Bytes before a frame in a bundle: head, level, a two-byte length (core/src/bundle.rs)."""
_MIX_HEAD = 4
"""Bytes before the mix's Opus packet, one seat heard (core/src/mix_bundle.rs)."""
_OBJECT = 12
"""Header of a MoQT object datagram: type, alias, group of 4 bytes, timestamp property of 6."""
_QUIC = 1 + 8 + 2 + 3 + 16
"""Short header with an 8-byte connection id and packet number of 2, DATAGRAM frame's type and length, AEAD tag."""
_UDP_IP = 8 + 20
"""UDP over IPv4."""
_ETHERNET = 38
"""Frame, checksum, preamble and gap: what a link spends; clouds bill without."""


class NotCalibrated(ValueError):
    """The calibration has no measurement of what is to be planned."""


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was not measured; the defaults are ours."""

    core_hour: float = 0.02
    """Price of a core for an hour; the currency is the caller's."""
    gigabyte: float = 0.005
    """Price of 10^9 bytes that leave."""
    utilisation: float = 0.6
    """Of a core that is planned to be used, so that a failing neighbour's listeners fit in."""
    link_gbit: float = 10.0
    """Of an edge's network card."""
    link_share: float = 0.7
    """Of it that is planned to be used."""
    cores_per_edge: int = 8
    memory_per_edge_gb: float = 16.0
    bitrate: int = 32_000
    """Opus, bit/s, of each speaker and of the mix."""
    talking: float = 1.3
    """Speakers heard at the same time, on average: turns with some overlap."""
    join_minutes: float = 5.0
    """In which half of the audience comes at the beginning."""
    relay_price: float = 0.0
    """What somebody else's relay takes for 10^9 bytes on top; 0: relays that one runs oneself."""


class Figure(msgspec.Struct, frozen=True):
    """A number with its unit and source."""

    name: str
    value: float
    unit: str
    source: Source
    how: str


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """One way to serve the audience."""

    name: str
    tier: Tier
    figures: list[Figure]

    def __getitem__(self, name: str) -> float:
        """A figure's value. Raises KeyError."""
        for figure in self.figures:
            if figure.name == name:
                return figure.value
        raise KeyError(name)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All ways, side by side."""

    listeners: int
    calibration: str
    machine: dict[str, str]
    assumptions: Assumptions
    fleets: list[Fleet]
    missing: list[str]
    """What could not be planned, and why."""


def packet_bytes(tier: Tier, assumptions: Assumptions) -> float:
    """IP bytes of a packet to one listener, on average."""
    frame = assumptions.bitrate / 8 / _TICKS_PER_SECOND
    payload = {"mix": frame * _MIX_TICKS + _MIX_HEAD, "stage": assumptions.talking * (frame + _STAGE_ENTRY)}
    return payload[tier] + _OBJECT + _QUIC + _UDP_IP


def packets_per_second(tier: Tier) -> float:
    """Packets to one listener: one a tick on the stage, one for three ticks of the mix."""
    return _TICKS_PER_SECOND / _MIX_TICKS if tier == "mix" else float(_TICKS_PER_SECOND)


def plan(listeners: int, calibration: Calibration, assumptions: Assumptions | None = None) -> Plan:
    """Own edges with `stage` and `mix`, and moq-relays with `stage`.

    Raises NotCalibrated if our own server was not measured, ValueError for no listeners.
    """
    if listeners < 1:
        raise ValueError("a plan needs a listener")
    given = assumptions or Assumptions()
    ways: list[tuple[str, str, Tier]] = [
        ("own edges, stage", "spaces", "stage"),
        ("own edges, mix at 60 ms", "spaces", "mix"),
        ("moq-relay, stage", "moq-relay", "stage"),
    ]
    fleets, missing = [], []
    for name, server, tier in ways:
        # The bundle of all who talk is one packet, so the cost of one speaker is the nearest to that of 1.3.
        cost = calibration.cost(server, tier, 1)
        if cost is None:
            missing.append(f"{name}: {server} on {tier} is not in {calibration.source}")
        else:
            fleets.append(_fleet(name, listeners, cost, calibration, given))
    if not any(fleet.name.startswith("own") for fleet in fleets):
        raise NotCalibrated(f"{calibration.source} has no measurement of spaces")
    return Plan(
        listeners=listeners,
        calibration=calibration.source,
        machine=calibration.machine,
        assumptions=given,
        fleets=fleets,
        missing=missing,
    )


def _fleet(name: str, listeners: int, cost: TierCost, calibration: Calibration, given: Assumptions) -> Fleet:
    tier = cost.tier
    size, rate = packet_bytes(tier, given), packets_per_second(tier)
    bandwidth = size * 8 * rate
    busy = listeners * cost.core_seconds_per_listener_second
    joins = listeners / 2 / (given.join_minutes * 60)
    joining = joins * (calibration.core_seconds_per_join or 0.0)
    cores = (busy + joining) / given.utilisation
    egress = listeners * bandwidth / 1e9
    wire = listeners * (size + _ETHERNET) * 8 * rate / 1e9
    memory = listeners * cost.bytes_per_listener / 1e9
    by_core = cores / given.cores_per_edge
    by_link = wire / (given.link_gbit * given.link_share)
    by_memory = memory / given.memory_per_edge_gb
    edges = math.ceil(max(by_core, by_link, by_memory))
    gigabytes = bandwidth / 8 * 3600 / 1e9
    core_money = edges * given.cores_per_edge * given.core_hour / listeners
    byte_money = gigabytes * given.gigabyte
    relay_money = gigabytes * given.relay_price if cost.server != "spaces" else 0.0
    measured = (
        f"{cost.server} {cost.version}, {cost.listeners} listeners, {cost.speakers} speaker(s), median of {cost.rounds}"
    )
    tightest = max((by_core, "cores"), (by_link, "network card"), (by_memory, "memory"))[1]
    joined = "measured in the join storm" if calibration.core_seconds_per_join else "not measured: taken as nothing"
    figures = [
        Figure(
            "cost", cost.core_seconds_per_listener_second * 1e6, "µs of core a listener-second", "measured", measured
        ),
        Figure("memory", cost.bytes_per_listener / 1000, "KB a listener", "measured", measured),
        Figure("packet", size, "bytes of IP", "computed", "Opus, bundle, object, QUIC, UDP, IPv4 (plan.py)"),
        Figure("rate", rate, "packets/s a listener", "specified", "one a tick of 20 ms; three ticks in one on mix"),
        Figure("bandwidth", bandwidth / 1000, "kbit/s a listener", "computed", "packet × rate"),
        Figure(
            "joins",
            joins,
            "joins/s at the peak",
            "computed",
            f"half of all within {given.join_minutes:g} min (assumed)",
        ),
        Figure("join cores", joining, "cores at the peak", "computed", f"joins × core-seconds a join ({joined})"),
        Figure("busy cores", busy, "cores", "computed", "listeners × cost"),
        Figure(
            "cores", cores, "cores", "computed", f"(busy + join cores) / {given.utilisation:g} (assumed utilisation)"
        ),
        Figure("egress", egress, "Gbit/s", "computed", "listeners × bandwidth, without Ethernet"),
        Figure(
            "edges",
            edges,
            "machines",
            "computed",
            f"{tightest} decide(s): {given.cores_per_edge} cores, "
            f"{given.link_gbit:g} Gbit/s × {given.link_share:g}, {given.memory_per_edge_gb:g} GB (assumed)",
        ),
        Figure("uplinks", edges, "streams", "computed", "one upstream subscription a machine, whatever its audience"),
        Figure("volume", gigabytes, "GB a listener-hour", "computed", "bandwidth × 1 h"),
        Figure(
            "core money",
            core_money,
            "a listener-hour",
            "computed",
            f"machines × {given.core_hour:g} a core-hour (assumed)",
        ),
        Figure("byte money", byte_money, "a listener-hour", "computed", f"volume × {given.gigabyte:g} a GB (assumed)"),
        Figure(
            "relay money", relay_money, "a listener-hour", "computed", f"volume × {given.relay_price:g} a GB (assumed)"
        ),
        Figure("money", core_money + byte_money + relay_money, "a listener-hour", "computed", "the three together"),
    ]
    return Fleet(name=name, tier=tier, figures=figures)
