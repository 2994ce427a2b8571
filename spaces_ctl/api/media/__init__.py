"""HTTP of what becomes of recordings: replays, clips, captions, reviews, exports. `ROUTERS` go under `/api/v1`."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from spaces_ctl.api.media import deletions, exports, review

__all__ = ["ROOT_ROUTERS", "ROUTERS"]

ROUTERS: tuple[ControllerRouterHandler, ...] = (deletions.router, exports.router, review.router)
ROOT_ROUTERS: tuple[ControllerRouterHandler, ...] = ()
"""As they are: pages that are shared."""
