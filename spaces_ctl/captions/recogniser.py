"""What a speech recogniser has to do: take sound in pieces, answer lines of text that grow until they are final.

Call order: `open` a stream for somebody who begins to speak, `feed` it sound without gaps, `finish` it when they fall
silent (or `aclose` it, if what it heard is nobody's business any more). Streams of one recogniser run side by side;
calls for one stream follow each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "Heard", "Pcm", "Recogniser", "RecogniserFailed", "Stream"]

RATE = 16_000
"""Samples a second that a recogniser is fed, mono."""

Pcm = npt.NDArray[np.int16]


class RecogniserFailed(Exception):
    """It cannot go on with this stream, or cannot begin. The text says why and never what was heard."""


class Heard(msgspec.Struct, frozen=True):
    """A line as far as it is understood. A later one of the same number replaces it."""

    line: int
    """Counts the lines of one stream."""
    start_ms: int
    """Since the stream's first sample."""
    end_ms: int
    text: str
    final: bool
    """Nothing of it changes any more."""


class Stream(Protocol):
    """Somebody's speech."""

    async def feed(self, pcm: Pcm) -> Sequence[Heard]:
        """Takes the next samples; answers lines that are new or have changed. Raises RecogniserFailed."""
        ...

    async def finish(self) -> Sequence[Heard]:
        """The speech is over: answers what changed last, all of it final, and closes. Raises RecogniserFailed."""
        ...

    async def aclose(self) -> None:
        """Forgets what it heard. May be called again, and after `finish`."""
        ...


class Recogniser(Protocol):
    """Makes streams; what they share (a model) is loaded with the first."""

    async def open(self, language: str) -> Stream:
        """A new stream; `language` is one of those that the deployment names (BCP 47). Raises RecogniserFailed."""
        ...

    async def aclose(self) -> None:
        """Lets go of everything. Streams are closed before."""
        ...
