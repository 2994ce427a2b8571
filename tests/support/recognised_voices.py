"""Whether what was heard is a voice that goes on and on: no two sides need to agree when it began."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
from scipy.signal import correlate, resample_poly

from spaces_ctl.client.views import Admission
from spaces_ctl.engine import Speaker
from tests.support.audio import RATE, Pcm, Unaligned, intelligibility
from tests.support.rooms import GONE
from tests.support.watching import speaker

__all__ = ["closeness", "talking"]

_COARSE = 6
_EDGE = RATE // 5
"""Cut off both ends of what was heard: a listening begins and ends in the middle of a word."""


def closeness(voice: Pcm, heard: Pcm) -> float:
    """STOI of `heard` against that part of `voice`, said over and over, which it is; 0 if it is none of it."""
    heard = heard[_EDGE:-_EDGE] if len(heard) > 3 * _EDGE else heard
    if len(heard) < RATE or not np.any(np.abs(heard) > 200):
        return 0.0
    endless = np.concatenate([voice, voice])
    begin = _place(endless, heard)
    said = endless[begin : begin + len(heard)]
    try:
        return intelligibility(said, heard)
    except Unaligned:
        return 0.0


def _place(voice: Pcm, heard: Pcm) -> int:
    """Where in `voice` it begins."""
    low_voice = resample_poly(voice.astype(np.float64), 1, _COARSE)
    low_heard = resample_poly(heard.astype(np.float64), 1, _COARSE)
    likeness = correlate(low_voice, low_heard, mode="valid", method="fft")
    sums = np.concatenate([[0.0], np.cumsum(low_voice**2)])
    energy = sums[len(low_heard) :] - sums[: -len(low_heard)]
    return int(np.argmax(likeness / np.sqrt(np.maximum(energy, 1.0)))) * _COARSE


@asynccontextmanager
async def talking(admission: Admission, voice: Pcm) -> AsyncIterator[Speaker]:
    """Says it over and over with the native client, muted or not, until the block ends or the server throws it out."""
    async with speaker(admission) as mic:

        async def on_and_on() -> None:
            with suppress(*GONE):
                while True:
                    await mic.speak_pcm(voice.tobytes())

        task = asyncio.create_task(on_and_on())
        try:
            yield mic
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
