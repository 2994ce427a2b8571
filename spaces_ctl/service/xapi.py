"""What the X API v2 reads: Spaces that are scheduled or live, by id, creator and words; buyers; shared posts.

`api.xapi` gives all of it X's form.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.policy.state import Space
from spaces_ctl.service.answering import AnsweringDatabase, answering
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Profile, SocialGraph
from spaces_ctl.service.posts import Posts, PostView
from spaces_ctl.store import facts, search, summaries
from spaces_ctl.store.database import Database
from spaces_ctl.store.summaries import Summary

__all__ = ["Buyers", "Shared", "SpaceView", "SpeakerIds", "Topic", "XApi"]

VISIBLE = frozenset({Status.SCHEDULED, Status.LIVE})
"""Lobbies are not public; ended and canceled Spaces are not found, as X's documentation says."""


class SpeakerIds(StrEnum):
    """Who is told in `speaker_ids`: the sources disagree."""

    NOW = "now"
    """Who may talk now."""
    EVER = "ever"
    """Everybody who had the mic at any point."""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """What Spaces are about. There is no catalogue of topics: an id is its own name."""

    id: str
    name: str


class SpaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A Space, as X shows it."""

    id: SpaceId
    status: Status
    creator: AccountId
    title: str
    lang: str
    topics: tuple[str, ...]
    ticketed: bool
    created_ms: int
    started_ms: int | None
    ended_ms: int | None
    scheduled_start_ms: int | None
    updated_ms: int
    hosts: tuple[AccountId, ...]
    """Primary admin, then co-hosts in order of addition."""
    speakers: tuple[AccountId, ...]
    invited: tuple[AccountId, ...]
    participants: int
    """Named people in it now."""
    subscribers: int
    """Reminders set and tickets bought."""


class Buyers(msgspec.Struct, frozen=True, kw_only=True):
    """A page of those who bought a ticket, in the order of buying."""

    accounts: tuple[AccountId, ...]
    next: int | None
    """Where the next page begins."""


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """A page of posts shared in a Space, the latest first."""

    posts: tuple[PostView, ...]
    missing: tuple[int, ...]
    """Shared, but gone or not for the viewer's eyes."""
    next: int | None
    previous: int | None


class XApi:
    """The reads behind X's six endpoints."""

    def __init__(
        self,
        *,
        db: Database,
        graph: SocialGraph,
        posts: Posts,
        space_of: Callable[[SpaceId], Awaitable[Space]],
        participants: Callable[[SpaceId], int],
        speaker_ids: SpeakerIds = SpeakerIds.NOW,
    ) -> None:
        """`space_of` and `participants` are `Spaces.get` and the named people connected now; `speaker_ids` is the
        deployment's choice (`xapi.speaker_ids`).
        """
        self._db = AnsweringDatabase(db)
        self._graph = graph
        self._posts = posts
        self._space_of = space_of
        self._participants = participants
        self._speaker_ids = speaker_ids

    async def spaces(self, ids: Sequence[SpaceId]) -> dict[SpaceId, SpaceView]:
        """Those that are public now."""
        found = await self._db.read(lambda c: summaries.by_ids(c, ids))
        return {space.id: self._view(space) for space in found.values() if space.status in VISIBLE}

    async def by_creators(self, creators: Sequence[AccountId]) -> list[SpaceView]:
        """Public Spaces of these creators, newest first."""
        found = await self._db.read(lambda c: summaries.by_creators(c, creators, tuple(VISIBLE)))
        return [self._view(space) for space in found]

    async def search(self, query: str, states: frozenset[Status], limit: int) -> list[SpaceView]:
        """Public Spaces that have the words, newest first."""

        def read(c: sa.Connection) -> list[Summary]:
            ids = search.search(c, query, states=tuple(states & VISIBLE), limit=limit)
            return list(summaries.by_ids(c, ids).values())

        return [self._view(space) for space in await self._db.read(read)]

    async def buyers(self, space: SpaceId, viewer: AccountId, after: int, limit: int) -> Buyers | None:
        """Who bought a ticket; None if the Space is not found.

        Raises ServiceError `role.forbidden` unless the viewer is the creator.
        """
        view = (await self.spaces([space])).get(space)
        if view is None:
            return None
        if view.creator != viewer:
            raise ServiceError("role.forbidden")
        rows = await self._db.read(lambda c: facts.buyers(c, space, limit + 1, after))
        page = rows[:limit]
        return Buyers(
            accounts=tuple(row.account for row in page), next=page[-1].sequence if len(rows) > limit else None
        )

    async def posts(self, space: SpaceId, viewer: AccountId | None, offset: int, limit: int) -> Shared | None:
        """Posts shared in the Space; None if the Space is not found."""
        if space not in await self.spaces([space]):
            return None
        shared = tuple(reversed((await self._space_of(space)).posts))
        wanted = shared[offset : offset + limit]
        with answering():
            seen = tuple(await self._posts.many(viewer, wanted))
        known = {view.post.id for view in seen}
        return Shared(
            posts=seen,
            missing=tuple(post for post in wanted if post not in known),
            next=offset + limit if len(shared) > offset + limit else None,
            previous=max(0, offset - limit) if offset > 0 else None,
        )

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Profiles of those that exist."""
        with answering():
            return await self._graph.profiles(accounts)

    def topics(self, ids: Iterable[str]) -> dict[str, Topic]:
        """Topics by id."""
        return {topic: Topic(id=topic, name=topic) for topic in ids}

    def _view(self, space: Summary) -> SpaceView:
        admin = () if space.admin is None else (space.admin,)
        hosts = tuple(dict.fromkeys((*admin, *space.hosts)))
        on_stage = (*space.hosts, *space.speakers)
        ever = tuple(dict.fromkeys((*on_stage, *space.spoke)))
        return SpaceView(
            id=space.id,
            status=space.status,
            creator=space.creator,
            title=space.title,
            lang=space.lang,
            topics=space.topics,
            ticketed=space.ticketing is not None,
            created_ms=space.created_ms,
            started_ms=space.started_ms,
            ended_ms=space.ended_ms,
            scheduled_start_ms=space.scheduled_start_ms,
            updated_ms=space.updated_ms,
            hosts=hosts,
            speakers=on_stage if self._speaker_ids is SpeakerIds.NOW else ever,
            invited=space.invited,
            # The engine counts connections, the log knows seats: who is on stage takes part, connected or not.
            participants=max(self._participants(space.id), len(on_stage)),
            subscribers=space.subscribers + space.tickets,
        )
