"""From pieces of the mix to segments of about 6 s in Opus (as it is) and AAC, with what is measured on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from spaces_ctl.media import fragments
from spaces_ctl.media.aac import FRAME, AacEncoder, AacFrame
from spaces_ctl.media.fragments import Codec, Sample
from spaces_ctl.media.gapless import Piece
from spaces_ctl.media.loudness import KWeighting
from spaces_ctl.media.opus import LOOKAHEAD, TICK, Decoder, filling
from spaces_ctl.media.peaks import extremes
from spaces_ctl.segments import TICK_MS

__all__ = ["SEGMENT_TICKS", "WARM_TICKS", "Made", "Measured", "SegmentMaker", "first_aac_frame"]

SEGMENT_TICKS = 6000 // TICK_MS
"""Borders lie on the first packet that begins at a multiple of this or later: 6 s, exact to a packet."""
WARM_TICKS = 50
"""What is decoded again, 1 s, where one goes on: decoder, loudness filter and AAC encoder know what was by then."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A segment, and what is known of its sound; arrays have an entry for each group."""

    number: int
    """From 0."""
    group: int
    """Its first."""
    ticks: int
    aac_frame: int
    """Its first frame of AAC, counted from the recording's start."""
    aac_frames: int
    opus_bytes: int
    aac_bytes: int
    powers: bytes
    """float32, `loudness.KWeighting.powers`."""
    low: bytes
    """int8, `peaks.extremes`."""
    high: bytes
    speaking: bytes
    """uint16, masks of seats."""

    @property
    def end(self) -> int:
        """The group after it."""
        return self.group + self.ticks


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A finished segment."""

    measured: Measured
    opus: bytes
    aac: bytes


class _Waiting(msgspec.Struct, kw_only=True):
    """A segment whose AAC is not complete: the last frame reaches into the next one."""

    number: int
    pieces: list[Piece]
    samples: list[Sample]
    powers: bytes
    low: bytes
    high: bytes
    speaking: bytes


class SegmentMaker:
    """Takes the pieces from a segment's border on, in order and without a hole."""

    def __init__(self, origin: int, *, number: int = 0, group: int | None = None, warm: Iterable[Piece] = ()) -> None:
        """`origin` is the recording's first group. To go on: segment `number` begins at `group`, `warm` is what was
        just before (`WARM_TICKS`).
        """
        self._origin = origin
        self._number = number
        self._pieces: list[Piece] = []
        self._waiting: deque[_Waiting] = deque()
        self._frames: deque[AacFrame] = deque()
        self._decoder = Decoder()
        self._weighting = KWeighting()
        begin = origin if group is None else group
        self._aac = AacEncoder(first_aac_frame(begin, origin))
        before = list(warm)
        if before and before[-1].end == begin:
            self._take(before)

    def feed(self, piece: Piece) -> Iterator[Made]:
        """Takes a piece; gives out a segment when one is complete, one segment behind."""
        if self._pieces and piece.group - self._origin >= SEGMENT_TICKS * (self._number + 1):
            self._close(self._pieces[-1].end)
            yield from self._complete()
        self._pieces.append(piece)

    def finish(self, end_group: int) -> Iterator[Made]:
        """What is left. The last piece may reach beyond the end: it is cut there."""
        if self._pieces:
            self._close(end_group)
        if self._waiting:
            # The decoder is behind by its lookahead; the encoder gives out the rest when told.
            for ticks, opus in filling(1):
                self._feed_aac(self._decoder.decode(opus, ticks)[:LOOKAHEAD], end_group)
            last = round((end_group - self._origin) * TICK / FRAME)
            self._frames.extend(frame for frame in self._aac.finish() if frame.number < last)
            while self._waiting:
                yield self._made(last if len(self._waiting) == 1 else None)

    def _close(self, end: int) -> None:
        pieces, self._pieces = self._pieces, []
        sound = self._take(pieces)[: (end - pieces[0].group) * TICK]
        low, high = extremes(sound)
        masks = np.concatenate([np.full(piece.ticks, piece.seats, np.uint16) for piece in pieces])
        samples = [Sample(piece.opus, (min(piece.end, end) - piece.group) * TICK) for piece in pieces]
        self._waiting.append(
            _Waiting(
                number=self._number,
                pieces=pieces,
                samples=samples,
                powers=self._weighting.powers(sound).tobytes(),
                low=low.tobytes(),
                high=high.tobytes(),
                speaking=masks[: end - pieces[0].group].tobytes(),
            )
        )
        self._number += 1

    def _take(self, pieces: Sequence[Piece]) -> npt.NDArray[np.float32]:
        sound = np.concatenate([self._decoder.decode(piece.opus, piece.ticks) for piece in pieces])
        self._feed_aac(sound, pieces[0].group)
        return sound

    def _feed_aac(self, sound: npt.NDArray[np.float32], group: int) -> None:
        """`sound` was decoded at `group`, where it stands for what was spoken a lookahead before."""
        early = self._aac.wants - ((group - self._origin) * TICK - LOOKAHEAD)
        if early > 0:
            sound = sound[early:]
        elif early < 0:
            sound = np.concatenate([np.zeros(-early, np.float32), sound])
        self._frames.extend(self._aac.feed(sound))

    def _complete(self) -> Iterator[Made]:
        while self._waiting:
            end = first_aac_frame(self._waiting[0].pieces[-1].end, self._origin)
            if not self._frames or self._frames[-1].number < end - 1:
                return
            yield self._made(None)

    def _made(self, last_frame: int | None) -> Made:
        one = self._waiting.popleft()
        begin, end = one.pieces[0].group, one.pieces[-1].end
        until = first_aac_frame(end, self._origin) if last_frame is None else last_frame
        frames = []
        while self._frames and self._frames[0].number < until:
            frames.append(self._frames.popleft())
        opus = fragments.fragment(Codec.OPUS, one.samples, (begin - self._origin) * TICK, one.number + 1)
        aac = b""
        if frames:
            samples = [Sample(frame.data, FRAME) for frame in frames]
            aac = fragments.fragment(Codec.AAC, samples, frames[0].number * FRAME, one.number + 1)
        measured = Measured(
            number=one.number,
            group=begin,
            ticks=sum(sample.duration for sample in one.samples) // TICK,
            aac_frame=frames[0].number if frames else until,
            aac_frames=len(frames),
            opus_bytes=len(opus),
            aac_bytes=len(aac),
            powers=one.powers,
            low=one.low,
            high=one.high,
            speaking=one.speaking,
        )
        return Made(measured=measured, opus=opus, aac=aac)


def first_aac_frame(group: int, origin: int) -> int:
    """The first frame that begins at a group or later."""
    return -(-(group - origin) * TICK // FRAME)
