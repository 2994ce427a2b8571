"""A creator's downloads: how far they are, and the files behind signed links. `POST .../export` asks for one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.params import PathParameter

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import time_of
from spaces_ctl.api.media import ranges
from spaces_ctl.api.media.links import Expires, For, Signature
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.clock import Clock
from spaces_ctl.media.objects import NoObject
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.exports import Export, ExportState

__all__ = ["router"]

NumberParam = Annotated[int, PathParameter(ge=1, le=2**31 - 1, description="The export's number.")]

_LINKS_LAST_MS = 3_600_000
_ZIP = "application/zip"


class ExportView(msgspec.Struct, frozen=True, kw_only=True):
    """A download."""

    number: int
    state: ExportState
    """making, ready, failed (ask again), gone (after a week, or with what it was made of)."""
    requested: str
    ready: str | None
    expires: str | None
    bytes: int
    files: list[str]
    url: str | None
    """If it is ready: good for an hour, for this account alone."""


class ExportList(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[ExportView]


def _path(space: int, number: int) -> str:
    return f"/api/v1/spaces/{wire.space_text(space)}/exports/{number}/download"


def _view(one: Export, signed_links: Any, settings: ApiSettings, clock: Clock) -> ExportView:
    url = None
    if one.state is ExportState.READY and one.expires_ms is not None:
        path, until_ms = _path(one.space, one.number), min(clock.now_ms() + _LINKS_LAST_MS, one.expires_ms)
        url = f"{settings.public_url}{path}?{signed_links.query(path, one.account, until_ms)}"
    return ExportView(
        number=one.number,
        state=one.state,
        requested=wire.timestamp(one.requested_ms),
        ready=time_of(one.ready_ms),
        expires=time_of(one.expires_ms),
        bytes=one.bytes,
        files=list(one.files),
        url=url,
    )


@get(
    "/spaces/{space:str}/exports",
    operation_id="listExports",
    summary="Downloads of a recorded Space",
    responses=problems("role.forbidden", "space.not_found"),
)
async def list_exports(
    space: SpaceParam,
    principal: Asker,
    exports: Injected,
    signed_links: Injected,
    settings: Injected,
    clock: Injected,
) -> ExportList:
    """For its creator."""
    found = await exports.of_space(principal, read_space(space))
    return ExportList(data=[_view(one, signed_links, settings, clock) for one in found])


@get(
    "/spaces/{space:str}/exports/{number:int}",
    operation_id="getExport",
    summary="How far a download is",
    responses=problems("role.forbidden", "space.not_found", "export.not_found"),
)
async def get_export(
    space: SpaceParam,
    number: NumberParam,
    principal: Asker,
    exports: Injected,
    signed_links: Injected,
    settings: Injected,
    clock: Injected,
) -> ExportView:
    """For its creator; with a link if it is ready."""
    return _view(await exports.get(principal, read_space(space), number), signed_links, settings, clock)


@get(
    "/spaces/{space:str}/exports/{number:int}/download",
    operation_id="downloadExport",
    summary="What a download's link leads to",
    opt={"stream": True, "rate": "media", "contents": (_ZIP,)},
    responses=problems(
        "link.invalid",
        "link.expired",
        "role.forbidden",
        "space.not_found",
        "export.not_found",
        "export.not_ready",
        "export.gone",
        "request.range",
    ),
)
async def download(
    space: SpaceParam,
    number: NumberParam,
    whom: For,
    expires: Expires,
    signature: Signature,
    request: Request[Any, Any, Any],
    principal: Asker,
    exports: Injected,
    signed_links: Injected,
    objects: Injected,
) -> Response[Any]:
    """In parts too (Range, RFC 9110 section 14)."""
    key = read_space(space)
    signed_links.check(_path(key, number), whom, expires, signature, principal)
    file = await exports.file(whom, key, number)
    headers = {"content-disposition": f'attachment; filename="{file.filename}"'}
    try:
        return await ranges.answer(
            request, objects, file.object, media_type=_ZIP, headers=headers, cache_control="private, no-store"
        )
    except NoObject:
        raise ServiceError("export.gone") from None


router = Router(path="", route_handlers=[list_exports, get_export, download], tags=["Exports"])
