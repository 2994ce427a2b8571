"""The public recording as a machine: `none | recording -> processing -> available <-> withheld -> deleted`."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["REPLAY", "ReplayStatus", "ReplayStep", "next_replay"]


class ReplayStatus(StrEnum):
    """Where the replay is."""

    NONE = "none"
    """Not recorded."""
    RECORDING = "recording"
    PROCESSING = "processing"
    """Recorded, not complete yet; or the recording was stopped and the Space goes on."""
    AVAILABLE = "available"
    WITHHELD = "withheld"
    """A violation was found."""
    DELETED = "deleted"


class ReplayStep(StrEnum):
    """What moves it."""

    RECORD = "record"
    """The Space starts and is to be recorded."""
    STOP = "stop"
    """The host stops recording, or the Space ends."""
    READY = "ready"
    VIOLATION = "violation"
    CLEARED = "cleared"
    DELETE = "delete"
    """By the creator, or because its time is over."""
    PURGE = "purge"
    """The hold after a violation is over: everything goes, everywhere."""


_S, _E = ReplayStatus, ReplayStep

REPLAY: dict[tuple[ReplayStatus, ReplayStep], ReplayStatus] = {
    (_S.NONE, _E.RECORD): _S.RECORDING,
    (_S.RECORDING, _E.STOP): _S.PROCESSING,
    (_S.PROCESSING, _E.READY): _S.AVAILABLE,
    (_S.PROCESSING, _E.DELETE): _S.DELETED,
    (_S.PROCESSING, _E.PURGE): _S.DELETED,
    (_S.AVAILABLE, _E.VIOLATION): _S.WITHHELD,
    (_S.AVAILABLE, _E.DELETE): _S.DELETED,
    (_S.AVAILABLE, _E.PURGE): _S.DELETED,
    (_S.WITHHELD, _E.CLEARED): _S.AVAILABLE,
    (_S.WITHHELD, _E.DELETE): _S.DELETED,
    (_S.WITHHELD, _E.PURGE): _S.DELETED,
}
"""What is not here does not happen. A violation found before the replay is ready withholds it when it becomes ready."""


def next_replay(status: ReplayStatus, step: ReplayStep) -> ReplayStatus:
    """The status after `step`; the same if the step does not apply."""
    return REPLAY.get((status, step), status)
