"""The page of the demo over HTTP: the web application's files, where to connect, and a seat for who wants to speak."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litestar import Litestar, get, post
from litestar.datastructures import CacheControlHeader
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router

WEB_APP = Path(__file__).parents[1] / "api" / "web"

_HELD_FOR_S = 30.0
"""A seat handed out stays reserved this long for somebody who has not connected yet."""


@dataclass(slots=True)
class Seats:
    """The seats that visitors may take: free, reserved for a moment, or taken by somebody who is connected."""

    free: list[int]
    clock: Callable[[], float] = time.monotonic
    _reserved: dict[int, float] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)

    def reserve(self) -> int | None:
        """The lowest seat that nobody has, or `None`."""
        now = self.clock()
        for seat in self.free:
            if seat not in self._taken and self._reserved.get(seat, -_HELD_FOR_S) + _HELD_FOR_S <= now:
                self._reserved[seat] = now
                return seat
        return None

    def joined(self, seat: int) -> None:
        """Somebody who holds this seat has connected."""
        if seat in self.free:
            self._taken.add(seat)

    def left(self, seat: int) -> None:
        """The holder's connection is over: the seat may be handed out again."""
        self._taken.discard(seat)
        self._reserved.pop(seat, None)

    @property
    def taken(self) -> list[int]:
        """Seats of connected visitors, ascending."""
        return sorted(self._taken)


def application(join: Callable[[], dict[str, Any]], seat: Callable[[], dict[str, Any] | None]) -> Litestar:
    """The demo's web application.

    Args:
        join: What a page needs to connect: `{url, certificate_sha256_hex, token, space, title}`.
        seat: A seat for a visitor, `{seat, token}`, or `None` if the stage is full.

    """

    @get("/demo/join.json", cache_control=CacheControlHeader(no_store=True), sync_to_thread=False)
    def join_handler() -> dict[str, Any]:
        return join()

    @post("/demo/seat", status_code=200, cache_control=CacheControlHeader(no_store=True), sync_to_thread=False)
    def seat_handler() -> dict[str, Any]:
        given = seat()
        if given is None:
            raise HTTPException(detail="every seat is taken", status_code=409)
        return given

    files = create_static_files_router(path="/", directories=[WEB_APP], html_mode=True)
    return Litestar(route_handlers=[join_handler, seat_handler, files], openapi_config=None)
