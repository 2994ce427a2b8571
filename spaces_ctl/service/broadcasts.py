"""Live Spaces for those who can only hear by HTTP: playlists and segments, for whoever may hear at that moment.

Every playlist asks whether its reader may hear; its segments are links that are good for half a minute. So who is
removed, or whose ticket is gone, hears the segments that were listed before, and no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from spaces_ctl.clock import Clock
from spaces_ctl.engine import space_name
from spaces_ctl.media.live_requests import LIVE_MS, Hear, Heard, Piece, PieceOf
from spaces_ctl.model import AccountId, Actor, SpaceId, Status
from spaces_ctl.service.captioning import Door
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.media_asker import MediaAsker, media_refusals
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.signed_links import SignedLinks
from spaces_ctl.service.spaces import Spaces

__all__ = ["Broadcasts"]

_FRESH_MS = 500
"""What the worker said is good for so long: everybody asks for the same."""
_LINK_MS = 30_000
_MOST_KEPT = 64
"""Segments of all Spaces: everybody fetches the newest ones at the same time."""
_PATIENCE_S = 15.0


class MayHear(Protocol):
    """Part of `service.joins.Joins`."""

    async def may_hear(self, actor: Actor, space: SpaceId) -> None:
        """Raises ServiceError."""
        ...


class Broadcasts:
    """Asks the media worker, once for all who listen."""

    def __init__(
        self,
        *,
        media: MediaAsker,
        joins: MayHear,
        spaces: Spaces,
        door: Callable[[], Door],
        links: SignedLinks,
        clock: Clock,
    ) -> None:
        """`door`: where the worker hears the engine, and the broadcaster's token."""
        self._media = media
        self._joins = joins
        self._spaces = spaces
        self._door = door
        self._links = links
        self._clock = clock
        self._heard: dict[SpaceId, tuple[int, Heard]] = {}
        self._pieces: OrderedDict[tuple[SpaceId, int | None], bytes] = OrderedDict()

    async def check(self, principal: Principal, space: SpaceId) -> None:
        """Whether somebody may hear the Space now. Raises ServiceError, as `Joins.join`."""
        await self._joins.may_hear(principal.actor(), space)

    async def newest(self, principal: Principal, space: SpaceId, guest: str) -> tuple[Heard, int]:
        """The newest segments, and when the first of them began (ms, Unix). Begins to make them.

        Who asks is counted as somebody who hears; `guest` tells apart those without an account. Raises ServiceError: as
        `check`, `media.unavailable`.
        """
        await self.check(principal, space)
        state = self._spaces.live.get(space) or await self._spaces.get(space)
        if state.status is not Status.LIVE or state.started_ms is None:
            raise ServiceError(f"state.{state.status.value}")
        now_ms = self._clock.now_ms()
        at_ms, heard = self._heard.get(space, (0, None))
        if heard is None or now_ms - at_ms >= _FRESH_MS:
            door = self._door()
            asked = Hear(
                space=space,
                url=f"https://{door.address}/spaces/{space_name(space)}",
                token=door.token,
                certificate_sha256=door.certificate_sha256 or b"",
                started_at_ms=state.started_ms,
            )
            with media_refusals("media.unavailable"):
                heard = await self._media.ask("hear", asked, Heard, timeout_s=_PATIENCE_S)
            self._heard = {known: said for known, said in self._heard.items() if now_ms - said[0] < _LINK_MS}
            self._heard[space] = (now_ms, heard)
        self._spaces.counters.hears_by_hls(space, principal.account, guest)
        return heard, state.started_ms + heard.segments[0].number * LIVE_MS

    def link(self, path: str, account: AccountId | None) -> str:
        """What has to follow the path of a segment."""
        return self._links.query(path, account, self._clock.now_ms() + _LINK_MS)

    async def piece(self, space: SpaceId, number: int | None) -> bytes:
        """A segment's bytes; None: the initialisation's.

        Raises ServiceError (`resource.not_found`, `media.unavailable`).
        """
        key = (space if number is not None else 0, number)
        found = self._pieces.get(key)
        if found is None:
            with media_refusals("resource.not_found"):
                answer = await self._media.ask(
                    "piece", PieceOf(space=space, number=number), Piece, timeout_s=_PATIENCE_S
                )
            found = self._pieces[key] = answer.data
            while len(self._pieces) > _MOST_KEPT:
                self._pieces.popitem(last=False)
        return found
