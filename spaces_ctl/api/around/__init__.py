"""HTTP of what is around a Space. `ROUTERS` go under `/api/v1`, `ROOT_ROUTERS` as they are."""

from __future__ import annotations

from spaces_ctl.api.around import (
    analytics,
    cards,
    communities,
    discovery,
    limits,
    moderation,
    notifications,
    posts,
    tickets,
    webhooks,
)

__all__ = ["ROOT_ROUTERS", "ROUTERS"]

ROUTERS = (
    discovery.router,
    limits.router,
    notifications.router,
    webhooks.router,
    tickets.router,
    communities.router,
    posts.router,
    moderation.router,
    analytics.router,
)
ROOT_ROUTERS = (cards.router,)
