"""A Space's replay over HTTP: what it is, its files with ranges, HLS, who speaks when.

Every request asks the Space's state first: what is withheld or deleted is refused from the next request on.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter

from spaces_ctl.api import wire
from spaces_ctl.api.media import ranges
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.commands import refusals
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.views import ProfileView, profile_view
from spaces_ctl.commands import PlayReplay
from spaces_ctl.media.objects import NoObject
from spaces_ctl.media.replay_files import AUDIO_M4A, AUDIO_OPUS, MAIN_OPUS_PLAYLIST, MAIN_PLAYLIST, PEAKS
from spaces_ctl.segments import TICK_MS
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.replays import Chapter, Replay, Replays

__all__ = ["router"]

HlsName = Annotated[
    str,
    PathParameter(
        pattern=r"^((main|main-opus|opus|aac)\.m3u8|(opus|aac)-[a-z0-9-]{1,40}\.(mp4|m4s))$",
        description="`main.m3u8`, `main-opus.m3u8`, or what a playlist names.",
    ),
]

_REFUSED = ("space.not_found", *refusals(PlayReplay), "store.unavailable")
_RANGED = problems(*_REFUSED, "resource.not_found", "request.range")
_PLAYLIST, _SEGMENT = "application/vnd.apple.mpegurl", "audio/mp4"


class ReplayUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where its files are, relative to the API's origin."""

    hls: str
    """A main playlist, AAC: for every player."""
    hls_opus: str
    """The same in Opus, at half the bit rate."""
    opus: str
    m4a: str | None
    """None: is still being made."""
    timeline: str
    peaks: str
    captions: str


class ChapterView(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened in the Space."""

    at_ms: int
    """Of the replay."""
    kind: str
    """`title`, `speaker`, `poll` or `post`."""
    text: str
    """The title or the poll's question; else who it was."""
    account: str | None
    post: str | None


class ReplayDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that may be played."""

    space: str
    title: str
    status: str
    duration_ms: int
    """From its start to its end."""
    start_ms: int
    """How much was cut off its begin."""
    started: str
    """When what is heard first was said."""
    available: str | None
    """Since when."""
    loudness_lufs: float | None
    """Integrated (EBU R 128), as it was mixed; None: silence."""
    gain_db: float
    """What players add (Opus: `OutputGain`), so that it plays at -16 LUFS."""
    urls: ReplayUrls
    speakers: list[ProfileView]
    """In order of their first word."""
    chapters: list[ChapterView]
    attendance: int
    """Everybody who ever was there."""
    peak: int
    """The most at once."""
    plays: int


class TurnsView(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody speaks."""

    account: str
    handle: str | None
    name: str | None
    """None: the account is gone."""
    spans: list[tuple[int, int]]
    """From and to, in milliseconds of the replay."""


class GapView(msgspec.Struct, frozen=True, kw_only=True):
    """Was not recorded; the replay is silent there."""

    from_ms: int
    to_ms: int
    cause: str


class TimelineView(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks when, and what happened."""

    duration_ms: int
    people: list[TurnsView]
    gaps: list[GapView]
    chapters: list[ChapterView]


@get(
    "/spaces/{space:str}/replay",
    operation_id="getReplay",
    summary="A replay",
    tags=["Replay"],
    responses=problems(*_REFUSED),
)
async def get_replay(space: SpaceParam, principal: Asker, replays: Injected) -> ReplayDetail:
    """Where its files are, who speaks, chapters, how many came and played it."""
    found: Replay = await replays.replay(principal, read_space(space))
    state, manifest = found.state, found.manifest
    base = f"/api/v1/spaces/{wire.space_text(state.id)}/replay"
    names = {profile.id: profile.name for profile in found.speakers}
    return ReplayDetail(
        space=wire.space_text(state.id),
        title=state.title,
        status=state.replay.status.value,
        duration_ms=manifest.duration_ms,
        start_ms=(manifest.start_group - manifest.first_group) * TICK_MS,
        started=wire.timestamp(manifest.started_at_ms + manifest.start_group * TICK_MS),
        available=None if state.replay.available_ms is None else wire.timestamp(state.replay.available_ms),
        loudness_lufs=None if manifest.loudness_lufs is None else round(manifest.loudness_lufs, 2),
        gain_db=round(manifest.gain_db, 2),
        urls=ReplayUrls(
            hls=f"{base}/{MAIN_PLAYLIST}",
            hls_opus=f"{base}/{MAIN_OPUS_PLAYLIST}",
            opus=f"{base}/{AUDIO_OPUS}",
            m4a=f"{base}/{AUDIO_M4A}" if manifest.m4a_bytes else None,
            timeline=f"{base}/timeline.json",
            peaks=f"{base}/{PEAKS}",
            captions=f"{base}/captions.vtt",
        ),
        speakers=[profile_view(profile) for profile in found.speakers],
        chapters=[_chapter(chapter, names) for chapter in found.chapters],
        attendance=found.attendance,
        peak=found.peak,
        plays=found.plays,
    )


@get(
    "/spaces/{space:str}/replay/timeline.json",
    operation_id="getReplayTimeline",
    summary="Who speaks when",
    tags=["Replay"],
    responses=problems(*_REFUSED),
)
async def get_timeline(space: SpaceParam, principal: Asker, replays: Injected) -> TimelineView:
    """Turns of everybody who speaks, what was not recorded, chapters."""
    found = await replays.spoken(principal, read_space(space))
    profiles, when = found.profiles, found.timeline
    people = []
    for person in when.people:
        profile = profiles.get(int(person.account))
        people.append(
            TurnsView(
                account=person.account,
                handle=profile.handle if profile else None,
                name=profile.name if profile else None,
                spans=person.spans,
            )
        )
    names = {account: profile.name for account, profile in profiles.items()}
    return TimelineView(
        duration_ms=when.duration_ms,
        people=people,
        gaps=[GapView(from_ms=gap.from_ms, to_ms=gap.to_ms, cause=gap.cause) for gap in when.gaps],
        chapters=[_chapter(chapter, names) for chapter in found.chapters],
    )


def _chapter(chapter: Chapter, names: dict[int, str]) -> ChapterView:
    return ChapterView(
        at_ms=chapter.at_ms,
        kind=chapter.kind.value,
        text=chapter.text or names.get(chapter.account or 0, ""),
        account=None if chapter.account is None else wire.account_text(chapter.account),
        post=None if chapter.post is None else wire.account_text(chapter.post),
    )


async def _file(
    request: Request[Any, Any, Any], replays: Replays, principal: Principal, space: str, name: str, media_type: str
) -> Response[Any]:
    object_name = await replays.file(principal, read_space(space), name)
    try:
        return await ranges.answer(request, replays.objects, object_name, media_type=media_type)
    except NoObject:
        raise ServiceError("resource.not_found") from None


def _both(path: str, operation: str, summary: str, media_types: tuple[str, ...], answer: Any) -> list[HTTPRouteHandler]:
    """The same for GET, which is documented, and HEAD."""
    opt = {"stream": True, "rate": "media", "contents": media_types}
    own = get(path, operation_id=operation, summary=summary, tags=["Replay"], responses=_RANGED, opt=opt)
    return [own(answer), route(path, http_method=HttpMethod.HEAD, include_in_schema=False, opt=opt)(answer)]


def _static(name: str, operation: str, summary: str, media_type: str) -> list[HTTPRouteHandler]:
    async def handle(
        space: SpaceParam, request: Request[Any, Any, Any], principal: Asker, replays: Injected
    ) -> Response[Any]:
        """Whole or in ranges (RFC 9110 section 14), with `ETag`."""
        return await _file(request, replays, principal, space, name, media_type)

    return _both(f"/spaces/{{space:str}}/replay/{name}", operation, summary, (media_type,), handle)


async def _hls(
    space: SpaceParam, name: HlsName, request: Request[Any, Any, Any], principal: Asker, replays: Injected
) -> Response[Any]:
    """HTTP Live Streaming: `main.m3u8` (AAC) or `main-opus.m3u8`, what it names, and so on. In fragmented MP4."""
    media_type = _PLAYLIST if name.endswith(".m3u8") else _SEGMENT
    return await _file(request, replays, principal, space, f"hls/{name}", media_type)


router = Router(
    path="",
    route_handlers=[
        get_replay,
        get_timeline,
        *_static(AUDIO_OPUS, "getReplayOpus", "The replay in one file, Ogg Opus", "audio/ogg"),
        *_static(AUDIO_M4A, "getReplayM4a", "The replay in one file, AAC", "audio/mp4"),
        *_static(PEAKS, "getReplayPeaks", "The waveform", "application/json"),
        *_both("/spaces/{space:str}/replay/hls/{name:str}", "getReplayHls", "HLS", (_PLAYLIST, _SEGMENT), _hls),
    ],
)
