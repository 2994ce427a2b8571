"""When a Space's audience is so large that it is told to hear the mix. Pure: sizes and times are handed in."""

from __future__ import annotations

from typing import Literal

import msgspec

from spaces_ctl.policy.limits import Limits

__all__ = ["Crowd", "MixFor", "count", "mix_for"]

MixFor = Literal["nobody", "weak", "everybody"]
"""Which listeners are told to hear the mix; those on stage never are."""


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of an audience's size."""

    large: bool = False
    small_since_ms: int | None = None
    """While it counts as large: since when it has been small."""


def count(before: Crowd, people: int, now_ms: int, limits: Limits) -> Crowd:
    """After another look: large at once, small again only after `mix_hold_ms` well below the threshold."""
    if people > limits.mix_above:
        return Crowd(large=True)
    if not before.large or people * 100 > limits.mix_above * limits.mix_below_percent:
        return Crowd(large=before.large)
    since_ms = now_ms if before.small_since_ms is None else before.small_since_ms
    if now_ms - since_ms >= limits.mix_hold_ms:
        return Crowd()
    return Crowd(large=True, small_since_ms=since_ms)


def mix_for(crowd: Crowd, limits: Limits) -> MixFor:
    """What the engine is told."""
    match limits.mix_tier:
        case "never":
            return "nobody"
        case "always":
            return "everybody"
        case "auto":
            return "everybody" if crowd.large else "weak"
