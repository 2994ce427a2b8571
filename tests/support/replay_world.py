"""A recorded conversation, packaged: two real people, a minute of silence between them."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spaces_ctl.demo.speech import voices
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.packaging import Packager, ReplaySummary
from spaces_ctl.segments import TICK_MS, Contents, SeatGiven
from tests.support.mixes import RATE, Pcm, files, mixed

__all__ = ["ANN", "BEN", "FIRST", "PREFIX", "Recording", "Talk", "package", "packaged", "talk"]

ANN, BEN = 42, 43
PREFIX = "replay"
FIRST = 7
"""The group at which recording begins: nothing lies on a whole second."""
_TALKS_S, _PAUSE_S = 20, 60


class Talk(NamedTuple):
    """What was said and what the recorder wrote of it."""

    pcm: Pcm
    """From `FIRST` on."""
    files: list[Contents]
    end_group: int

    @property
    def seconds(self) -> float:
        """How long the replay is."""
        return (self.end_group - FIRST) * TICK_MS / 1000


class Recording(NamedTuple):
    """A replay in a directory."""

    talk: Talk
    directory: Path
    summary: ReplaySummary

    def path(self, name: str) -> str:
        """Of a file of the replay."""
        return str(self.directory / name)


@cache
def talk(ticks: int = 3, *, talks_s: int = _TALKS_S, pause_s: int = _PAUSE_S) -> Talk:
    """Ann talks, nobody does, Ben talks; the Space goes on for a quarter of a second."""
    ann, ben = (voice.samples[: talks_s * RATE] for voice in voices(2))
    silence = np.zeros(pause_s * RATE, np.int16)
    pcm = np.concatenate([ann, silence, ben])
    seats = {0: ann, 1: np.concatenate([0 * ann, silence, ben])}
    packets = mixed(seats, first_group=FIRST, ticks=ticks, pauses=True)
    end_group = FIRST + len(pcm) // RATE * 50 + 13
    given = [SeatGiven(0, 0, 1, ANN), SeatGiven(0, 1, 2, BEN)]
    return Talk(pcm, files(packets, seats=given, end_group=end_group), end_group)


async def packaged(made: Talk, objects: Objects) -> ReplaySummary:
    """As the worker does, whole."""
    packager = Packager(objects, PREFIX, first_group=FIRST)
    for contents in made.files:
        await packager.add(contents)
    summary = await packager.finish(made.end_group)
    await packager.complete()
    return summary


def package(made: Talk, directory: Path) -> Recording:
    """The same, in a directory."""
    return Recording(made, directory / PREFIX, asyncio.run(packaged(made, Objects.open(str(directory)))))
