"""One holder of a seat: packets in, lines out, never more than a bounded stretch in between.

    resting --packet--> speaking --pause, or nothing but noise--> resting
               (a stream of the recogniser is open while speaking)

Packets wait in a queue that the recogniser empties at its own pace. When it falls so far behind that the queue, or the
queues of all voices together, are full, what waits is shed as a whole and a line without text marks the gap: captions
that come late are of no use to anybody who listens, and half a queue would be late for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from spaces_ctl.captions.recogniser import Heard, Pcm, Recogniser, RecogniserFailed, Stream
from spaces_ctl.captions.speech import SpeechDecoder

__all__ = ["Budget", "Line", "Voice", "VoiceLimits"]

GROUP_MS = 20
_SLACK_MS = 100
_LONGEST_GAP_MS = 10_000
"""A gap is told at the latest when it is this long."""
_AGAIN_MS = 2_000
"""After a failure of the recogniser."""
log = logging.getLogger(__name__)


class VoiceLimits(NamedTuple):
    """Durations in milliseconds of speech."""

    batch_ms: int = 400
    """What the recogniser is given at least at once."""
    most_ms: int = 2_000
    """And at most: it catches up by taking more at once, which is cheaper; but what was handed over cannot be shed."""
    hush_ms: int = 300
    """Without a packet for this long, silence is fed in real time: the recogniser finds the end of the line by it."""
    pause_ms: int = 1_500
    """Without a packet for this long the speech is over."""
    nothing_ms: int = 8_000
    """Sound in which the recogniser finds no line for this long is no speech: the stream is given back."""
    queue_ms: int = 4_000
    """What may wait of one voice."""
    quiet_dbov: int = 70
    """A packet of this level (-dBov, RFC 6464) or quieter counts as none."""


class Budget:
    """What all voices of the process share: streams of the recogniser, and sound that waits."""

    def __init__(self, *, streams: int, queue_ms: int) -> None:
        """At most so many streams at once, and so many milliseconds waiting."""
        self.streams = streams
        self.queue_ms = queue_ms
        self.open = 0
        self.waiting_ms = 0
        self.shed_ms = 0
        """Sound that was not captioned, since the start."""


class Line(NamedTuple):
    """What a voice says; times count from group 0."""

    line: int
    start_ms: int
    end_ms: int
    text: str
    """Empty: not captioned."""
    final: bool


class _Waiting(NamedTuple):
    group: int
    opus: bytes | None
    """None: silence."""


class Voice:
    """`run` is a task of its own; `packet` and `look` come from the connection and never wait."""

    def __init__(
        self,
        recogniser: Recogniser,
        language: str,
        budget: Budget,
        tell: Callable[[Line], None],
        *,
        limits: VoiceLimits | None = None,
    ) -> None:
        """`tell` gets every line."""
        self._recogniser = recogniser
        self._language = language
        self._budget = budget
        self._tell = tell
        self._limits = limits or VoiceLimits()
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._next = -1
        """The group after the last that is in the queue or was in it."""
        self._last_s = 0.0
        """When the last packet came."""
        self._hushed = 0
        """Groups of silence since then."""
        self._over = True
        """A pause was reached: what is in the queue ends the speech."""
        self._closing = False
        self._stretch: _Stretch | None = None
        self._gap: tuple[int, int] | None = None
        self._lines = 0
        self._not_before = -1
        """The recogniser failed: it is not asked before this group."""

    # From the connection

    def packet(self, group: int, opus: bytes, level: int, now_s: float) -> None:
        """20 ms of speech; late and repeated ones are ignored."""
        if level >= self._limits.quiet_dbov or group < self._next:
            return
        self._over = False
        self._last_s, self._hushed = now_s, 0
        self._put(_Waiting(group, opus))

    def look(self, now_s: float) -> None:
        """Several times a second: notices when nobody speaks any more."""
        if self._over:
            return
        silent_ms = (now_s - self._last_s) * 1000
        if silent_ms < self._limits.hush_ms:
            return
        # A little less than has passed: what is said next must not come before what we made up.
        for _ in range((min(round(silent_ms), self._limits.pause_ms) - _SLACK_MS) // GROUP_MS - self._hushed):
            self._hushed += 1
            self._put(_Waiting(self._next, None))
        if silent_ms >= self._limits.pause_ms:
            self._over = True
            self._wake.set()

    def finish(self) -> None:
        """Nothing more comes: `run` ends when it has told what it has."""
        self._over = self._closing = True
        self._wake.set()

    @property
    def waiting_ms(self) -> int:
        """Sound in the queue."""
        return len(self._queue) * GROUP_MS

    def _put(self, one: _Waiting) -> None:
        if self.waiting_ms >= self._limits.queue_ms or self._budget.waiting_ms >= self._budget.queue_ms:
            self._shed(self._drain())
        self._queue.append(one)
        self._budget.waiting_ms += GROUP_MS
        self._next = one.group + 1
        if self.waiting_ms >= self._limits.batch_ms:
            self._wake.set()

    def _drain(self, most_ms: int | None = None) -> list[_Waiting]:
        length = len(self._queue) if most_ms is None else min(len(self._queue), most_ms // GROUP_MS)
        batch = [self._queue.popleft() for _ in range(length)]
        self._budget.waiting_ms -= len(batch) * GROUP_MS
        return batch

    def _shed(self, lost: Sequence[_Waiting]) -> None:
        spoken = [one.group for one in lost if one.opus is not None]
        if not spoken:
            return
        self._budget.shed_ms += len(spoken) * GROUP_MS
        begin = spoken[0] if self._gap is None else self._gap[0]
        self._gap = (begin, spoken[-1] + 1)

    # The task

    async def run(self) -> None:
        """Until `finish`, or until it is cancelled: then nothing more is told."""
        try:
            while not (self._closing and not self._queue):
                await self._wake.wait()
                self._wake.clear()
                await self._work()
            await self._end()
        finally:
            self._drain()
            await self._let_go()

    async def _work(self) -> None:
        """Everything that waits, and the end of the speech if it has come."""
        while len(self._queue) * GROUP_MS >= self._limits.batch_ms or (self._over and self._queue):
            await self._recognise(self._drain(self._limits.most_ms))
        if self._over and not self._queue:
            await self._end()

    async def _recognise(self, batch: list[_Waiting]) -> None:
        try:
            if self._gap is not None or not self._joins(batch[0].group):
                await self._finish_stretch()
            if self._stretch is None and not await self._begin(batch):
                return
            assert self._stretch is not None
            self._say(await self._stretch.feed(batch))
            if self._stretch.says_nothing_for_ms >= self._limits.nothing_ms:
                await self._finish_stretch()
        except RecogniserFailed as failure:
            log.warning("a recogniser's stream failed: %s", failure)
            await self._let_go()
            self._shed(batch)
            self._not_before = batch[-1].group + _AGAIN_MS // GROUP_MS

    def _joins(self, group: int) -> bool:
        stretch = self._stretch
        return stretch is None or group - stretch.next_group <= self._limits.pause_ms // GROUP_MS

    async def _begin(self, batch: list[_Waiting]) -> bool:
        """Opens a stream; False if nobody speaks or there is none for this voice now."""
        spoken = next((one.group for one in batch if one.opus is not None), None)
        if spoken is None:
            return False
        if self._budget.open >= self._budget.streams or spoken < self._not_before:
            self._shed(batch)
            if self._gap is not None and (self._gap[1] - self._gap[0]) * GROUP_MS >= _LONGEST_GAP_MS:
                self._tell_gap()
            return False
        self._budget.open += 1
        try:
            stream = await self._recogniser.open(self._language)
        except BaseException:
            self._budget.open -= 1
            raise
        self._tell_gap()
        self._stretch = _Stretch(stream, spoken)
        return True

    async def _end(self) -> None:
        """The speech is over: what was recognised is final."""
        try:
            await self._finish_stretch()
        except RecogniserFailed as failure:
            log.warning("a recogniser's stream failed at its end: %s", failure)
        self._tell_gap()

    async def _finish_stretch(self) -> None:
        try:
            if self._stretch is not None:
                self._say(await self._stretch.finish())
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return
        self._budget.open -= 1
        # Lines that never became final keep their number: whoever shows them takes them away after a while.
        self._lines += stretch.lines
        try:
            await stretch.aclose()
        except RecogniserFailed as failure:
            log.warning("a recogniser's stream did not close: %s", failure)

    def _say(self, heard: Sequence[Heard]) -> None:
        assert self._stretch is not None
        begin_ms = self._stretch.begin_group * GROUP_MS
        for one in heard:
            self._tell(
                Line(self._lines + one.line, begin_ms + one.start_ms, begin_ms + one.end_ms, one.text, one.final)
            )

    def _tell_gap(self) -> None:
        if self._gap is None:
            return
        begin, end = self._gap
        self._gap = None
        self._tell(Line(self._lines, begin * GROUP_MS, end * GROUP_MS, "", True))
        self._lines += 1


class _Stretch:
    """An open stream, and where it stands in the Space's time."""

    def __init__(self, stream: Stream, begin_group: int) -> None:
        self._stream = stream
        self._decoder = SpeechDecoder()
        self.begin_group = begin_group
        self.next_group = begin_group
        self.lines = 0
        self.says_nothing_for_ms = 0
        self._line_open = False

    async def feed(self, batch: Sequence[_Waiting]) -> Sequence[Heard]:
        pieces: list[Pcm] = []
        for one in batch:
            if one.group < self.next_group:
                continue
            if (missing := one.group - self.next_group) > 0:
                pieces.append(self._decoder.silence(missing))
            pieces.append(self._decoder.silence(1) if one.opus is None else self._decoder.packet(one.opus))
            self.next_group = one.group + 1
        if not pieces:
            return ()
        return self._took(await self._stream.feed(np.concatenate(pieces)), len(batch) * GROUP_MS)

    async def finish(self) -> Sequence[Heard]:
        return self._took(await self._stream.finish(), 0)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _took(self, heard: Sequence[Heard], fed_ms: int) -> Sequence[Heard]:
        for one in heard:
            self.lines = max(self.lines, one.line + 1)
            self._line_open = not one.final
        self.says_nothing_for_ms = 0 if heard or self._line_open else self.says_nothing_for_ms + fed_ms
        return heard
