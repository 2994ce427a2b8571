"""What was said, as text: recent lines of a live Space, and the replay's captions as WebVTT."""

from __future__ import annotations

import msgspec
from litestar import Response, Router, get

from spaces_ctl.api import wire
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.commands import refusals
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.commands import PlayReplay
from spaces_ctl.service.webvtt import Cue, webvtt

__all__ = ["CaptionPage", "CaptionView", "router"]

_MEDIA_TYPE = "text/vtt"


class CaptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A line, as in the `caption` messages of the event stream."""

    n: int
    account: str
    start_ms: int
    """Since the Space started."""
    end_ms: int
    text: str
    """Empty: something was said that was not captioned."""


class CaptionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines, newest first."""

    data: list[CaptionView]
    next: str | None


@get(
    "/spaces/{space:str}/captions",
    operation_id="listCaptions",
    summary="What was said lately",
    tags=["Captions"],
    responses=problems(
        "space.not_found",
        "state.lobby",
        "state.scheduled",
        "state.ended",
        "state.canceled",
        "captions.no_consent",
        "captions.unavailable",
        "ticket.required",
        "participant.removed",
        "participant.blocked_by_host",
        "request.cursor",
    ),
)
async def list_captions(
    space: SpaceParam,
    principal: Asker,
    reading: Injected,
    joins: Injected,
    captions: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> CaptionPage:
    """Finished lines of a live Space, newest first, for whoever comes later; what follows is on the event stream."""
    key = read_space(space)
    state = await reading.visible(principal.actor(), key)
    await joins.may_hear(principal.actor(), key)
    name = f"captions:{space}"
    rows = await captions.recent(state, cursors.read(name, cursor, int), limit)
    data = [
        CaptionView(n=n, account=wire.account_text(account), start_ms=start_ms, end_ms=end_ms, text=text)
        for n, account, start_ms, end_ms, text in rows
    ]
    return CaptionPage(data=data, next=cursors.make(name, rows[-1][0]) if len(rows) == limit else None)


@get(
    "/spaces/{space:str}/replay/captions.vtt",
    operation_id="getReplayCaptions",
    summary="The replay's captions",
    media_type=_MEDIA_TYPE,
    tags=["Captions"],
    responses=problems("space.not_found", *refusals(PlayReplay), "store.unavailable"),
)
async def replay_captions(
    space: SpaceParam, principal: Asker, replays: Injected, reading: Injected, captions: Injected
) -> Response[str]:
    """WebVTT, a cue for each line, its speaker as voice. Times are the replay's, from where it was trimmed to begin."""
    state, begin_ms, end_ms = await replays.span(principal, read_space(space))
    rows = [row for row in await captions.all_of(state.id) if row[2] < end_ms]
    names = await reading.profiles({account for _, account, *_ in rows})
    cues = [
        Cue(
            number=n,
            start_ms=start_ms - begin_ms,
            end_ms=min(line_end_ms, end_ms) - begin_ms,
            name=names[account].name if account in names else "",
            text=text,
        )
        for n, account, start_ms, line_end_ms, text in rows
    ]
    language = captions.language(state) or state.lang or "und"
    # Withheld or deleted holds from the next request on: nobody keeps a copy that is not asked for again.
    headers = {"content-language": language, "cache-control": "private, no-cache"}
    return Response(webvtt(cues, language), media_type=_MEDIA_TYPE, headers=headers)


router = Router(path="/", route_handlers=[list_captions, replay_captions])
