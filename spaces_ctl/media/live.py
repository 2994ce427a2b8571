"""A live Space's mix as segments of AAC, for players that speak nothing but HTTP: made while somebody asks for them.

The worker listens to the engine as a broadcaster: it is nobody, and hears of the mix what everybody hears, from the
moment somebody asks. Nothing is written anywhere: a minute of segments lies in memory, and goes with the last who
asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spaces_ctl.clock import Clock
from spaces_ctl.engine import ConnectionFailed, EngineError, Listener, MixFrame
from spaces_ctl.media import fragments
from spaces_ctl.media.aac import FRAME, AacEncoder, AacFrame
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.fragments import Codec, Sample
from spaces_ctl.media.gapless import Gapless
from spaces_ctl.media.gapless import Piece as Packet
from spaces_ctl.media.live_requests import LIVE_MS, Hear, Heard, LiveSegment, Piece, PieceOf
from spaces_ctl.media.opus import TICK, Decoder
from spaces_ctl.media.segment_maker import first_aac_frame
from spaces_ctl.segments import TICK_MS

if TYPE_CHECKING:
    from spaces_ctl.media.worker import Worker

__all__ = ["Broadcast", "LiveMaker", "hear", "piece"]

_log = logging.getLogger(__name__)
_SEGMENT_TICKS = LIVE_MS // TICK_MS
_LATE_TICKS = 50
"""The mix may be behind by so much (1 s); what is missing then is a pause."""
_LISTED = 6
"""Segments in a playlist."""
_KEPT = 30
"""Segments in memory: a minute."""
_IDLE_S = 60.0
_LOOK_S = 0.25
_FIRST_S = 8.0
"""Whoever asks first waits so long for something to play."""
_ENOUGH = 2
"""Segments from which on a player has something to begin with."""


class LiveMaker:
    """Packets of the mix in, segments out. Groups and numbers count from the Space's start."""

    def __init__(self, group: int) -> None:
        """The first segment is the first that begins at `group` or later."""
        self._number = -(-group // _SEGMENT_TICKS)
        begin = self._number * _SEGMENT_TICKS
        self._gapless = Gapless(begin)
        self._decoder = Decoder()
        self._aac = AacEncoder(first_aac_frame(begin, 0))
        self._frames: list[AacFrame] = []

    def take(self, group: int, ticks: int, opus: bytes) -> list[tuple[LiveSegment, bytes]]:
        """A packet, and silence before it where nothing was. One that comes too late is dropped."""
        if group < self._gapless.next:
            return []
        packets = [*self._gapless.fill(group), Packet(group, ticks, opus)]
        self._gapless.next = group + ticks
        return self._feed(packets)

    def silence(self, until: int) -> list[tuple[LiveSegment, bytes]]:
        """Nothing came before this group."""
        return self._feed(list(self._gapless.fill(until)))

    def _feed(self, packets: list[Packet]) -> list[tuple[LiveSegment, bytes]]:
        made: list[tuple[LiveSegment, bytes]] = []
        for packet in packets:
            sound = self._decoder.decode(packet.opus, packet.ticks)
            early = self._aac.wants - packet.group * TICK
            if early < 0:
                # Before the first packet the encoder wants a few frames to warm up with.
                self._frames.extend(self._aac.feed(np.zeros(-early, np.float32)))
            self._frames.extend(self._aac.feed(sound[max(0, early) :]))
            made.extend(self._complete())
        return made

    def _complete(self) -> list[tuple[LiveSegment, bytes]]:
        made: list[tuple[LiveSegment, bytes]] = []
        while True:
            end = first_aac_frame((self._number + 1) * _SEGMENT_TICKS, 0)
            if not self._frames or self._frames[-1].number < end - 1:
                return made
            own = [frame for frame in self._frames if frame.number < end]
            self._frames = self._frames[len(own) :]
            samples = [Sample(frame.data, FRAME) for frame in own]
            data = fragments.fragment(Codec.AAC, samples, own[0].number * FRAME, self._number + 1)
            made.append((LiveSegment(number=self._number, samples=len(own) * FRAME), data))
            self._number += 1


class Hearing(Protocol):
    """Part of `engine.Listener`."""

    def mix(self) -> AsyncIterator[list[MixFrame]]:
        """Packets, in batches."""
        ...


Dial = Callable[[Hear], AbstractAsyncContextManager[Hearing]]


def _dial(asked: Hear) -> AbstractAsyncContextManager[Hearing]:
    pin = asked.certificate_sha256 or None
    return Listener(asked.url, token=asked.token, certificate_sha256=pin, track="mix")


class Broadcast:
    """One Space's. It runs from its making until nobody has asked for a minute, or the Space is over."""

    def __init__(self, asked: Hear, clock: Clock, *, dial: Dial = _dial, idle_s: float = _IDLE_S) -> None:
        self.over = False
        self._asked = asked
        self._clock = clock
        self._dial = dial
        self._idle_s = idle_s
        self._segments: OrderedDict[int, tuple[LiveSegment, bytes]] = OrderedDict()
        self._changed = asyncio.Event()
        self._wanted_ms = clock.now_ms()
        self._maker: LiveMaker | None = None
        self._task = asyncio.create_task(self._run(), name=f"broadcast {asked.space}")

    @property
    def done(self) -> bool:
        """It makes nothing any more."""
        return self._task.done()

    async def stop(self) -> None:
        """Wherever it is."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def heard(self, patience_s: float = _FIRST_S) -> Heard:
        """The newest segments; of a broadcast that has just begun, when there are some. Raises MediaError."""
        self._wanted_ms = self._clock.now_ms()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while len(self._segments) < _ENOUGH and not self.done:
                    self._changed.clear()
                    await self._changed.wait()
        if not self._segments:
            raise MediaError("internal", "the engine sends nothing")
        newest = [segment for segment, _ in self._segments.values()][-_LISTED:]
        return Heard(segments=tuple(newest), over=self.over)

    def piece(self, number: int) -> bytes:
        """A segment's bytes. Raises MediaError."""
        self._wanted_ms = self._clock.now_ms()
        found = self._segments.get(number)
        if found is None:
            raise MediaError("source.gone", f"live segment {number}")
        return found[1]

    async def _run(self) -> None:
        try:
            async with self._dial(self._asked) as listener, asyncio.TaskGroup() as group:
                pumping = group.create_task(self._pump(listener))
                while not pumping.done() and self._clock.now_ms() - self._wanted_ms < self._idle_s * 1000:
                    await asyncio.sleep(_LOOK_S)
                    self._keep(self._maker_at(self._now()).silence(self._now() - _LATE_TICKS))
                pumping.cancel()
        except* (ConnectionFailed, EngineError) as errors:
            # Closed by the engine: the Space is over, or the engine is gone; the next who asks finds out.
            self.over = True
            _log.info("the broadcast of %d ends: %s", self._asked.space, errors.exceptions[0])
        finally:
            self._changed.set()

    async def _pump(self, listener: Hearing) -> None:
        async for batch in listener.mix():
            for packet in batch:
                maker = self._maker_at(packet.group)
                self._keep(maker.take(packet.group, packet.ticks, packet.opus))

    def _maker_at(self, group: int) -> LiveMaker:
        if self._maker is None:
            self._maker = LiveMaker(group)
        return self._maker

    def _keep(self, made: list[tuple[LiveSegment, bytes]]) -> None:
        for segment, data in made:
            self._segments[segment.number] = (segment, data)
            while len(self._segments) > _KEPT:
                self._segments.popitem(last=False)
            self._changed.set()

    def _now(self) -> int:
        return (self._clock.now_ms() - self._asked.started_at_ms) // TICK_MS


async def hear(worker: Worker, asked: Hear) -> Heard:
    """The newest segments of a Space's mix."""
    broadcast = worker.broadcasts.get(asked.space)
    if broadcast is None or (broadcast.done and not broadcast.over):
        broadcast = worker.broadcasts[asked.space] = Broadcast(asked, worker.clock)
    heard = await broadcast.heard()
    for space, other in list(worker.broadcasts.items()):
        if other.done and other is not broadcast:
            del worker.broadcasts[space]
    return heard


async def piece(worker: Worker, asked: PieceOf) -> Piece:
    """One segment, or what every player needs before the first."""
    if asked.number is None:
        return Piece(data=fragments.initialisation(Codec.AAC))
    broadcast = worker.broadcasts.get(asked.space)
    if broadcast is None:
        raise MediaError("source.gone", "nobody listens")
    return Piece(data=broadcast.piece(asked.number))
