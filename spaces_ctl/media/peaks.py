"""The waveform for the page, in the JSON of BBC's audiowaveform, version 2, which waveform widgets read."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from spaces_ctl.media.opus import RATE, TICK

__all__ = ["extremes", "waveform"]

_MOST_POINTS = 4000
"""More than a screen is wide; an hour has one a second."""
_LEAST_TICKS = 5


def extremes(sound: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """The lowest and the highest sample of every 20 ms of whole groups, full scale ±127."""
    ticks = np.clip(sound.reshape(-1, TICK) * 127, -127, 127)
    return np.floor(ticks.min(axis=1)).astype(np.int8), np.ceil(ticks.max(axis=1)).astype(np.int8)


def waveform(low: npt.NDArray[np.int8], high: npt.NDArray[np.int8], gain_db: float) -> bytes:
    """As it sounds with the gain."""
    ticks = max(_LEAST_TICKS, -(-len(low) // _MOST_POINTS))
    rest = -len(low) % ticks
    gain = 10 ** (gain_db / 20)
    lowest = np.pad(low, (0, rest)).reshape(-1, ticks).min(axis=1) * gain
    highest = np.pad(high, (0, rest)).reshape(-1, ticks).max(axis=1) * gain
    pairs = np.clip(np.stack([lowest, highest], axis=1), -127, 127).astype(np.int8)
    return msgspec.json.encode(
        {
            "version": 2,
            "channels": 1,
            "sample_rate": RATE,
            "samples_per_pixel": ticks * TICK,
            "bits": 8,
            "length": len(pairs),
            "data": pairs.reshape(-1).tolist(),
        }
    )
