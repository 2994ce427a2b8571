"""Loudness after ITU-R BS.1770-5 and EBU R 128, from powers of 20 ms: they add up, so that any part is measured."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

from spaces_ctl.media.opus import RATE, TICK

__all__ = ["TARGET_LUFS", "KWeighting", "gain_db", "integrated"]

TARGET_LUFS = -16.0
"""What replays and clips are brought to: AES TD1008's for speech, and what podcast directories ask for."""
_MOST_GAIN_DB = 20.0
"""Not more: noise would become speech."""

_STAGES = (
    # BS.1770-5, tables 1 and 2, for 48 kHz: the head's high shelf, then the high pass.
    (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585),
    (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621),
)
_BLOCK_TICKS, _HOP_TICKS = 20, 5
"""Gating blocks of 400 ms that overlap by 75 %."""
_ABSOLUTE_LUFS, _RELATIVE_LU, _OFFSET_DB = -70.0, -10.0, -0.691


class KWeighting:
    """The filter before the powers; goes on from call to call."""

    def __init__(self) -> None:
        self._graph = Graph()
        nodes = [
            self._graph.add_abuffer(sample_rate=RATE, format="dblp", layout="mono", time_base=Fraction(1, RATE)),
            *(
                self._graph.add("biquad", f"b0={b0}:b1={b1}:b2={b2}:a0=1:a1={a1}:a2={a2}:precision=f64")
                for b0, b1, b2, a1, a2 in _STAGES
            ),
            self._graph.add("abuffersink"),
        ]
        self._graph.link_nodes(*nodes).configure()
        self._pts = 0

    def powers(self, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The mean square of every 20 ms of `sound` (whole groups), weighted."""
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float64)[None, :], format="dblp", layout="mono")
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = self._pts
        self._pts += len(sound)
        self._graph.push(frame)
        heard = np.asarray(self._graph.pull().to_ndarray(), dtype=np.float64).reshape(-1, TICK)
        return np.asarray((heard * heard).mean(axis=1), dtype=np.float32)


def integrated(powers: npt.NDArray[np.float32]) -> float | None:
    """LUFS of the whole, gated; None if nothing is loud enough to be measured, or it is shorter than 400 ms."""
    if len(powers) < _BLOCK_TICKS:
        return None
    sums = np.concatenate([[0.0], np.cumsum(powers, dtype=np.float64)])
    starts = np.arange(0, len(powers) - _BLOCK_TICKS + 1, _HOP_TICKS)
    blocks = np.maximum(0.0, sums[starts + _BLOCK_TICKS] - sums[starts]) / _BLOCK_TICKS
    loud = blocks[blocks > _power(_ABSOLUTE_LUFS)]
    if not len(loud):
        return None
    gate = float(loud.mean()) * 10 ** (_RELATIVE_LU / 10)
    return _lufs(float(loud[loud > gate].mean()))


def gain_db(loudness_lufs: float | None) -> float:
    """What brings it to the target, within reason."""
    if loudness_lufs is None:
        return 0.0
    return max(-_MOST_GAIN_DB, min(_MOST_GAIN_DB, TARGET_LUFS - loudness_lufs))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET_DB) / 10))


def _lufs(power: float) -> float:
    return float(_OFFSET_DB + 10 * np.log10(power))
