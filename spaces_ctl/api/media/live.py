"""A live Space by HTTP Live Streaming: for players that speak neither WebTransport nor WebSockets."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.params import PathParameter

from spaces_ctl.api import wire
from spaces_ctl.api.media.links import Expires, For, Signature
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.commands import refusals
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.commands import Join
from spaces_ctl.media.live_playlist import live_main_playlist, live_playlist

__all__ = ["router"]

_PLAYLIST, _SEGMENT = "application/vnd.apple.mpegurl", "audio/mp4"
_REFUSED = ("space.not_found", *refusals(Join))
_NEVER_KEPT = {"cache-control": "private, no-store"}
_KEPT = {"cache-control": "private, max-age=60, immutable"}
"""A segment never changes, and is gone after a minute."""

MOST_AGENT = 200
"""Of a program's name, in characters: what tells guests of one address apart."""

Name = Annotated[str, PathParameter(pattern=r"^[0-9]{1,12}\.m4s$", description="As the playlist says.")]


@get(
    "/spaces/{space:str}/live/hls/main.m3u8",
    operation_id="getLiveHls",
    summary="A live Space by HLS",
    tags=["Listening"],
    opt={"rate": "media", "contents": (_PLAYLIST,)},
    responses=problems(*_REFUSED),
)
async def main(space: SpaceParam, principal: Asker, broadcasts: Injected) -> Response[str]:
    """What a player opens, with the cookies or the bearer token of whoever may hear. About eight seconds behind."""
    await broadcasts.check(principal, read_space(space))
    return Response(live_main_playlist("aac.m3u8"), media_type=_PLAYLIST, headers=_NEVER_KEPT)


@get(
    "/spaces/{space:str}/live/hls/aac.m3u8",
    operation_id="getLiveHlsSegments",
    summary="The newest segments of a live Space",
    tags=["Listening"],
    opt={"rate": "media", "contents": (_PLAYLIST,)},
    responses=problems(*_REFUSED, "media.unavailable"),
)
async def newest(
    request: Request[Any, Any, Any], space: SpaceParam, principal: Asker, broadcasts: Injected
) -> Response[str]:
    """Who may hear is asked each time, and counted as a listener for ten seconds. The segments' links are good for half
    a minute.
    """
    number = read_space(space)
    address = request.client.host if request.client else ""
    guest = f"{address} {request.headers.get('user-agent', '')[:MOST_AGENT]}"
    heard, began_ms = await broadcasts.newest(principal, number, guest)

    def uri(segment: int) -> str:
        return f"../segments/{segment}.m4s?{broadcasts.link(_path(space, segment), principal.account)}"

    text = live_playlist(heard, initialisation="init.mp4", uri=uri, began_ms=began_ms)
    return Response(text, media_type=_PLAYLIST, headers=_NEVER_KEPT)


@get(
    "/spaces/{space:str}/live/hls/init.mp4",
    operation_id="getLiveHlsInitialisation",
    summary="What comes before the first segment",
    tags=["Listening"],
    opt={"rate": "media", "contents": (_SEGMENT,)},
    responses=problems("space.not_found", "media.unavailable"),
)
async def initialisation(space: SpaceParam, broadcasts: Injected) -> Response[bytes]:
    """The same for every Space: it holds no sound."""
    read_space(space)
    return Response(await broadcasts.piece(0, None), media_type=_SEGMENT, headers=_KEPT)


@get(
    "/spaces/{space:str}/live/segments/{name:str}",
    operation_id="getLiveSegment",
    summary="A segment of a live Space",
    tags=["Listening"],
    opt={"rate": "media", "contents": (_SEGMENT,)},
    responses=problems("space.not_found", "link.invalid", "link.expired", "resource.not_found", "media.unavailable"),
)
async def segment(
    space: SpaceParam,
    name: Name,
    whom: For,
    expires: Expires,
    signature: Signature,
    principal: Asker,
    broadcasts: Injected,
    signed_links: Injected,
) -> Response[bytes]:
    """Two seconds of AAC in fragmented MP4, by the link of the playlist."""
    number = int(name.removesuffix(".m4s"))
    signed_links.check(_path(space, number), whom, expires, signature, principal)
    return Response(await broadcasts.piece(read_space(space), number), media_type=_SEGMENT, headers=_KEPT)


def _path(space: str, number: int) -> str:
    return f"/api/v1/spaces/{wire.space_text(read_space(space))}/live/segments/{number}.m4s"


router = Router(path="", route_handlers=[main, newest, initialisation, segment])
