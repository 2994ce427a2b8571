"""Who says what, and when: people take turns, each for a few sentences, now and then falling into each other's words.

Deterministic: every process of the demo, and the tests afterwards, get the same conversation out of the same voices.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces_ctl.demo.speech import RATE, Samples, Voice

FRAME = RATE // 50
"""Samples in the 20 ms that one Opus packet carries."""

_INTRODUCTION_S = (1.8, 2.8)
"""Shortest and longest turn of the first round: within a short demo everybody shall have said something."""
_TURN_S = (3.5, 8.0)
_BREATH_S = 0.3
_INTERRUPTION_S = 0.6
_INTERRUPTS = 4
"""Every n-th turn begins before the last one is over."""
_FADE = RATE // 200


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks. All figures in samples at 48 kHz; `at` and `length` are whole frames."""

    seat: int
    at: int
    """Since the conversation began."""
    start: int
    """Where in the voice."""
    length: int


def turns(voices: Sequence[Voice], *, together: bool = False) -> Iterator[Turn]:
    """The conversation, without end. Seat n has `voices[n]`.

    Args:
        voices: The people, in the order of their seats.
        together: All talk at once, without a pause of their own making: more load, less sense.

    """
    if together or len(voices) == 1:
        whole = [len(voice.samples) // FRAME * FRAME for voice in voices]
        at = [0] * len(voices)
        while True:
            seat = min(range(len(voices)), key=lambda n: at[n])
            yield Turn(seat, at[seat], 0, whole[seat])
            at[seat] += whole[seat]
    power = [_power(voice.samples) for voice in voices]
    position = [0] * len(voices)
    now = 0
    number = 0
    while True:
        seat = number % len(voices)
        span = _INTRODUCTION_S if number < len(voices) else _TURN_S
        frames = _until_pause(power[seat], position[seat], span)
        start, length = position[seat] * FRAME, frames * FRAME
        yield Turn(seat, now, start, length)
        position[seat] = (position[seat] + frames) % len(power[seat])
        number += 1
        between = -_INTERRUPTION_S if number % _INTERRUPTS == 0 else _BREATH_S
        now += length + round(between * 50) * FRAME


def speak(conversation: Iterator[Turn], seat: int, voice: Voice) -> Iterator[Samples]:
    """What one seat's microphone hears, frame by frame (960 samples), without end; silence between its turns."""
    silence = np.zeros(FRAME, dtype=np.int16)
    now = 0
    for turn in conversation:
        if turn.seat != seat:
            continue
        while now < turn.at:
            yield silence
            now += FRAME
        said = _said(voice, turn)
        for begin in range(0, turn.length, FRAME):
            yield said[begin : begin + FRAME]
        now += turn.length


def spoken(
    voices: Sequence[Voice], seat: int, seconds: float, *, since: float = 0.0, together: bool = False
) -> Samples:
    """What `speak` yields up to `seconds`, in one piece: what the recording of this seat is compared with."""
    microphone = speak(turns(voices, together=together), seat, voices[seat])
    frames = itertools.islice(microphone, round(since * 50), round(seconds * 50))
    return np.concatenate([np.zeros(0, dtype=np.int16), *frames])


def _said(voice: Voice, turn: Turn) -> Samples:
    index = np.arange(turn.start, turn.start + turn.length) % len(voice.samples)
    said = voice.samples[index].astype(np.float64)
    # A turn ends at a pause; the fade takes the click out of what noise the room has.
    fade = np.linspace(0.0, 1.0, _FADE)
    said[:_FADE] *= fade
    said[-_FADE:] *= fade[::-1]
    return said.astype(np.int16)


def _power(samples: Samples) -> npt.NDArray[np.float64]:
    """Mean power of every frame, smoothed over 160 ms, so that the closure of a plosive is no pause."""
    frames = samples[: len(samples) // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    power = (frames**2).mean(axis=1)
    ring = np.concatenate([power[-4:], power, power[:3]])
    return np.convolve(ring, np.full(8, 1 / 8), mode="valid")


def _until_pause(power: npt.NDArray[np.float64], position: int, span: tuple[float, float]) -> int:
    """Frames from `position` to the quietest moment that makes the turn as long as `span` (seconds) allows."""
    shortest, longest = (round(seconds * 50) for seconds in span)
    window = power[(position + np.arange(shortest, longest)) % len(power)]
    return shortest + int(np.argmin(window))
