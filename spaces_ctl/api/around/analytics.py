"""A host's analytics."""

from __future__ import annotations

import msgspec
from litestar import Router, get

from spaces_ctl.api import wire
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space

__all__ = ["router"]


class MomentView(msgspec.Struct, frozen=True, kw_only=True):
    """The most people in one stretch; `held`: relative to the largest audience until then."""

    at: str
    named: int
    anonymous: int
    guests: int
    held: float


class AnalyticsView(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a Space. `listened_ms`: people times time, an upper bound."""

    space: str
    bucket_ms: int
    moments: list[MomentView]
    peak: int
    listened_ms: int
    reactions: dict[str, int]
    requests: int
    clips: int
    replay_plays: int
    reminders: int
    tickets: int


@get(
    "/spaces/{space:str}/analytics",
    operation_id="getAnalytics",
    summary="A host's analytics",
    responses=problems("role.forbidden", "space.not_found"),
)
async def analytics_of(space: SpaceParam, principal: Asker, analytics: Injected) -> AnalyticsView:
    """For its creator and hosts."""
    report = await analytics.report(principal, read_space(space))
    return AnalyticsView(
        space=wire.space_text(report.space),
        bucket_ms=report.bucket_ms,
        moments=[
            MomentView(
                at=wire.timestamp(moment.at_ms),
                named=moment.named,
                anonymous=moment.anonymous,
                guests=moment.guests,
                held=moment.held,
            )
            for moment in report.moments
        ],
        peak=report.peak,
        listened_ms=report.listened_ms,
        reactions=report.reactions,
        requests=report.requests,
        clips=report.clips,
        replay_plays=report.replay_plays,
        reminders=report.reminders,
        tickets=report.tickets,
    )


router = Router(path="", route_handlers=[analytics_of], tags=["Analytics"])
