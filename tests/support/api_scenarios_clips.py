"""Scenarios, as in `api_scenarios`, of clips."""

from __future__ import annotations

from spaces_ctl.api import wire
from spaces_ctl.media.clip_names import FILES, name_of
from spaces_ctl.model import SpaceId
from tests.support.api_scenarios import Ready, Scenario, standing
from tests.support.api_world import ANN, ApiWorld

__all__ = ["SCENARIOS", "made"]


async def made(world: ApiWorld, space: SpaceId, clip: int = 1) -> None:
    """The worker has cut a clip."""
    for file in FILES:
        await world.more.objects.put(name_of(space, clip, file), f"{file} of {clip}".encode())


def _of(who: int | None, **more: str) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        space = await standing(world)
        await made(world, space)
        return Ready(who, {"space": wire.space_text(space), **more})

    return ready


async def _preview(world: ApiWorld) -> Ready:
    space = await standing(world)
    return Ready(ANN, {"space": wire.space_text(space)}, None, {"end_ms": 20_000, "length_ms": 5_000})


SCENARIOS: dict[str, Scenario] = {
    "listClips": _of(None),
    "getClip": _of(None, clip="1"),
    "getClipFile": _of(None, clip="1", file="audio.opus"),
    "previewClip": _preview,
}
