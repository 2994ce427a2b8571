"""One Space: every command, and what one may read of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Literal

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.client.executing import API
from spaces_ctl.client.paging import items
from spaces_ctl.client.stage_verbs import StageVerbs
from spaces_ctl.client.streams import Over, StreamEvent, stream
from spaces_ctl.client.talk_verbs import TalkVerbs
from spaces_ctl.client.transport import Transport
from spaces_ctl.client.views import (
    Admission,
    Attendance,
    HistoryEntry,
    Invite,
    Peek,
    Person,
    SpaceInfo,
    SpaceLine,
    SpeakRequest,
)
from spaces_ctl.model import Speak, Ticketing

__all__ = ["Space", "Spaces"]


class Space(StageVerbs, TalkVerbs):
    """One Space: `client.space("9JqkZbCx3Gq")`. Nothing is asked before a method is called."""

    async def get(self) -> SpaceInfo:
        """The Space as one sees it. Raises NotFound."""
        return await self._transport.request("GET", self.path, SpaceInfo)

    async def peek(self) -> Peek:
        """A look from outside: the card, some of the people, how many."""
        return await self._transport.request("GET", f"{self.path}/peek", Peek)

    async def join(self, *, anonymous: bool = False) -> Admission:
        """Where and with what token to connect; raises Refused if one may not come in. `anonymous`: unnamed."""
        return await self._transport.request("POST", f"{self.path}/join", Admission, body={"anonymous": anonymous})

    def people(self, *, search: str | None = None, page_size: int | None = None) -> AsyncIterator[Person]:
        """The stage, then named listeners by id."""
        return items(self._transport, f"{self.path}/people", Person, query={"q": search}, page_size=page_size)

    def requests(self, *, page_size: int | None = None) -> AsyncIterator[SpeakRequest]:
        """Who asks to speak, oldest first. For hosts and moderators."""
        return items(self._transport, f"{self.path}/requests", SpeakRequest, page_size=page_size)

    def invites(self, *, page_size: int | None = None) -> AsyncIterator[Invite]:
        """Open invitations, oldest first. For hosts and moderators."""
        return items(self._transport, f"{self.path}/invites", Invite, page_size=page_size)

    async def attendance(self) -> Attendance:
        """How many came. For hosts and moderators."""
        return await self._transport.request("GET", f"{self.path}/attendance", Attendance)

    def history(self, *, page_size: int | None = None) -> AsyncIterator[HistoryEntry]:
        """What happened, from the beginning. For hosts and moderators."""
        return items(self._transport, f"{self.path}/history", HistoryEntry, page_size=page_size)

    def events(
        self, *, after: int | None = None, over: Over = "sse", captions: bool = False
    ) -> AsyncGenerator[StreamEvent]:
        """What happens, as it happens, for good: a lost connection is made again and nothing is missed.

        `after` is the `position` of the last event that is known already (`Done.version`, `SpaceInfo.version`).
        With `captions`, for who may hear, also what is said (`caption`): a later one of the same `n` replaces it.
        Raises Refused if one may not see the Space.
        """
        return stream(self._transport, self.path, after=after, over=over, captions=captions)


class Spaces:
    """Making and finding Spaces: `client.spaces`."""

    def __init__(self, transport: Transport) -> None:
        """One server, one set of credentials."""
        self._transport = transport

    async def create(
        self,
        *,
        title: str = "",
        description: str = "",
        topics: tuple[str, ...] = (),
        lang: str = "",
        record: bool = False,
        speak: Speak = Speak.INVITED,
        requests_open: bool = True,
        clips: bool = True,
        captions: bool = True,
        ticketing: Ticketing | None = None,
        community: int | None = None,
        scheduled_start_ms: int | None = None,
    ) -> SpaceInfo:
        """A new Space in its lobby, or scheduled if `scheduled_start_ms` (milliseconds since 1970) is given."""
        command = c.Create(
            title=title,
            description=description,
            topics=topics,
            lang=lang,
            record=record,
            speak=speak,
            requests_open=requests_open,
            clips=clips,
            captions=captions,
            ticketing=ticketing,
            community=community,
            scheduled_start_ms=scheduled_start_ms,
        )
        return await self._transport.request("POST", f"{API}/spaces", SpaceInfo, body=wire.body_of(command))

    def listed(
        self, tab: Literal["live", "upcoming", "trending"] = "live", *, page_size: int | None = None
    ) -> AsyncIterator[SpaceLine]:
        """`live`: the latest first; `upcoming`: the next first; `trending`: what grows first."""
        return items(self._transport, f"{API}/discover", SpaceLine, query={"tab": tab}, page_size=page_size)

    def search(self, words: str, *, topic: str | None = None, page_size: int | None = None) -> AsyncIterator[SpaceLine]:
        """By title, description, topics and hosts' names, the newest first; `*` behind a word lets it go on."""
        query = {"query": words, "topic": topic}
        return items(self._transport, f"{API}/search/spaces", SpaceLine, query=query, page_size=page_size)
