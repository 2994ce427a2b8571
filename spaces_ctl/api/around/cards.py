"""The page of a Space and what belongs to its sharing. Open to everybody: nobody is asked who they are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, Router, get
from litestar.params import FromPath, QueryParameter

from spaces_ctl.api.pages import shared_page
from spaces_ctl.api.spaces.params import Injected, SpaceParam, read_space
from spaces_ctl.service.shared import Shared

__all__ = ["router"]

Url = Annotated[str, QueryParameter(max_length=2048, description="The page.")]
Format = Annotated[Literal["json", "xml"], QueryParameter(description="Only json is made.")]
_FRESH = {"cache-control": "public, max-age=30"}


@get("/s/{space:str}", include_in_schema=False)
async def page(space: FromPath[str], cards: Injected, site: Injected) -> Response[str]:
    """What a shared link shows: the app, with the Space's card."""
    return await shared_page(site, _shared(cards, space))


async def _shared(cards: Any, space: str) -> Shared:
    told: Shared = await cards.shared(read_space(space))
    return told


@get("/s/{space:str}/card.png", include_in_schema=False)
async def picture(space: SpaceParam, cards: Injected) -> Response[bytes]:
    """The card's picture; its URL has the version, so it may be kept."""
    found = await cards.picture(read_space(space))
    return Response(found, media_type="image/png", headers={"cache-control": "public, max-age=3600"})


@get("/s/{space:str}/calendar.ics", include_in_schema=False)
async def calendar(space: SpaceParam, cards: Injected) -> Response[bytes]:
    """For the calendar."""
    found = await cards.calendar(read_space(space))
    headers = {**_FRESH, "content-disposition": 'attachment; filename="space.ics"'}
    return Response(found, media_type="text/calendar", headers=headers)


@get("/oembed", include_in_schema=False)
async def oembed(
    cards: Injected, clip_pages: Injected, url: Url, format: Format = "json"
) -> Response[dict[str, str | int]]:
    """https://oembed.com"""
    if format != "json":
        return Response({"error": "only json"}, status_code=501)
    found = await clip_pages.oembed(url) or await cards.oembed(url)
    return Response(found.plain(), headers={**_FRESH, "access-control-allow-origin": "*"})


router = Router(path="", route_handlers=[page, picture, calendar, oembed])
