"""The scenarios that bench/RESULTS.md is made of, by name."""

from __future__ import annotations

from dataclasses import replace

from spaces_ctl.bench.load import Group, Linear, Network
from spaces_ctl.bench.measuring import JOINERS, Round

__all__ = ["FEWER", "SCENARIOS", "quick", "scenario"]

_FAST = Linear(1_000.0)


_STORM = Group(
    name=JOINERS,
    tier="mix",
    listeners=10_000,
    curve=Linear(1_000.0),
    starts="on_begin",
    stays="until_audio",
)

SCENARIOS: dict[str, list[Round]] = {
    # Each beside plain quinn in alternating rounds: the ratios of the issue.
    "pairs-1-speaker": [Round(scenario="pairs-1-speaker", server=server) for server in ("plain-quinn", "spaces")],
    "pairs-4-speakers": [
        Round(scenario="pairs-4-speakers", server=server, speakers=4) for server in ("plain-quinn", "spaces")
    ],
    "speakers": [Round(scenario="speakers", speakers=speakers) for speakers in (1, 4, 10)],
    "tiers": [
        Round(scenario="tiers", tier="stage", listeners=1_500),
        Round(scenario="tiers", tier="mix", listeners=3_000),
    ],
    # As many as use two thirds of the core: what listeners cost, and not what it costs to fall asleep.
    "tiers-full": [
        Round(scenario="tiers-full", tier="stage", listeners=3_000, awake=True),
        Round(scenario="tiers-full", tier="mix", listeners=7_000, curve=_FAST, awake=True),
    ],
    # The same number of packets a second on both: what a turn of the loop costs, and the sleep after it, is shared by
    # as many.
    "tiers-even": [
        Round(scenario="tiers-even", tier="stage", listeners=3_000, curve=_FAST),
        Round(scenario="tiers-even", tier="mix", listeners=9_000, curve=_FAST),
    ],
    "growth-stage": [
        Round(scenario="growth-stage", listeners=listeners) for listeners in (200, 500, 1_000, 1_500, 2_000, 3_000)
    ],
    "growth-mix": [
        Round(scenario="growth-mix", tier="mix", listeners=listeners, curve=_FAST)
        for listeners in (1_000, 2_000, 4_000, 7_000, 10_000)
    ],
    "growth-mix-awake": [
        Round(scenario="growth-mix-awake", tier="mix", listeners=listeners, curve=_FAST, awake=True)
        for listeners in (1_000, 2_000, 4_000, 7_000)
    ],
    "shards": [
        # Few connections a socket: the kernel spreads sockets, not connections, over shards.
        Round(scenario="shards", listeners=1_000 * shards, shards=shards, connections_per_socket=4)
        for shards in (1, 2)
    ],
    "spaces": [Round(scenario="spaces", spaces=spaces) for spaces in (1, 20, 100)],
    "ack-frequency": [Round(scenario="ack-frequency", ack_frequency=offered) for offered in (False, True)],
    "networks": [
        Round(scenario="networks", listeners=500, network=network)
        for network in (Network(), Network(loss=0.01), Network(loss=0.05, jitter_ms=30.0), Network(jitter_ms=60.0))
    ],
    "storm": [Round(scenario="storm", tier="mix", listeners=3_000, seconds=11, others=(_STORM,))],
    "hostile": [
        Round(scenario="hostile-none"),
        Round(
            scenario="hostile-stalled",
            others=(Group(name="stalled", listeners=200, behaviour="stalled"),),
        ),
        Round(
            scenario="hostile-tiny-windows",
            others=(Group(name="tiny", listeners=200, behaviour="tiny_windows"),),
        ),
        Round(
            scenario="hostile-optimists",
            others=(Group(name="optimists", listeners=200, behaviour="optimists"),),
        ),
    ],
}
"""Lists of rounds that alternate."""

FEWER = {"growth-stage", "shards", "spaces", "networks"}
"""Scenarios that no target is judged by: three rounds do."""


def scenario(name: str) -> list[Round]:
    """By name. Raises KeyError."""
    return SCENARIOS[name]


def quick(rounds: list[Round]) -> list[Round]:
    """The same with a thirtieth of the people and two seconds: shows that it works, and nothing about speed."""

    def fewer(count: int) -> int:
        return max(4, count // 30)

    def smaller(group: Group) -> Group:
        curve = Linear(group.curve.per_second / 30) if isinstance(group.curve, Linear) else group.curve
        return Group(
            name=group.name,
            tier=group.tier,
            listeners=fewer(group.listeners) if group.starts == "before" else 40,
            curve=curve,
            starts=group.starts,
            stays=group.stays,
            behaviour=group.behaviour,
        )

    return [
        replace(
            one,
            listeners=fewer(one.listeners),
            spaces=min(one.spaces, 4),
            seconds=2,
            others=tuple(smaller(group) for group in one.others),
        )
        for one in rounds
    ]
