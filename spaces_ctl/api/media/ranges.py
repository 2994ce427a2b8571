"""An object of the store as an answer: whole, or the part that was asked for (RFC 9110 sections 13 and 14).

Nothing is held in memory but a piece. One range is answered; several, of which no player makes use, get the whole.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, NamedTuple

from litestar import Request, Response
from litestar.response import Stream

from spaces_ctl.api.errors import problem_response
from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.service.errors import ServiceError

__all__ = ["Part", "answer", "part"]

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_REVALIDATED = "private, no-cache"
"""Kept by browsers, but asked for before each use: what is deleted or withheld is gone at once."""


class Part(NamedTuple):
    """Bytes `start` to `end` (exclusive) of an object."""

    start: int
    end: int


def part(header: str | None, size: int) -> Part | None:
    """What a `Range` header asks for; None: the whole, as the header is none, of several ranges, or not understood.

    Raises ServiceError (`request.range`): the object does not have it.
    """
    found = _ONE_RANGE.fullmatch(header) if header is not None else None
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if len(first) > 18 or len(last) > 18:
        raise ServiceError("request.range")
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None  # invalid, and so to be ignored (section 14.1.1)
    if start >= end:
        raise ServiceError("request.range")
    return Part(start, end)


async def answer(
    request: Request[Any, Any, Any],
    objects: Objects,
    name: str,
    *,
    media_type: str,
    headers: Mapping[str, str] = {},
    cache_control: str = _REVALIDATED,
) -> Response[Any]:
    """To GET and HEAD. `headers` are added. Raises NoObject, ServiceError (`store.unavailable`)."""
    try:
        about = await objects.about(name)
    except StoreUnavailable as error:
        raise ServiceError("store.unavailable", str(error)) from error
    tag = f'"{about.tag}"'
    told = {"etag": tag, "accept-ranges": "bytes", "cache-control": cache_control, **headers}
    if _listed(request.headers.get("if-none-match"), tag):
        return Response(b"", status_code=304, media_type=media_type, headers=told)
    # A range is asked for with GET alone, and only of what the asker has the rest of (sections 14.2 and 13.1.5).
    ranged = request.method == "GET" and request.headers.get("if-range", tag) == tag
    try:
        asked = part(request.headers.get("range"), about.size) if ranged else None
    except ServiceError as refused:
        return problem_response(refused, headers={**told, "content-range": f"bytes */{about.size}"})
    whole = asked or Part(0, about.size)
    told["content-length"] = str(whole.end - whole.start)
    if asked is not None:
        told["content-range"] = f"bytes {asked.start}-{asked.end - 1}/{about.size}"
    status = 200 if asked is None else 206
    if request.method == "HEAD":
        return Response(b"", status_code=status, media_type=media_type, headers=told)
    body = objects.stream(name, whole.start, whole.end)
    first = await _first(body)
    return Stream(_all(first, body), status_code=status, media_type=media_type, headers=told)


def _listed(header: str | None, tag: str) -> bool:
    """Whether `If-None-Match` names it; compared weakly (section 13.1.2)."""
    if header is None:
        return False
    names = [one.strip().removeprefix("W/") for one in header.split(",")]
    return "*" in names or tag in names


async def _first(body: AsyncIterator[bytes]) -> bytes:
    """Read before the answer begins, as afterwards no refusal can be told."""
    try:
        return await anext(body, b"")
    except StoreUnavailable as error:
        raise ServiceError("store.unavailable", str(error)) from error


async def _all(first: bytes, body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in body:
        yield piece
