"""What the demo counts: frames sent and delivered, their latency, and how long a word takes from mouth to ear."""

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spaces_ctl.demo.speech import RATE, Samples

_WINDOW = RATE
"""Mouth to ear is measured on stretches of one second."""
_COARSE = 6
_MATCH = 0.5
"""Correlation from which a stretch counts as found."""


@dataclass(slots=True)
class Latency:
    """A histogram of times from the encoder to a listener, in steps of 0.1 ms."""

    steps: Counter[int] = field(default_factory=Counter)

    def add(self, steps: Mapping[int, int] | Iterable[tuple[int, int]]) -> None:
        """Adds `(tenths of a millisecond, how many)`."""
        for step, count in steps.items() if isinstance(steps, Mapping) else steps:
            self.steps[step] += count

    @property
    def count(self) -> int:
        """Frames in it."""
        return self.steps.total()

    def quantile(self, share: float) -> float | None:
        """Milliseconds within which this share of the frames arrived; `None` without frames."""
        wanted = math.ceil(share * self.count)
        seen = 0
        for step in sorted(self.steps):
            seen += self.steps[step]
            if seen >= wanted:
                return (step + 1) / 10
        return None


@dataclass(slots=True)
class Levels:
    """How loud each seat was, ten times a second, for the last quarter of an hour."""

    seats: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)
    """Seat to (seconds since the conversation began, level in dBov)."""

    def add(self, seat: int, points: Iterable[Sequence[float]]) -> None:
        """Appends what a speaker reported."""
        row = self.seats.setdefault(seat, deque(maxlen=9_000))
        row.extend((float(at), float(level)) for at, level in points)

    def now(self, seat: int) -> float:
        """The latest level, -127 if there is none."""
        row = self.seats.get(seat)
        return row[-1][1] if row else -127.0


def level_dbov(samples: Samples) -> float:
    """RMS level of some samples in dBov (RFC 6464), -127 for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) / 32768.0**2 if len(samples) else 0.0
    return max(-127.0, 10 * math.log10(power)) if power > 0 else -127.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener's loudspeaker played."""

    samples: Samples
    began: float
    """When its first sample was played, on the machine's monotonic clock, in seconds."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one speaker's microphone heard."""

    samples: Samples
    began: float
    """When its first sample reached the microphone, on the same clock."""


def mouth_to_ear(heard: Heard, speakers: Iterable[Said], within_s: float = 2.0) -> list[float]:
    """Delays in ms from microphone to loudspeaker, one for every second of speech that was found again, by
    cross-correlation with what was said: network, jitter buffers, playout delay and codec are all in it.
    """
    ear = _low(heard.samples)
    delays: list[float] = []
    for said in speakers:
        mouth = _low(said.samples)
        loud = np.abs(mouth).max(initial=0.0) * 0.05
        width, reach = _WINDOW // _COARSE, int(within_s * RATE) // _COARSE
        for begin in range(0, len(mouth) - width, width):
            piece = mouth[begin : begin + width]
            # Where the piece would begin in the ear's signal, were there no delay.
            first = round((said.began - heard.began) * RATE / _COARSE) + begin
            window = ear[max(0, first) : max(0, first + width + reach)]
            if first < 0 or len(window) < width or np.sqrt((piece**2).mean()) < loud:
                continue
            place, score = _find(window, piece)
            if score >= _MATCH:
                delays.append(place * _COARSE * 1000 / RATE)
    return delays


def _find(window: npt.NDArray[np.float64], piece: npt.NDArray[np.float64]) -> tuple[int, float]:
    """Where in the window the piece lies, and how well it fits (normalised correlation)."""
    size = 1 << (len(window) + len(piece)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)), size)
    places = len(window) - len(piece) + 1
    energy = np.concatenate([[0.0], np.cumsum(window**2)])
    norm = np.sqrt(np.maximum(energy[len(piece) :][:places] - energy[:places], 1.0)) * max(1.0, np.linalg.norm(piece))
    score = cross[:places] / norm
    best = int(np.argmax(score))
    return best, float(score[best])


def _low(samples: Samples) -> npt.NDArray[np.float64]:
    """At 8 kHz, by averaging: enough to find speech again."""
    whole = samples[: len(samples) // _COARSE * _COARSE].astype(np.float64)
    return np.asarray(whole.reshape(-1, _COARSE).mean(axis=1), dtype=np.float64)
