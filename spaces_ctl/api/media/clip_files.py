"""A file of a clip as an answer, whole or a part of it (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from litestar import Request, Response
from litestar.response import Stream

from spaces_ctl.service.clips import File

__all__ = ["answer"]

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def answer(
    request: Request[Any, Any, Any],
    file: File,
    stream: Callable[[File, int, int], AsyncIterator[bytes]],
    headers: dict[str, str],
) -> Response[Any]:
    """What was asked for; several ranges, or what is none, get the whole file."""
    first, end, status = _span(request.headers.get("range", ""), file.size)
    told = {**headers, "accept-ranges": "bytes", "content-length": str(end - first)}
    if status == 416:
        return Response(
            b"", status_code=416, media_type=file.media_type, headers={"content-range": f"bytes */{file.size}"}
        )
    if status == 206:
        told["content-range"] = f"bytes {first}-{end - 1}/{file.size}"
    if request.method == "HEAD":
        return Response(b"", status_code=status, media_type=file.media_type, headers=told)
    return Stream(stream(file, first, end), status_code=status, media_type=file.media_type, headers=told)


def _span(asked: str, size: int) -> tuple[int, int, int]:
    """First byte, the one after the last, status."""
    found = _ONE_RANGE.fullmatch(asked.replace(" ", ""))
    if found is None or found.groups() == ("", ""):
        return 0, size, 200
    from_, to = found.groups()
    if not from_:
        return max(0, size - int(to)), size, 206 if int(to) and size else 416
    first, end = int(from_), min(int(to) + 1 if to else size, size)
    return (first, end, 206) if first < end else (0, 0, 416)
