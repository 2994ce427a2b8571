"""How well speech survived: alignment, intelligibility (STOI), quality (PESQ-WB) and the count of what dropped out.

Everything is 48 kHz mono of 16 bits. The waveform is only used to find where things are: its signal-to-noise ratio says
nothing behind a codec.
"""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from scipy.signal import correlate, resample_poly

RATE = 48_000
FRAME = 960
Pcm = npt.NDArray[np.int16]
_Float = npt.NDArray[np.float64]

_SEGMENT = RATE // 5
"""Alignment looks at 200 ms around each point, every 100 ms."""
_HOP = RATE // 10
_COARSE = 6
"""The search runs at 8 kHz: quick, and speech has its energy there."""
_STEP = RATE // 400
"""Dropouts are looked for in steps of 2.5 ms: 20 ms frames of the degraded signal never lie on the reference's grid."""
_STEP_MS = 2.5
_PER_FRAME = FRAME // _STEP


class Unaligned(AssertionError):
    """The degraded signal does not hold the reference anywhere."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What became of the reference."""

    stoi: float
    """Short-time objective intelligibility, 0 to 1; 0.9 and more is as good as clean."""
    pesq: float | None
    """PESQ-WB (ITU-T P.862.2), 1.0 to 4.64; None where it cannot be computed, such as on too little speech."""
    active_frames: int
    """As many 20 ms frames as the reference speaks for."""
    dropout_frames: int
    """As many of them as are silent or missing in the degraded signal."""
    holes_ms: tuple[float, ...]
    """Interruptions of more than 60 ms within speech."""
    longest_hole_ms: float
    """The longest interruption within speech; 0 if there is none of 12.5 ms and more."""
    shifts_ms: tuple[float, ...]
    """Where the delay jumped by more than 2 ms in the middle: time lost (negative) or inserted."""
    delay_ms: float
    """By how much the degraded signal is later than the reference, in the median."""


def decode(path: Path) -> Pcm:
    """All sound of a file, of chained streams too, as 48 kHz mono."""
    pieces: list[Pcm] = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        for frame in container.decode(audio=0):
            pieces.extend(map(_samples, resampler.resample(frame)))
        pieces.extend(map(_samples, resampler.resample(None)))
    return np.concatenate(pieces).astype(np.int16) if pieces else np.zeros(0, np.int16)


def _samples(frame: av.AudioFrame) -> Pcm:
    return frame.to_ndarray().reshape(-1).astype(np.int16)


def compare(reference: Pcm, degraded: Pcm, *, search_s: float = 1.0) -> Quality:
    """Measures `degraded` against `reference`, wherever in it the reference begins.

    Args:
        reference: What was said. All of it is expected.
        degraded: What was heard: any delay, any further sound before and after.
        search_s: How far the delay may wander from its first estimate.

    Raises:
        Unaligned: There is no reference in it, or nothing is spoken in the reference.
    """
    wanted, heard = reference.astype(np.float64), degraded.astype(np.float64)
    lags = align(wanted, heard, search_s=search_s)
    warped = _warp(heard, lags, len(wanted))
    silent, active = _silent_steps(wanted, warped)
    holes = _holes(silent, active)
    return Quality(
        stoi=_stoi(wanted, warped),
        pesq=_pesq(wanted, warped),
        active_frames=int(active.sum()) // _PER_FRAME,
        dropout_frames=sum(max(1, round(hole / 20)) for hole in holes),
        holes_ms=tuple(hole for hole in holes if hole > 60),
        longest_hole_ms=max(holes, default=0.0),
        shifts_ms=_shifts(lags, active),
        delay_ms=float(np.median(lags)) * 1000 / RATE,
    )


def intelligibility(reference: Pcm, degraded: Pcm, *, search_s: float = 1.0) -> float:
    """The STOI alone, at a fraction of the work of `compare`. Raises Unaligned."""
    wanted, heard = reference.astype(np.float64), degraded.astype(np.float64)
    return _stoi(wanted, _warp(heard, align(wanted, heard, search_s=search_s), len(wanted)))


def align(reference: _Float, degraded: _Float, *, search_s: float) -> npt.NDArray[np.int64]:
    """The delay in samples at every 100 ms of the reference.

    One global cross-correlation says where to begin; then every stretch of speech finds its own place, the cheapest
    path through all their candidates wins (so that one pitch period is not taken for another), and pauses take the
    delay of the speech next to them.
    """
    low_reference, low_degraded = _low(reference), _low(degraded)
    if not low_reference.any() or not low_degraded.any():
        raise Unaligned("nothing to align")
    coarse = _global_lag(low_reference, low_degraded)
    points = np.arange(0, max(1, len(reference) - _SEGMENT), _HOP)
    energy = np.array([float((reference[p : p + _SEGMENT] ** 2).mean()) for p in points])
    speech = energy > np.quantile(energy, 0.95) * 1e-2
    candidates = [
        _candidates(low_reference, low_degraded, int(point) // _COARSE, coarse, search_s) for point in points[speech]
    ]
    if not candidates:
        raise Unaligned("nobody speaks in the reference")
    path = _cheapest(candidates)
    # Same speech scores 0.6 and more even at 16 kbit/s and 10 % loss, another's on one path 0.1; a tenth will do, as a
    # file may have been cut off.
    if np.quantile([dict(options)[lag] for options, lag in zip(candidates, path, strict=True)], 0.9) < 0.5:
        raise Unaligned("the reference is not in there")
    fine = [
        _refine(reference, degraded, int(point), lag * _COARSE) for point, lag in zip(points[speech], path, strict=True)
    ]
    known = np.flatnonzero(speech)
    nearest = np.abs(np.arange(len(points))[:, None] - known[None, :]).argmin(axis=1)
    everywhere: npt.NDArray[np.int64] = np.asarray(fine, dtype=np.int64)[nearest]
    return everywhere


def _low(signal: _Float) -> _Float:
    return np.asarray(resample_poly(signal, 1, _COARSE), dtype=np.float64) if len(signal) else signal


def _global_lag(reference: _Float, degraded: _Float) -> int:
    """Of the whole signals, the spectrum flattened a little so that vowels do not drown the rest (GCC, weight 1/2)."""
    size = 1 << (len(reference) + len(degraded)).bit_length()
    cross = np.fft.rfft(degraded, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(cross / np.sqrt(np.abs(cross) + 1e-9), size)
    best = int(np.argmax(correlation))
    return best if best < len(degraded) else best - size


def _candidates(
    reference: _Float, degraded: _Float, point: int, coarse: int, search_s: float
) -> list[tuple[int, float]]:
    """The best few places for one stretch: (delay, normalised correlation), the plain estimate among them."""
    width, reach = _SEGMENT // _COARSE, int(search_s * RATE) // _COARSE
    piece = reference[point : point + width]
    first = point + coarse - reach
    window = np.zeros(width + 2 * reach)
    begin, end = max(0, first), min(len(degraded), first + len(window))
    if begin < end:
        window[begin - first : end - first] = degraded[begin:end]
    norm = np.sqrt(np.maximum(np.convolve(window**2, np.ones(len(piece)), mode="valid"), 1.0))
    score = correlate(window, piece, mode="valid") / (norm * max(1.0, float(np.linalg.norm(piece))))
    found: list[tuple[int, float]] = []
    remaining = score.copy()
    for _ in range(5):
        best = int(np.argmax(remaining))
        found.append((coarse - reach + best, float(score[best])))
        remaining[max(0, best - 8) : best + 9] = -1.0
    found.append((coarse, float(score[reach])))
    return found


def _cheapest(candidates: list[list[tuple[int, float]]]) -> list[int]:
    """Viterbi: a poor match costs, and so does every change of delay, though a large one not more than a small one."""
    costs = [1.0 - score for _, score in candidates[0]]
    back: list[list[int]] = []
    for before, now in itertools.pairwise(candidates):
        choice: list[int] = []
        following: list[float] = []
        for lag, score in now:
            totals = [
                cost + min(0.6, 0.02 * abs(lag - other)) + (0.2 if abs(lag - other) > 4 else 0.0)
                for cost, (other, _) in zip(costs, before, strict=True)
            ]
            best = int(np.argmin(totals))
            choice.append(best)
            following.append(totals[best] + 1.0 - score)
        back.append(choice)
        costs = following
    index = int(np.argmin(costs))
    path = [candidates[-1][index][0]]
    for choices, options in zip(reversed(back), reversed(candidates[:-1]), strict=True):
        index = choices[index]
        path.append(options[index][0])
    return path[::-1]


def _refine(reference: _Float, degraded: _Float, point: int, lag: int) -> int:
    """To the sample, within one step of the coarse search."""
    piece = reference[point : point + _SEGMENT]
    window = np.zeros(len(piece) + 2 * _COARSE)
    first = point + lag - _COARSE
    begin, end = max(0, first), min(len(degraded), first + len(window))
    if begin >= end:
        return lag
    window[begin - first : end - first] = degraded[begin:end]
    return lag - _COARSE + int(np.argmax(correlate(window, piece, mode="valid")))


def _warp(degraded: _Float, lags: npt.NDArray[np.int64], length: int) -> _Float:
    """The degraded signal on the reference's clock; what it does not hold is zero."""
    out = np.zeros(length)
    for n, lag in enumerate(lags):
        # The measuring point is the middle of its stretch.
        begin = 0 if n == 0 else n * _HOP + _SEGMENT // 2 - _HOP // 2
        end = length if n == len(lags) - 1 else begin + _HOP if n else _SEGMENT // 2 + _HOP // 2
        first, last = max(0, begin + int(lag)), min(len(degraded), end + int(lag))
        if first < last:
            out[first - int(lag) : last - int(lag)] = degraded[first:last]
    return out


def _silent_steps(reference: _Float, warped: _Float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For every 2.5 ms: is the degraded signal silent where it should not be, and does somebody speak there?

    Silent is 25 dB below the reference around that moment (a codec keeps the level within a few dB), or nothing at all.
    """
    wanted, heard = _power(reference), _power(warped)
    around = np.convolve(wanted, np.full(9, 1 / 9), mode="same")
    speech = np.quantile(around, 0.95)
    active = around > speech * 10 ** (-25 / 10)
    # The neighbours count too: half a millisecond of misalignment must not turn a plosive into a hole.
    widest = np.max([np.roll(heard, shift) for shift in (-2, -1, 0, 1, 2)], axis=0)
    gap = (heard < np.minimum(wanted, around) * 10 ** (-25 / 10)) & (widest < around * 10 ** (-10 / 10))
    return gap | (heard < 1.0), active


def _power(signal: _Float) -> _Float:
    steps = signal[: len(signal) // _STEP * _STEP].reshape(-1, _STEP)
    return np.asarray((steps**2).mean(axis=1), dtype=np.float64)


def _holes(silent: npt.NDArray[np.bool_], active: npt.NDArray[np.bool_]) -> list[float]:
    """Lengths in ms of all interruptions: silence of 12.5 ms and more, half of which should have been speech."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(np.int8), [0]])))
    runs = [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    return [
        (end - begin) * _STEP_MS
        for begin, end in runs
        if end - begin >= 5 and 2 * active[begin:end].sum() >= end - begin
    ]


def _shifts(lags: npt.NDArray[np.int64], active: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Lasting changes of delay, of at least 2 ms; between two, the median of what lies between counts."""
    steps_per_hop = _HOP // _STEP
    heard = [
        float(lag)
        for n, lag in enumerate(lags)
        if active[n * steps_per_hop : (n + _SEGMENT // _HOP) * steps_per_hop].mean() > 0.5
    ]
    if len(heard) < 7:
        return ()
    smooth = [float(np.median(heard[max(0, n - 2) : n + 3])) for n in range(len(heard))]
    shifts: list[float] = []
    level = smooth[0]
    for value in smooth:
        if abs(value - level) > RATE * 0.002:
            shifts.append((value - level) * 1000 / RATE)
            level = value
    return tuple(shifts)


def _stoi(reference: _Float, warped: _Float) -> float:
    from pystoi import stoi

    return float(stoi(_at(reference, 16_000), _at(warped, 16_000), 16_000))


def _pesq(reference: _Float, warped: _Float) -> float | None:
    """The mean over stretches of 8 s, as the standard wants them short; stretches without speech do not count."""
    from pesq import NoUtterancesError, PesqError, pesq

    wanted, heard = _at(reference, 16_000), _at(warped, 16_000)
    scores: list[float] = []
    width = 8 * 16_000
    for begin in range(0, max(1, len(wanted) - width // 2), width):
        pair = wanted[begin : begin + width], heard[begin : begin + width]
        if any(np.abs(part).max(initial=0.0) < 32.0 for part in pair):
            continue
        try:
            scores.append(float(pesq(16_000, pair[0].astype(np.int16), pair[1].astype(np.int16), "wb")))
        except (NoUtterancesError, PesqError):
            continue
    return float(np.mean(scores)) if scores else None


def _at(signal: _Float, rate: int) -> _Float:
    ratio = Fraction(rate, RATE)
    return np.asarray(resample_poly(signal, ratio.numerator, ratio.denominator), dtype=np.float64)
