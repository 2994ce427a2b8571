"""An object of the store as a file to download, whole or a part of it (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Response
from litestar.response import Stream

from spaces_ctl.media.objects import NoObject, Objects, StoreUnavailable
from spaces_ctl.service.errors import ServiceError

__all__ = ["answer"]

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def answer(
    request: Request[Any, Any, Any], objects: Objects, name: str, *, media_type: str, filename: str, gone: str
) -> Response[Any]:
    """What was asked for; several ranges, or what is none, get the whole file.

    Raises ServiceError (`gone` if there is no such object, media.unavailable).
    """
    try:
        size = await objects.size(name)
    except NoObject as error:
        raise ServiceError(gone) from error
    except StoreUnavailable as error:
        raise ServiceError("media.unavailable", retry_after_s=5) from error
    first, end, status = _span(request.headers.get("range", ""), size)
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "content-disposition": f'attachment; filename="{filename}"',
    }
    if status == 416:
        headers = {"accept-ranges": "bytes", "content-range": f"bytes */{size}"}
        return Response(b"", status_code=416, media_type=media_type, headers=headers)
    if status == 206:
        headers["content-range"] = f"bytes {first}-{end - 1}/{size}"
    headers["content-length"] = str(end - first)
    return Stream(_read(objects, name, first, end), status_code=status, media_type=media_type, headers=headers)


async def _read(objects: Objects, name: str, first: int, end: int) -> AsyncIterator[bytes]:
    async for piece in objects.stream(name, first, end):
        yield piece


def _span(asked: str, size: int) -> tuple[int, int, int]:
    """First byte, the one after the last, status."""
    found = _ONE_RANGE.fullmatch(asked.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return 0, size, 200
    begin, last = found.groups()
    if not begin:
        return (max(0, size - int(last)), size, 206) if int(last) and size else (0, 0, 416)
    first, end = int(begin), min(int(last) + 1 if last else size, size)
    return (first, end, 206) if first < end else (0, 0, 416)
