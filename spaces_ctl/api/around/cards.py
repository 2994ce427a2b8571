"""The share page and what belongs to it. Open to everybody: nobody is asked who they are."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import MediaType, Response, Router, get
from litestar.params import QueryParameter

from spaces_ctl.api.spaces.params import Injected, SpaceParam, read_space
from spaces_ctl.service.errors import ServiceError

__all__ = ["router"]

Url = Annotated[str, QueryParameter(max_length=2048, description="The page.")]
Format = Annotated[Literal["json", "xml"], QueryParameter(description="Only json is made.")]
_FRESH = {"cache-control": "public, max-age=30"}
_PAGE = {**_FRESH, "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"}
_PAGE_GONE = '<!doctype html><html lang="en"><title>Not found</title><h1>There is no such Space.</h1></html>'


@get("/s/{space:str}", include_in_schema=False)
async def page(space: SpaceParam, cards: Injected) -> Response[str]:
    """What a shared link shows."""
    try:
        html = await cards.page(read_space(space))
    except ServiceError as refused:
        if refused.code != "space.not_found":
            raise
        return Response(_PAGE_GONE, media_type=MediaType.HTML, status_code=404, headers=_PAGE)
    return Response(html, media_type=MediaType.HTML, headers=_PAGE)


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
    return Response(found, media_type="text/calendar; charset=utf-8", headers=headers)


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
