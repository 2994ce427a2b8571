"""The numbers of this deployment's rules that a page needs to ask well."""

from __future__ import annotations

import msgspec
from litestar import Router, get

from spaces_ctl.api.spaces.params import Injected

__all__ = ["router"]


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """Lengths in characters, `clip_ms` and `invite_ms` in milliseconds."""

    max_title: int
    max_description: int
    max_topics: int
    max_cohosts: int
    max_speakers: int
    max_stage: int
    horizon_days: int
    scheduled_quota: int
    max_poll_options: int
    max_poll_text: int
    clip_ms: int
    clip_requires_recording: bool
    invite_ms: int
    appeal_days: int
    reactions: tuple[str, ...]
    report_reasons: tuple[str, ...]


@get("/limits", operation_id="getLimits", summary="Numbers of the rules")
async def limits(spaces: Injected) -> LimitsView:
    """The same for everybody; they change with a restart only."""
    rules = spaces.limits
    return LimitsView(**{name: getattr(rules, name) for name in LimitsView.__struct_fields__})


router = Router(path="", route_handlers=[limits], tags=["Service"])
