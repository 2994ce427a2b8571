"""AAC-LC for players that know no Opus: one encoder over a whole recording, and a gain that needs no encoder at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags

from spaces_ctl.media.opus import RATE

__all__ = ["BIT_RATE", "FRAME", "STEP_DB", "AacEncoder", "AacFrame", "NotOurs", "amplify", "encoder"]

FRAME = 1024
"""Samples of a frame."""
BIT_RATE = 96_000
STEP_DB = 20 * math.log10(2) / 4
"""What one step of `global_gain` is worth (ISO/IEC 14496-3, 4.6.2.3.3): 1.505 dB."""
_PRIMING = 4
"""Frames that an encoder takes before its first one counts: its psychoacoustics and overlap need to know what was."""


class NotOurs(ValueError):
    """Not a frame as our encoder makes it: a single channel element comes first."""


class AacFrame(NamedTuple):
    """Samples `number * FRAME` to `(number + 1) * FRAME` of the recording (and, overlapping, those around)."""

    number: int
    data: bytes


def encoder() -> av.AudioCodecContext:
    """Ffmpeg's AAC-LC, mono."""
    codec = av.CodecContext.create("aac", "w")
    codec.sample_rate = RATE
    codec.layout = "mono"
    codec.format = "fltp"
    codec.bit_rate = BIT_RATE
    codec.time_base = Fraction(1, RATE)
    # The quick coder: half the time, and speech at this bit rate shows no difference (docs/replay.md).
    codec.options = {"aac_coder": "fast"}
    # Otherwise every 256th frame begins with the encoder's name, and `amplify` with parsing.
    codec.flags |= Flags.bitexact
    return codec


class AacEncoder:
    """Encodes from a frame on. Frames lie on a grid that begins with the recording, whoever encodes them.

    The frame before the first one is dropped: it holds nothing but what overlaps into the first, so that time needs no
    edit list, which half of the players ignore. A recording so fades in over its first 21 ms.
    """

    def __init__(self, first_frame: int = 0) -> None:
        """`first_frame` is the first to be given out; `wants` tells from which sample on it has to be fed."""
        self._first = first_frame
        self._fed_from = max(0, first_frame - _PRIMING) * FRAME
        self._codec = encoder()
        self._rest: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._pts = 0

    @property
    def wants(self) -> int:
        """The sample that `feed` takes next, counted from the recording's start."""
        return self._fed_from + self._pts + len(self._rest)

    def feed(self, sound: npt.NDArray[np.float32]) -> Iterator[AacFrame]:
        """Takes the sound that follows; gives out the frames that are ready, one or two behind it."""
        rest = np.concatenate([self._rest, sound])
        whole = len(rest) // FRAME * FRAME
        for start in range(0, whole, FRAME):
            yield from self._encode(rest[start : start + FRAME])
        self._rest = rest[whole:]

    def finish(self) -> Iterator[AacFrame]:
        """What is left, the last frame filled up with silence."""
        if len(self._rest):
            yield from self._encode(np.pad(self._rest, (0, FRAME - len(self._rest))))
            self._rest = self._rest[:0]
        yield from self._out(self._codec.encode(None))

    def _encode(self, block: npt.NDArray[np.float32]) -> Iterator[AacFrame]:
        frame = av.AudioFrame.from_ndarray(block[None, :], format="fltp", layout="mono")
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = self._pts
        self._pts += FRAME
        yield from self._out(self._codec.encode(frame))

    def _out(self, packets: Iterable[Any]) -> Iterator[AacFrame]:
        for packet in packets:
            assert packet.pts is not None
            number = (self._fed_from + packet.pts) // FRAME
            if number >= self._first:
                yield AacFrame(number, bytes(packet))


def amplify(data: npt.NDArray[np.uint8], frames: npt.NDArray[np.int64], steps: int) -> None:
    """Makes the frames that begin at these places `steps` * STEP_DB louder: their `global_gain` is changed, no more.

    Exact and without loss (aacgain does the same to files); the field ends at 0 and 255, far from what speech has.
    Raises NotOurs, with nothing changed.
    """
    # id_syn_ele (3 bits, 0: single channel), element_instance_tag (4 bits, 0), global_gain (8 bits): 4.4.2.1, 4.4.2.7.
    if (data[frames] & 0xFE).any():
        raise NotOurs("not a frame of one channel")
    gains = (data[frames].astype(np.int64) & 1) << 7 | data[frames + 1] >> 1
    gains = np.clip(gains + steps, 0, 255)
    data[frames] = gains >> 7
    data[frames + 1] = (gains & 0x7F) << 1 | data[frames + 1] & 1
