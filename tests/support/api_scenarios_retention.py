"""Scenarios, as in `api_scenarios`: deletions, reviews, exports, and live HLS."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.model import SpaceId
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import recordings
from tests.support.api_scenarios import Ready, Scenario, replay_of, standing
from tests.support.api_scenarios_around import case_of
from tests.support.api_world import HOST, MODERATOR, OPERATOR, ApiWorld

__all__ = ["SCENARIOS", "exported", "reviewed"]


async def keep(world: ApiWorld, space: SpaceId) -> None:
    """The Space's sound was recorded, as the log of the worker says."""
    await world.db.write(lambda k: recordings.ensure_key(k, space, bytes(32)))


async def reviewable(world: ApiWorld) -> int:
    """A case about a Space that was recorded."""
    space = await standing(world)
    await keep(world, space)
    return await case_of(world, space)


async def reviewed(world: ApiWorld) -> tuple[int, str]:
    """A read, and what is behind the path in the link to its mix."""
    moderator = Principal(account=MODERATOR, moderator=True)
    opened = await world.more.retention.reviews.open(moderator, await reviewable(world), "to hear it")
    path = f"/api/v1/moderation/reviews/{opened.read.id}/mix"
    return opened.read.id, world.more.retention.links.query(path, MODERATOR, opened.read.expires_ms)


async def exported(world: ApiWorld) -> tuple[SpaceId, str]:
    """A Space with an export, and what is behind the path in the link to it."""
    space = await replay_of(world)
    await keep(world, space)
    await world.do(HOST, space, c.Export())
    await world.more.react()
    await world.more.retention.settle()
    path = f"/api/v1/spaces/{wire.space_text(space)}/exports/1/download"
    return space, world.more.retention.links.query(path, HOST, world.clock.now_ms() + 3_600_000)


def _query(query: str) -> dict[str, Any]:
    return dict(parse_qsl(urlsplit(f"?{query}").query))


def _plain(who: int) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        return Ready(who, {})

    return ready


async def _review(world: ApiWorld) -> Ready:
    return Ready(MODERATOR, {"id": str(await reviewable(world))}, {"why": "to hear it"})


async def _sound(world: ApiWorld) -> Ready:
    read, query = await reviewed(world)
    return Ready(None, {"id": str(read), "track": "mix"}, query=_query(query))


async def _export(world: ApiWorld) -> Ready:
    space, _ = await exported(world)
    return Ready(HOST, {"space": wire.space_text(space), "number": "1"})


async def _download(world: ApiWorld) -> Ready:
    space, query = await exported(world)
    return Ready(None, {"space": wire.space_text(space), "number": "1"}, query=_query(query))


async def _live(world: ApiWorld) -> Ready:
    return Ready(HOST, {"space": wire.space_text(await standing(world))})


async def _segment(world: ApiWorld) -> Ready:
    space = wire.space_text(await standing(world))
    query = world.more.retention.links.query(
        f"/api/v1/spaces/{space}/live/segments/8.m4s", None, world.clock.now_ms() + 1_000
    )
    return Ready(None, {"space": space, "name": "8.m4s"}, query=_query(query))


SCENARIOS: dict[str, Scenario] = {
    "listDeletions": _plain(MODERATOR),
    "listReviews": _plain(OPERATOR),
    "reviewCase": _review,
    "getReviewSound": _sound,
    "listExports": _export,
    "getExport": _export,
    "downloadExport": _download,
    "getLiveHls": _live,
    "getLiveHlsSegments": _live,
    "getLiveHlsInitialisation": _live,
    "getLiveSegment": _segment,
}
