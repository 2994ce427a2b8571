"""What the X API v2 reads: Spaces that are scheduled or live, by id, creator and words; buyers; shared posts.

`XApi` gathers whole answers (Spaces with the accounts, topics and posts they refer to); `api.xapi` gives them X's form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Profile, SocialGraph

__all__ = ["Page", "Post", "SpaceSource", "SpaceView", "SpeakerIds", "Topic", "XApi"]

VISIBLE = frozenset({Status.SCHEDULED, Status.LIVE})
"""Lobbies are not public; ended and canceled Spaces are not found, as X's documentation says."""


class SpeakerIds(StrEnum):
    """Who is told in `speaker_ids`: the sources disagree."""

    NOW = "now"
    """Who may talk now."""
    EVER = "ever"
    """Everybody who had the mic at any point."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """What Spaces are about."""

    id: str
    name: str
    description: str = ""


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A post that was shared in a Space."""

    id: int
    author: AccountId
    text: str
    created_ms: int


class SpaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A Space, with the numbers that are not in its state."""

    space: Space
    participants: int
    """Named people in it now."""
    speakers: tuple[AccountId, ...]
    invited: tuple[AccountId, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of something, by position."""

    items: tuple[int, ...]
    next: int | None
    previous: int | None


class SpaceSource(Protocol):
    """Where Spaces come from."""

    async def get(self, ids: Sequence[SpaceId]) -> dict[SpaceId, Space]:
        """Those that exist, in any state."""
        ...

    async def by_creators(self, creators: Sequence[AccountId]) -> Sequence[SpaceId]:
        """Live and scheduled Spaces of these creators, newest first."""
        ...

    async def search(self, query: str, states: frozenset[Status], limit: int) -> Sequence[SpaceId]:
        """Spaces in these states whose title has the words, best first."""
        ...

    async def buyers(self, space: SpaceId, offset: int, limit: int) -> Sequence[AccountId]:
        """Who has bought a ticket, in a stable order."""
        ...

    async def posts(self, ids: Sequence[int]) -> dict[int, Post]:
        """Posts that exist."""
        ...

    async def topics(self, ids: Sequence[str]) -> dict[str, Topic]:
        """Topics that are known."""
        ...

    def participants(self, space: SpaceId) -> int:
        """Named people connected now."""
        ...


class XApi:
    """The reads behind X's six endpoints."""

    def __init__(self, *, source: SpaceSource, graph: SocialGraph, speaker_ids: SpeakerIds = SpeakerIds.NOW) -> None:
        """`speaker_ids` is the deployment's choice (`xapi.speaker_ids`)."""
        self._source = source
        self._graph = graph
        self._speaker_ids = speaker_ids

    async def spaces(self, ids: Sequence[SpaceId]) -> dict[SpaceId, SpaceView]:
        """Those that are public now."""
        found = await self._source.get(ids)
        return {space.id: self._view(space) for space in found.values() if space.status in VISIBLE}

    async def by_creators(self, creators: Sequence[AccountId]) -> list[SpaceView]:
        """Public Spaces of these creators, newest first."""
        return await self._ordered(await self._source.by_creators(creators))

    async def search(self, query: str, states: frozenset[Status], limit: int) -> list[SpaceView]:
        """Public Spaces whose title has the words, best first."""
        return await self._ordered(await self._source.search(query, states & VISIBLE, limit))

    async def buyers(self, space: SpaceId, viewer: AccountId, offset: int, limit: int) -> Page | None:
        """Accounts that bought a ticket; None if the Space is not found.

        Raises ServiceError `role.forbidden` unless the viewer is the creator.
        """
        view = (await self.spaces([space])).get(space)
        if view is None:
            return None
        if view.space.creator != viewer:
            raise ServiceError("role.forbidden")
        return _page(await self._source.buyers(space, offset, limit + 1), offset, limit)

    async def posts(self, space: SpaceId, offset: int, limit: int) -> tuple[Page, dict[int, Post]] | None:
        """Posts shared in the Space, newest first; None if the Space is not found."""
        view = (await self.spaces([space])).get(space)
        if view is None:
            return None
        shared = tuple(reversed(view.space.posts))
        page = _page(shared[offset : offset + limit + 1], offset, limit)
        return page, await self._source.posts(page.items)

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Profiles of those that exist."""
        return await self._graph.profiles(accounts)

    async def topics(self, ids: Iterable[str]) -> dict[str, Topic]:
        """Topics that are known."""
        return await self._source.topics(tuple(dict.fromkeys(ids)))

    async def _ordered(self, ids: Sequence[SpaceId]) -> list[SpaceView]:
        found = await self.spaces(ids)
        return [found[space] for space in ids if space in found]

    def _view(self, space: Space) -> SpaceView:
        on_stage = tuple(seat.account for seat in space.stage)
        ever = tuple(dict.fromkeys((*space.spoke_ever, *on_stage)))
        invited = (account for account, invitation in space.invites.items() if invitation.role == "speaker")
        return SpaceView(
            space=space,
            # The engine counts connections, the log knows seats: somebody on stage whose connection is lost takes part.
            participants=max(self._source.participants(space.id), len(on_stage)),
            speakers=on_stage if self._speaker_ids is SpeakerIds.NOW else ever,
            invited=tuple(dict.fromkeys((*space.invited_ever, *invited))),
        )


def _page(items: Sequence[int], offset: int, limit: int) -> Page:
    return Page(
        items=tuple(items[:limit]),
        next=offset + limit if len(items) > limit else None,
        previous=max(0, offset - limit) if offset > 0 else None,
    )
