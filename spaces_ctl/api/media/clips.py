"""Clips over HTTP: lists, single ones, their files, previews, and the pages that are shared.

Made, deleted and reported by commands: `POST …/clips`, `DELETE …/clips/{clip}`, `POST …/clips/{clip}/reports`.
Files and pages are open to everybody who has their address.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, PathParameter, QueryParameter

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import before, next_before
from spaces_ctl.api.media.ranges import answer
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.pages import shared_page
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.views import ProfileView, profile_view
from spaces_ctl.media.clip_names import FILES
from spaces_ctl.media.objects import NoObject
from spaces_ctl.service.clip_pages import Page
from spaces_ctl.service.clips import SeenClip
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.shared import Shared

__all__ = ["page_router", "router"]

ClipParam = Annotated[int, PathParameter(ge=0, le=2**31 - 1, description="The clip's number.")]
FileParam = Annotated[str, PathParameter(pattern=r"^[a-z]+\.[a-z0-9]+$", description="As in `files`.")]
EndMs = Annotated[int | None, QueryParameter(ge=0, le=2**53 - 1, description="Since the Space's start. None: now.")]
LengthMs = Annotated[int, QueryParameter(ge=1, le=600_000, description="How long.")]

_FILES = "/spaces/{space:str}/clips/{clip:int}/{file:str}"
_OPT = {"stream": True, "rate": "media", "contents": tuple(FILES.values())}
_RANGED = {
    206: ResponseSpec(data_container=bytes, description="A part.", generate_examples=False),
    304: ResponseSpec(data_container=None, description="As known.", generate_examples=False),
} | problems("request.range", "space.not_found", "clip.not_found", "clip.processing", "replay.withheld")
_ANYWHERE = {"cross-origin-resource-policy": "cross-origin"}
"""Pages of others play them."""


class ClipView(msgspec.Struct, frozen=True, kw_only=True):
    """A clip. Times in it count from the Space's start."""

    space: str
    clip: int
    author: ProfileView | None
    """None: the account is gone."""
    start_ms: int
    end_ms: int
    comment: str
    created: str
    status: str
    """processing: its sound comes in seconds. ready: it can be played; videos follow. failed: what it
    is made of is gone."""
    url: str
    """The page to be shared."""
    files: dict[str, str]
    """Paths of what is there: audio.opus, audio.m4a, waveform.png, waveform.json, video.mp4, video.webm."""


class ClipPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; without those of accounts that one muted or blocked."""

    data: list[ClipView]
    next: str | None


def _view(seen: SeenClip, settings: Any) -> ClipView:
    name = wire.space_text(seen.space)
    return ClipView(
        space=name,
        clip=seen.clip,
        author=None if seen.author is None else profile_view(seen.author),
        start_ms=seen.info.start_ms,
        end_ms=seen.info.end_ms,
        comment=seen.info.comment,
        created=wire.timestamp(seen.info.created_ms),
        status="ready" if seen.ready else "failed" if seen.failed else "processing",
        url=f"{settings.public_url.rstrip('/')}/s/{name}/clips/{seen.clip}",
        files={file: f"/api/v1/spaces/{name}/clips/{seen.clip}/{file}" for file in sorted(seen.files & FILES.keys())},
    )


@get(
    "/spaces/{space:str}/clips",
    operation_id="listClips",
    summary="A Space's clips",
    responses=problems("request.cursor", "space.not_found", "replay.withheld"),
)
async def listed(
    space: SpaceParam,
    principal: Asker,
    clips: Injected,
    cursors: Injected,
    settings: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> ClipPage:
    """Newest first. A page may be shorter than asked: those that one does not see are left out."""
    name = f"clips:{space}"
    found, following = await clips.page(principal, read_space(space), before(cursors, name, cursor), limit)
    return ClipPage(data=[_view(seen, settings) for seen in found], next=next_before(cursors, name, following, limit))


@get(
    "/spaces/{space:str}/clips/{clip:int}",
    operation_id="getClip",
    summary="A clip",
    responses=problems("space.not_found", "clip.not_found", "replay.withheld"),
)
async def one(space: SpaceParam, clip: ClipParam, principal: Asker, clips: Injected, settings: Injected) -> ClipView:
    """As the viewer may see it."""
    return _view(await clips.one(principal, read_space(space), clip), settings)


async def _file(
    space: SpaceParam, clip: ClipParam, file: FileParam, clips: Injected, request: Request[Any, Any, Any]
) -> Response[Any]:
    """With ranges (RFC 9110 section 14). `clip.processing`: ask again in some seconds."""
    found = await clips.file(read_space(space), clip, file)
    try:
        return await answer(request, clips.objects, found.name, media_type=found.media_type, headers=_ANYWHERE)
    except NoObject:
        raise await clips.not_there(read_space(space), clip, file) from None


_file_get = get(
    _FILES,
    operation_id="getClipFile",
    summary="Sound, picture or video of a clip",
    responses=_RANGED,
    opt=_OPT,
)(_file)
_file_head = route(_FILES, http_method=["HEAD"], include_in_schema=False, opt=_OPT)(_file)


@get(
    "/spaces/{space:str}/clips/preview",
    operation_id="previewClip",
    summary="How a clip would sound",
    media_type="audio/ogg",
    responses=problems(
        "space.not_found",
        "role.forbidden",
        "participant.not_in_space",
        "clips.off",
        "clips.not_enabled_for_you",
        "record.not_recording",
        "replay.deleted",
        "replay.withheld",
        "replay.unavailable",
        "setting.invalid",
        "state.lobby",
        "state.scheduled",
        "state.canceled",
    ),
)
async def preview(
    space: SpaceParam, principal: Asker, clips: Injected, end_ms: EndMs = None, length_ms: LengthMs = 30_000
) -> Response[bytes]:
    """Ogg Opus of what `clip` would make of the same numbers; nothing is kept. `clip-end-ms` says where it ends."""
    end, sound = await clips.preview(principal, read_space(space), end_ms, length_ms)
    headers = {"cache-control": "no-store", "clip-end-ms": str(end)}
    return Response(sound, media_type="audio/ogg", headers=headers)


@get("/s/{space:str}/clips/{clip:int}", include_in_schema=False)
async def page(space: FromPath[str], clip: FromPath[int], clip_pages: Injected, site: Injected) -> Response[str]:
    """What a shared link shows: the app, with the clip's card."""
    return await shared_page(site, _shared(clip_pages, space, clip))


async def _shared(clip_pages: Any, space: str, clip: int) -> Shared:
    told: Shared = await clip_pages.shared(read_space(space), clip)
    return told


@get("/s/{space:str}/clips/{clip:int}/player", include_in_schema=False)
async def player(space: SpaceParam, clip: ClipParam, clip_pages: Injected) -> Response[str]:
    """For frames of other sites."""
    try:
        made: Page = await clip_pages.player(read_space(space), clip)
    except ServiceError as refused:
        if refused.info.http >= 500:
            raise
        return _html(_GONE if refused.info.http == 404 else _WITHHELD, refused.info.http)
    return _html(made, 200)


def _html(page: Page, status: int) -> Response[str]:
    headers = {"cache-control": "no-cache", "content-security-policy": page.policy}
    return Response(page.html, media_type=MediaType.HTML, status_code=status, headers=headers)


def _plain(text: str) -> Page:
    html = f'<!doctype html><html lang="en"><title>{text}</title><h1>{text}</h1></html>'
    return Page(html=html, policy="default-src 'none'; base-uri 'none'; frame-ancestors *")


_GONE = _plain("There is no such clip.")
_WITHHELD = _plain("This clip is withheld.")

router = Router(path="", route_handlers=[listed, one, preview, _file_get, _file_head], tags=["Clips"])
page_router = Router(path="", route_handlers=[page, player])
