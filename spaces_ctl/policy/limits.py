"""Numbers and switches of a deployment, and the presets that the sources of the product disagree about."""

from __future__ import annotations

from typing import Literal

import msgspec

from spaces_ctl.model import ClientClass

__all__ = ["PRESETS", "Limits"]

_ALL_CLIENTS = frozenset(ClientClass)


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every number and switch of the rules; durations in the unit that the name ends with."""

    max_cohosts: int = 2
    max_speakers: int = 10
    """Besides host and co-hosts; a free co-host's seat is not a speaker's."""
    max_stage: int = 13
    """All together; the engine has 13 seats."""
    horizon_days: int = 30
    """How far ahead a Space may be scheduled."""
    scheduled_quota: int = 10
    """Scheduled Spaces a host."""
    max_topics: int = 3
    max_title: int = 70
    max_description: int = 400
    min_followers_to_host: int = 0
    removal_bars_rejoin: bool = True
    creator_reclaims: bool = True
    """A creator who comes back is primary admin again, unless they transferred it."""
    resume_window_ms: int = 30_000
    """How long a lost connection keeps its role."""
    orphan_timeout_ms: int = 300_000
    """How long a live Space goes on without a host."""
    no_show_ms: int = 86_400_000
    """When a scheduled Space without a start is given up."""
    invite_ms: int = 600_000
    """Life of an invitation to somebody in the Space; outside it lives until the end."""
    clip_ms: int = 30_000
    clip_requires_recording: bool = False
    clip_cohort_percent: int = 100
    """How many accounts may clip, by hash."""
    replay_ttl_days: int | None = None
    """None: until deleted; 30 in the preset of older apps."""
    audit_copy: bool = True
    """Keep a review copy of unrecorded Spaces."""
    audit_days: int = 30
    hold_days: int = 120
    appeal_days: int = 30
    mix_tier: Literal["auto", "never", "always"] = "auto"
    """Who is told to hear the mix (one stream, a third of the packets, 80 ms later) instead of the stage.

    `auto`: large audiences, and anybody whose own connection is too weak. `never`: nobody, though who wants to save
    data still gets it.
    """
    mix_above: int = 1_000
    """An audience of more people is large."""
    mix_below_percent: int = 70
    """It is small again at this share of `mix_above` …"""
    mix_hold_ms: int = 60_000
    """… after so long."""
    max_poll_options: int = 4
    max_poll_text: int = 100
    reactions: tuple[str, ...] = ("100", "fist", "peace", "wave", "joy")
    report_reasons: tuple[str, ...] = ("abuse", "hate", "violence", "self_harm", "private_information", "spam", "other")
    reports_an_hour: int = 20
    """By one account, in all Spaces."""
    create_clients: frozenset[ClientClass] = _ALL_CLIENTS
    speak_clients: frozenset[ClientClass] = _ALL_CLIENTS


PRESETS: dict[str, Limits] = {
    "x13": Limits(),
    "classic11": Limits(max_cohosts=0, max_speakers=10, max_stage=11),
    "api10": Limits(max_cohosts=2, max_speakers=9, max_stage=10, horizon_days=14),
    "replay30": Limits(replay_ttl_days=30),
    "mobile_first": Limits(
        create_clients=frozenset({ClientClass.IOS, ClientClass.ANDROID, ClientClass.API}),
        speak_clients=frozenset({ClientClass.IOS, ClientClass.ANDROID, ClientClass.API}),
    ),
    "allow_rejoin_after_removal": Limits(removal_bars_rejoin=False),
}
