"""One Space: a voice for everybody who may be captioned, and who that is from moment to moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from spaces_ctl.captions.messages import Heard
from spaces_ctl.captions.recogniser import Recogniser
from spaces_ctl.captions.voice import Budget, Line, Voice, VoiceLimits

__all__ = ["Packet", "Room"]

log = logging.getLogger(__name__)


class Packet(NamedTuple):
    """20 ms of a seat, as the engine passes it on."""

    group: int
    seat: int
    generation: int
    level: int
    """In -dBov (RFC 6464)."""
    opus: bytes


class _Speaker(NamedTuple):
    voice: Voice
    task: asyncio.Task[None]


class Room:
    """Voices run as tasks until `finish` or `aclose`."""

    def __init__(
        self,
        space: int,
        language: str,
        recogniser: Recogniser,
        budget: Budget,
        tell: Callable[[Heard], None],
        *,
        limits: VoiceLimits | None = None,
    ) -> None:
        """Nobody may be captioned yet."""
        self.space = space
        self._language = language
        self._recogniser = recogniser
        self._budget = budget
        self._tell = tell
        self._limits = limits
        self._allowed: Mapping[int, int] = {}
        self._speakers: dict[tuple[int, int], _Speaker] = {}

    def allow(self, seats: Mapping[int, int]) -> None:
        """Seat -> generation of who may be captioned from now on; anybody else is forgotten with what waits of them."""
        self._allowed = dict(seats)
        for key in list(self._speakers):
            seat, generation = key
            if self._allowed.get(seat) != generation:
                self._speakers.pop(key).task.cancel()

    def packet(self, packet: Packet, now_s: float) -> None:
        """Never waits. Of those who may not be captioned nothing is kept."""
        if self._allowed.get(packet.seat) != packet.generation:
            return
        key = (packet.seat, packet.generation)
        speaker = self._speakers.get(key) or self._begin(key)
        speaker.voice.packet(packet.group, packet.opus, packet.level, now_s)

    def look(self, now_s: float) -> None:
        """Several times a second: notices who has fallen silent."""
        for speaker in self._speakers.values():
            speaker.voice.look(now_s)

    async def finish(self) -> None:
        """Tells what was said to the end."""
        tasks = [speaker.task for speaker in self._speakers.values()]
        for speaker in self._speakers.values():
            speaker.voice.finish()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Forgets everything."""
        tasks = [speaker.task for speaker in self._speakers.values()]
        self._speakers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: tuple[int, int]) -> _Speaker:
        seat, generation = key

        def tell(line: Line) -> None:
            # A recogniser may still answer what it was asked before the person withdrew.
            if self._allowed.get(seat) == generation:
                self._tell(Heard(space=self.space, seat=seat, generation=generation, **line._asdict()))

        voice = Voice(self._recogniser, self._language, self._budget, tell, limits=self._limits)
        task = asyncio.create_task(voice.run(), name=f"caption {seat}")
        speaker = self._speakers[key] = _Speaker(voice, task)
        task.add_done_callback(lambda done: self._ended(key, done))
        return speaker

    def _ended(self, key: tuple[int, int], task: asyncio.Task[None]) -> None:
        if (known := self._speakers.get(key)) is not None and known.task is task:
            # Their next packet begins a new voice.
            del self._speakers[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its type only: its text may quote what was heard.
            log.error("captions of a seat failed: %s", type(error).__name__)
