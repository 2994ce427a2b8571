"""Clips for those who look at them: lists, files, previews.

What a clip is, the Space's state says; its files lie in the object store, where the media worker puts them
(`media.clips`).

A clip is gone the moment the state says so, whatever lies in the store. While a violation stands in a Space, its clips
are withheld as its replay is: they are parts of it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.clock import Clock
from spaces_ctl.media.clip_names import FAILED, FILES, LATER, PLAYABLE, name_of
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.layout import clip_prefix
from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.model import Actor, SpaceId
from spaces_ctl.policy.record import clip_start_ms
from spaces_ctl.policy.state import ClipInfo, Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.hiding import Hiding
from spaces_ctl.service.ports import Principal, Profile, SocialGraph

__all__ = ["Clips", "Cutter", "File", "SeenClip"]

_log = logging.getLogger(__name__)
_MOST_KNOWN = 10_000
_MOST_LIMIT = 100


class Cutter(Protocol):
    """What is used of `service.recordings`."""

    async def preview(self, space: SpaceId, start_ms: int, end_ms: int) -> bytes:
        """An Ogg Opus file of that stretch. Raises MediaError."""
        ...

    async def film(self, space: SpaceId, clip: int) -> None:
        """Makes a clip's videos, if they are not there. Raises MediaError."""
        ...


class SeenClip(msgspec.Struct, frozen=True, kw_only=True):
    """A clip as somebody sees it."""

    space: SpaceId
    clip: int
    info: ClipInfo
    author: Profile | None
    """None: the account is gone."""
    title: str
    """Of the Space."""
    files: frozenset[str]
    """Those of `media.clip_names.FILES` that are there; or `FAILED`."""

    @property
    def ready(self) -> bool:
        """It can be played."""
        return self.files.issuperset(PLAYABLE)

    @property
    def failed(self) -> bool:
        """What it is to be made of is gone: it never will be ready."""
        return FAILED in self.files

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.info.end_ms - self.info.start_ms


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a clip."""

    name: str
    """In the object store."""
    media_type: str


class Clips:
    """Reads; clips are made and deleted by commands (`commands.Clip`, `commands.DeleteClip`)."""

    def __init__(
        self,
        *,
        objects: Objects | None,
        clock: Clock,
        graph: SocialGraph,
        hiding: Hiding,
        visible: Callable[[Actor, SpaceId], Awaitable[Space]],
        check: Callable[[Actor, SpaceId, c.SpaceCommand], Awaitable[Space]],
        cutter: Cutter | None,
    ) -> None:
        """`visible` is that of `Reading`, `check` that of `Spaces`.

        `objects` and `cutter` None: the deployment records nothing, and has no clips.
        """
        self._objects = objects
        self._clock = clock
        self._graph = graph
        self._hiding = hiding
        self._visible = visible
        self._check = check
        self._cutter = cutter
        self._complete: OrderedDict[tuple[SpaceId, int], frozenset[str]] = OrderedDict()
        """Clips whose every file was seen."""

    async def page(
        self, principal: Principal, space: SpaceId, before: int | None = None, limit: int = 50
    ) -> tuple[Sequence[SeenClip], list[int]]:
        """A Space's clips, newest first, and the numbers on the page: also of clips that are hidden from the viewer.

        Raises ServiceError space.not_found, replay.withheld, store.unavailable.
        """
        state = await self._visible(principal.actor(), space)
        if state.violation:
            raise ServiceError("replay.withheld")
        there = state.clips if self._objects is not None else {}
        numbers = sorted((number for number in there if before is None or number < before), reverse=True)
        numbers = numbers[: min(limit, _MOST_LIMIT)]
        hidden = await self._hiding.hidden(principal.account, {state.clips[number].by for number in numbers})
        shown = [number for number in numbers if state.clips[number].by not in hidden]
        authors = await self._graph.profiles({state.clips[number].by for number in shown})
        return [await self._seen(state, number, authors) for number in shown], numbers

    async def one(self, principal: Principal, space: SpaceId, clip: int) -> SeenClip:
        """One clip; one that is hidden from the viewer is not found.

        Raises ServiceError clip.not_found, replay.withheld, store.unavailable.
        """
        state = await self._with(principal.actor(), space, clip)
        author = state.clips[clip].by
        if await self._hiding.hidden(principal.account, {author}):
            raise ServiceError("clip.not_found")
        return await self._seen(state, clip, await self._graph.profiles([author]))

    async def public(self, space: SpaceId, clip: int) -> SeenClip:
        """As everybody sees it who has the link. Raises as `one`."""
        return await self.one(Principal(), space, clip)

    async def file(self, space: SpaceId, clip: int, file: str) -> File:
        """Where a file lies, or will. Open to everybody who has its address, as the share page is.

        Raises ServiceError clip.not_found, replay.withheld.
        """
        if file not in FILES:
            raise ServiceError("clip.not_found")
        await self._with(Actor(), space, clip)
        return File(name=name_of(space, clip, file), media_type=FILES[file])

    async def not_there(self, space: SpaceId, clip: int, file: str) -> ServiceError:
        """Why a file is not there: it is being made. Asks for a video that a worker has lost from its list."""
        if file in LATER and self._cutter is not None:
            try:
                await self._cutter.film(space, clip)
            except MediaError as error:
                _log.warning("no video of clip %d of Space %d: %s", clip, space, error)
        return ServiceError("clip.processing", retry_after_s=2)

    @property
    def objects(self) -> Objects:
        """Where files lie. Raises ServiceError clip.not_found: the deployment has none."""
        if self._objects is None:
            raise ServiceError("clip.not_found")
        return self._objects

    async def preview(
        self, principal: Principal, space: SpaceId, end_ms: int | None, length_ms: int
    ) -> tuple[int, bytes]:
        """How the clip would sound that `commands.Clip` makes of the same numbers. Nothing is made or kept.

        `end_ms` None: now. Returns the end in milliseconds since the Space's start, and an Ogg Opus file. Raises
        ServiceError: the refusals of `commands.Clip`, replay.unavailable (nothing is there to make it of).
        """
        actor = principal.actor()
        if self._cutter is None:
            raise ServiceError("clips.off")
        if end_ms is None:
            state = await self._visible(actor, space)
            end_ms = max(1, self._clock.now_ms() - (state.started_ms or self._clock.now_ms()))
        command = c.Clip(end_ms=end_ms, length_ms=length_ms)
        state = await self._check(actor, space, command)
        try:
            return end_ms, await self._cutter.preview(space, clip_start_ms(state, command), end_ms)
        except MediaError as error:
            code = "replay.unavailable" if error.code.startswith("source.") else "store.unavailable"
            raise ServiceError(code) from error

    async def label(self, space: SpaceId, clip: int) -> tuple[str, str]:
        """Heading and line of a clip's pictures. Raises ServiceError clip.not_found, space.not_found."""
        state = await self._with(Actor(), space, clip)
        info = state.clips[clip]
        names = await self._graph.profiles({info.by, state.creator})
        host = names.get(state.creator)
        heading = state.title or (f"{host.name}'s Space" if host else "A Space")
        by = f"Clipped by {names[info.by].name}" if info.by in names else ""
        return heading, " · ".join(part for part in (by, info.comment) if part)

    async def _seen(self, state: Space, clip: int, authors: dict[int, Profile]) -> SeenClip:
        info = state.clips[clip]
        return SeenClip(
            space=state.id,
            clip=clip,
            info=info,
            author=authors.get(info.by),
            title=state.title,
            files=await self._files(state.id, clip),
        )

    async def _files(self, space: SpaceId, clip: int) -> frozenset[str]:
        key = (space, clip)
        if key in self._complete:
            self._complete.move_to_end(key)
            return self._complete[key]
        try:
            found = await self.objects.list(clip_prefix(space, clip))
        except StoreUnavailable as error:
            raise ServiceError("store.unavailable") from error
        files = frozenset(name.rpartition("/")[2] for name, _ in found) & (FILES.keys() | {FAILED})
        if len(files & FILES.keys()) == len(FILES):
            self._complete[key] = files
            if len(self._complete) > _MOST_KNOWN:
                self._complete.popitem(last=False)
        return files

    async def _with(self, actor: Actor, space: SpaceId, clip: int) -> Space:
        try:
            state = await self._visible(actor, space)
        except ServiceError as refused:
            if refused.code != "space.not_found":
                raise
            raise ServiceError("clip.not_found") from refused
        if clip not in state.clips or self._objects is None:
            raise ServiceError("clip.not_found")
        if state.violation:
            raise ServiceError("replay.withheld")
        return state
