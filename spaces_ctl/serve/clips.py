"""Clips of a deployment, put together: with the media process's store and worker, or without any."""

from __future__ import annotations

from typing import Any

from spaces_ctl.api import wire
from spaces_ctl.serve.media import MediaProcess
from spaces_ctl.service.clip_pages import ClipPages
from spaces_ctl.service.clips import Clips
from spaces_ctl.service.hiding import Hiding
from spaces_ctl.service.services import Services

__all__ = ["clip_services"]


def clip_services(services: Services, media: MediaProcess | None, public_url: str) -> dict[str, Any]:
    """By the names under which handlers ask for them."""
    recordings = media.kept_by if media is not None else None
    clips = Clips(
        objects=media.objects if media is not None else None,
        clock=services.clock,
        graph=services.graph,
        hiding=Hiding(graph=services.graph, clock=services.clock, muted_by=services.graph.muted_by),
        visible=services.reading.visible,
        check=services.spaces.check,
        cutter=recordings,
    )
    if recordings is not None:
        recordings.label = clips.label
    pages = ClipPages(
        clips=clips,
        space_name=wire.space_text,
        space_of=wire.space_id,
        base_url=public_url,
    )
    return {"clips": clips, "clip_pages": pages}
