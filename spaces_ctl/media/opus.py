"""Opus as the packager needs it: decoding one stream packet by packet, and what fills pauses."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
import numpy.typing as npt

from spaces_ctl.segments import TICK_MS

__all__ = ["LOOKAHEAD", "RATE", "TICK", "Decoder", "filling"]

RATE = 48_000
"""Samples a second of everything that is packaged."""
TICK = RATE * TICK_MS // 1000
"""Samples of a group."""
LOOKAHEAD = 312
"""What a packet decodes to is this many samples later than what was encoded into it: the encoder's lookahead, which is
the pre-skip of files (RFC 7845 section 5.1)."""

_SILENCE = b"\xff\xfe"
"""A CELT frame whose silence flag is set, as libopus encodes zeros (RFC 6716 section 4.3)."""
_MOST_TICKS = 3


def filling(ticks: int) -> Iterable[tuple[int, bytes]]:
    """Encoded silence, mono, for `ticks` groups: packets of at most 60 ms, with the groups that each lasts."""
    while ticks > 0:
        own = min(ticks, _MOST_TICKS)
        # Configuration 31, CELT fullband 20 ms; code 0 for one frame, 3 with a count for several (section 3.2).
        head = b"\xf8" if own == 1 else bytes([0xFB, own])
        yield own, head + _SILENCE * own
        ticks -= own


class Decoder:
    """libopus, mono, 48 kHz."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate = RATE
        self._codec.layout = "mono"

    def decode(self, opus: bytes, ticks: int) -> npt.NDArray[np.float32]:
        """`ticks` groups of sound, full scale 1.0. What cannot be decoded is silence."""
        wanted = ticks * TICK
        try:
            frames = self._codec.decode(av.Packet(opus))
        except av.FFmpegError:
            frames = []
        pieces = [np.asarray(frame.to_ndarray(), dtype=np.int16).reshape(-1) for frame in frames]
        whole = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        sound: npt.NDArray[np.float32] = whole.astype(np.float32) / np.float32(32768)
        if len(sound) < wanted:
            sound = np.concatenate([sound, np.zeros(wanted - len(sound), np.float32)])
        return sound[:wanted]
