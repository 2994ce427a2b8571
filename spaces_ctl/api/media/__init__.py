"""HTTP of sound: HLS of live Spaces, replays, clips, captions, reviews, exports. `ROUTERS` go under `/api/v1`."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from spaces_ctl.api.media import captions, clips, deletions, exports, live, plays, replay, review

__all__ = ["ROOT_ROUTERS", "ROUTERS"]

ROUTERS: tuple[ControllerRouterHandler, ...] = (
    captions.router,
    clips.router,
    deletions.router,
    exports.router,
    live.router,
    plays.router,
    replay.router,
    review.router,
)
ROOT_ROUTERS: tuple[ControllerRouterHandler, ...] = (clips.page_router,)
"""As they are: pages that are shared."""
