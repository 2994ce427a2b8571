"""Replays for those who listen to them: may they, what is there, who speaks when, what happened when.

What a replay is, the Space's state says: it is asked before everything else, whatever lies in the store. So a replay
that is withheld or deleted is gone with the command's answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from spaces_ctl import commands as c
from spaces_ctl import events as e
from spaces_ctl.events import Recorded
from spaces_ctl.media.layout import replay_prefix
from spaces_ctl.media.objects import NoObject, Objects, StoreUnavailable
from spaces_ctl.media.replay_files import MANIFEST, TIMELINE, Manifest, Timeline
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.segments import TICK_MS
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal, Profile, SocialGraph
from spaces_ctl.service.reading import Reading
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.store import summaries
from spaces_ctl.store.database import Database

__all__ = ["Chapter", "ChapterKind", "Replay", "Replays", "Spoken", "chapters"]

T = TypeVar("T")

_PAGE = 1000
_MOST_KNOWN = 1000
_MOST_CHAPTERS = 500
"""More are no help to anybody; the first ones are kept."""


class ChapterKind(StrEnum):
    """What begins there."""

    TITLE = "title"
    SPEAKER = "speaker"
    POLL = "poll"
    POST = "post"


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened in the Space."""

    at_ms: int
    """Of the replay."""
    kind: ChapterKind
    text: str = ""
    """The title, or the poll's question."""
    account: AccountId | None = None
    """Who came to the stage, asked or pinned."""
    post: int | None = None
    """What was pinned."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that may be played."""

    state: Space
    manifest: Manifest
    chapters: Sequence[Chapter]
    speakers: Sequence[Profile]
    """In order of their first word."""
    attendance: int
    """How many came, at least: nobody is followed, so it is the most at once as the engine counted."""
    peak: int
    """The most at once."""
    plays: int


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """The timeline, with the people in it."""

    timeline: Timeline
    profiles: dict[AccountId, Profile]
    chapters: Sequence[Chapter]


class Replays:
    """Reads; replays are made by the media worker, and trimmed and deleted by commands."""

    def __init__(self, *, objects: Objects, spaces: Spaces, reading: Reading, graph: SocialGraph, db: Database) -> None:
        """`objects` is where the media worker writes."""
        self.objects = objects
        self._spaces = spaces
        self._reading = reading
        self._graph = graph
        self._db = db
        self._chapters: OrderedDict[tuple[SpaceId, int, int], tuple[Chapter, ...]] = OrderedDict()

    async def playable(self, principal: Principal, space: SpaceId) -> Space:
        """The Space, if its replay may be played now.

        Raises ServiceError (`space.not_found`, `state.*`, `replay.deleted`, `replay.withheld`, `replay.unavailable`).
        """
        actor = principal.actor()
        await self._reading.visible(actor, space)
        return await self._spaces.check(actor, space, c.PlayReplay())

    async def file(self, principal: Principal, space: SpaceId, name: str) -> str:
        """The object that a file of the replay is, if it may be played. Raises ServiceError as `playable`."""
        await self.playable(principal, space)
        return f"{replay_prefix(space)}/{name}"

    async def replay(self, principal: Principal, space: SpaceId) -> Replay:
        """What the page shows. Raises ServiceError as `playable`, and `store.unavailable`."""
        state = await self.playable(principal, space)
        manifest, when = await self._stored(space, MANIFEST, Manifest), await self._stored(space, TIMELINE, Timeline)
        speakers = [AccountId(person.account) for person in when.people]
        profiles = await self._graph.profiles(speakers)
        found = (await self._db.read(lambda connection: summaries.by_ids(connection, [space]))).get(space)
        return Replay(
            state=state,
            manifest=manifest,
            chapters=await self._chapters_of(state, manifest),
            speakers=[profiles[account] for account in speakers if account in profiles],
            attendance=found.attendance if found else 0,
            peak=found.peak if found else 0,
            plays=found.replay_plays if found else 0,
        )

    async def span(self, principal: Principal, space: SpaceId) -> tuple[Space, int, int]:
        """The Space, and from when to when it can be heard: milliseconds since it started. Raises ServiceError as
        `replay`.
        """
        state = await self.playable(principal, space)
        manifest = await self._stored(space, MANIFEST, Manifest)
        return state, manifest.start_group * TICK_MS, manifest.end_group * TICK_MS

    async def spoken(self, principal: Principal, space: SpaceId) -> Spoken:
        """Who speaks when. Raises ServiceError as `replay`."""
        state = await self.playable(principal, space)
        manifest, when = await self._stored(space, MANIFEST, Manifest), await self._stored(space, TIMELINE, Timeline)
        found = await self._chapters_of(state, manifest)
        accounts = {AccountId(person.account) for person in when.people}
        accounts |= {chapter.account for chapter in found if chapter.account is not None}
        return Spoken(timeline=when, profiles=await self._graph.profiles(accounts), chapters=found)

    async def _stored(self, space: SpaceId, name: str, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(await self.objects.get(f"{replay_prefix(space)}/{name}"), type=kind)
        except NoObject:
            # The state says that there is one: it is being deleted, or the store lost it.
            raise ServiceError("replay.unavailable") from None
        except StoreUnavailable as error:
            raise ServiceError("store.unavailable", str(error)) from error

    async def _chapters_of(self, state: Space, manifest: Manifest) -> tuple[Chapter, ...]:
        key = (state.id, state.version, manifest.start_group)
        found = self._chapters.get(key)
        if found is None:
            begin_ms = manifest.started_at_ms + manifest.start_group * TICK_MS
            log: list[Recorded] = []
            while True:
                page = await self._reading.page(state.id, log[-1].version if log else 0, _PAGE)
                log += page
                if len(page) < _PAGE:
                    break
            found = self._chapters[key] = chapters(log, begin_ms, manifest.duration_ms)
            while len(self._chapters) > _MOST_KNOWN:
                self._chapters.popitem(last=False)
        return found


def chapters(log: Iterable[Recorded], begin_ms: int, duration_ms: int) -> tuple[Chapter, ...]:
    """What happened in a Space between `begin_ms` (of the clock) and `duration_ms` later; a title from before holds."""
    found: list[Chapter] = []
    title = ""
    seen: set[AccountId] = set()
    for recorded in log:
        at_ms = recorded.at_ms - begin_ms
        chapter: Chapter | None = None
        match recorded.event:
            case e.Created(title=text) | e.Edited(title=str() as text):
                if at_ms <= 0:
                    title = text
                elif text:
                    chapter = Chapter(at_ms=at_ms, kind=ChapterKind.TITLE, text=text)
            case e.SpeakerAdded(account=account) | e.CohostAdded(account=account):
                if account not in seen:
                    chapter = Chapter(at_ms=at_ms, kind=ChapterKind.SPEAKER, account=account)
                seen.add(account)
            case e.PollOpened(by=by, question=question):
                chapter = Chapter(at_ms=at_ms, kind=ChapterKind.POLL, text=question, account=by)
            case e.PostShared(post=post, by=by):
                chapter = Chapter(at_ms=at_ms, kind=ChapterKind.POST, account=by, post=post)
        if chapter is not None and 0 <= at_ms < duration_ms:
            found.append(chapter)
    if title and not (found and found[0].at_ms == 0 and found[0].kind is ChapterKind.TITLE):
        found.insert(0, Chapter(at_ms=0, kind=ChapterKind.TITLE, text=title))
    return tuple(found[:_MOST_CHAPTERS])
