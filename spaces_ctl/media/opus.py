"""Opus as the packager needs it: decoding one stream packet by packet, and what fills pauses."""

from __future__ import annotations

from collections.abc import Iterable

import av
import numpy as np
import numpy.typing as npt

from spaces_ctl.segments import LOOKAHEAD, TICK_MS, silence

__all__ = ["LOOKAHEAD", "MOST_TICKS", "RATE", "TICK", "Decoder", "filling", "ticks_of"]

RATE = 48_000
"""Samples a second of everything that is packaged."""
TICK = RATE * TICK_MS // 1000
"""Samples of a group."""
MOST_TICKS = 3
"""Of a packet."""


def filling(ticks: int) -> Iterable[tuple[int, bytes]]:
    """Encoded silence, mono, for `ticks` groups: packets of at most 60 ms, with the groups that each lasts."""
    while ticks > 0:
        own = min(ticks, MOST_TICKS)
        yield own, silence(own)
        ticks -= own


def ticks_of(opus: bytes) -> int:
    """How many groups a packet lasts, by its first bytes (RFC 6716 section 3.1); 0 for what is no packet of ours."""
    if not opus:
        return 0
    config, code = opus[0] >> 3, opus[0] & 3
    if config < 12:
        frame_ms = (10, 20, 40, 60)[config % 4]
    else:
        frame_ms = (10, 20)[config % 2] if config < 16 else (0, 5, 10, 20)[config % 4]
    frames = (1, 2, 2, opus[1] & 0x3F if len(opus) > 1 else 0)[code]
    return frame_ms * frames // TICK_MS


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
