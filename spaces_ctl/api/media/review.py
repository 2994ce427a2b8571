"""Moderators listen to what was kept of a reported Space. Every read is written down before anything is read."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import JSONBody, PathParameter

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, before, next_before, read_id
from spaces_ctl.api.media import ranges
from spaces_ctl.api.media.deletions import SpaceQuery
from spaces_ctl.api.media.links import Expires, For, Signature
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces.params import Asker, Injected, read_space
from spaces_ctl.service.reviews import Review, ReviewRead

__all__ = ["router"]

TrackParam = Annotated[str, PathParameter(pattern="^(mix|[0-9]{1,19})$", description="`mix`, or a person's account.")]
_SOUND = "audio/ogg"


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, and which stretch (milliseconds since the Space's start, 15 minutes at most; else what was reported)."""

    why: str
    from_ms: int | None = None
    to_ms: int | None = None


class HeardView(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds since the Space's start."""

    from_ms: int
    to_ms: int


class HeardTrackView(msgspec.Struct, frozen=True, kw_only=True):
    """Ogg Opus of the stretch."""

    account: str | None
    """null: the mix, as listeners heard it."""
    spoke_ms: int
    url: str


class HeardLineView(msgspec.Struct, frozen=True, kw_only=True):
    """A caption."""

    account: str
    from_ms: int
    to_ms: int
    text: str


class ReviewView(msgspec.Struct, frozen=True, kw_only=True):
    """What may be heard until `expires`."""

    read: str
    space: str
    stretch: HeardView
    evidence: HeardView
    """All that the case is about."""
    expires: str
    tracks: list[HeardTrackView]
    captions: list[HeardLineView]


class ReviewReadView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody listened."""

    id: str
    at: str
    moderator: str | None
    case: str
    space: str
    stretch: HeardView
    why: str
    fetched: int
    """Tracks that were made for it."""


class ReviewReadPage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[ReviewReadView]
    next: str | None


@post(
    "/moderation/cases/{id:str}/review",
    operation_id="reviewCase",
    summary="Listens to what was reported",
    # Its answer has links that work by themselves: they are not kept beside an idempotency key.
    opt={"secret": True},
    responses=problems(
        "role.forbidden",
        "report.not_found",
        "report.reason_required",
        "space.not_found",
        "setting.invalid",
        "evidence.gone",
        "evidence.none",
        "media.unavailable",
    ),
)
async def review(
    id: IdParam,
    data: JSONBody[Listen],
    principal: Asker,
    reviews: Injected,
    signed_links: Injected,
    settings: Injected,
) -> ReviewView:
    """For ten minutes. The reason, the moderator and the stretch are written down first."""
    opened = await reviews.open(principal, read_id(id, "report.not_found"), data.why, data.from_ms, data.to_ms)
    return _view(opened, signed_links, settings)


def _view(opened: Review, signed_links: Any, settings: ApiSettings) -> ReviewView:
    read = opened.read

    def url(track: str) -> str:
        path = _path(read.id, track)
        return f"{settings.public_url}{path}?{signed_links.query(path, read.moderator, read.expires_ms)}"

    return ReviewView(
        read=str(read.id),
        space=wire.space_text(read.space),
        stretch=HeardView(from_ms=read.from_ms, to_ms=read.to_ms),
        evidence=HeardView(from_ms=opened.evidence[0], to_ms=opened.evidence[1]),
        expires=wire.timestamp(read.expires_ms),
        tracks=[
            HeardTrackView(
                account=None if track.account is None else wire.account_text(track.account),
                spoke_ms=track.spoke_ms,
                url=url(track.name),
            )
            for track in opened.tracks
        ],
        captions=[
            HeardLineView(
                account=wire.account_text(line.account), from_ms=line.from_ms, to_ms=line.to_ms, text=line.text
            )
            for line in opened.captions
        ],
    )


def _path(read: int, track: str) -> str:
    return f"/api/v1/moderation/reviews/{read}/{track}"


@get(
    "/moderation/reviews/{id:str}/{track:str}",
    operation_id="getReviewSound",
    summary="What a review's link leads to",
    opt={"rate": "media", "contents": (_SOUND,)},
    responses=problems(
        "link.invalid",
        "link.expired",
        "evidence.gone",
        "evidence.none",
        "media.unavailable",
        "request.range",
    ),
)
async def sound(
    id: IdParam,
    track: TrackParam,
    whom: For,
    expires: Expires,
    signature: Signature,
    request: Request[Any, Any, Any],
    principal: Asker,
    reviews: Injected,
    signed_links: Injected,
) -> Response[bytes]:
    """The stretch, made in memory: it lies nowhere in the clear. In parts too (Range), so that players seek."""
    read = read_id(id, "link.invalid")
    signed_links.check(_path(read, track), whom, expires, signature, principal)
    made = await reviews.sound(whom, read, track)
    headers = {"cache-control": "private, no-store", "accept-ranges": "bytes"}
    asked = ranges.part(request.headers.get("range"), len(made))
    if asked is None:
        return Response(made, media_type=_SOUND, headers=headers)
    headers["content-range"] = f"bytes {asked.start}-{asked.end - 1}/{len(made)}"
    return Response(made[asked.start : asked.end], status_code=206, media_type=_SOUND, headers=headers)


@get(
    "/moderation/reviews",
    operation_id="listReviews",
    summary="Who listened to what",
    responses=problems("role.forbidden", "request.cursor", "space.not_found"),
)
async def reads(
    principal: Asker,
    reviews: Injected,
    cursors: Injected,
    space: SpaceQuery = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> ReviewReadPage:
    """Every read, latest first. For operators."""
    about = None if space is None else read_space(space)
    page = await reviews.page(principal, space=about, before=before(cursors, "reviews", cursor), limit=limit)
    return ReviewReadPage(
        data=[_read(one) for one in page], next=next_before(cursors, "reviews", [one.id for one in page], limit)
    )


def _read(one: ReviewRead) -> ReviewReadView:
    return ReviewReadView(
        id=str(one.id),
        at=wire.timestamp(one.at_ms),
        moderator=None if one.moderator is None else wire.account_text(one.moderator),
        case=str(one.case),
        space=wire.space_text(one.space),
        stretch=HeardView(from_ms=one.from_ms, to_ms=one.to_ms),
        why=one.why,
        fetched=one.fetched,
    )


router = Router(path="", route_handlers=[review, sound, reads], tags=["Moderation"])
