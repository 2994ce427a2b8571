"""Lists come in pages; this makes one long list of them, asking for the next page when it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import msgspec

from spaces_ctl.client.transport import Query, Transport

__all__ = ["Page", "items"]

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page."""

    data: tuple[T, ...]
    next: str | None = None
    """Cursor of the next page; None: this is the last."""


async def items(
    transport: Transport, path: str, kind: type[T], *, query: Query | None = None, page_size: int | None = None
) -> AsyncIterator[T]:
    """Everything in a list, in its order. Raises SpacesError."""
    cursor: str | None = None
    while True:
        asked: Query = {**(query or {}), "limit": page_size, "cursor": cursor}
        # mypy has no word for a generic of a type that is a value.
        page: Page[T] = await transport.request("GET", path, Page[kind], query=asked)  # type: ignore[valid-type]
        for item in page.data:
            yield item
        if page.next is None:
            return
        cursor = page.next
