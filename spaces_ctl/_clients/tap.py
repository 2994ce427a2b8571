"""The native client of a service of the deployment: what single seats say, where that is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from spaces_ctl import _engine
from spaces_ctl._clients.connection import Client

__all__ = ["SeatFrame", "SeatTap", "TapStats"]


@dataclass(frozen=True, slots=True)
class SeatFrame:
    """One seat's 20 ms, as the speaker sent it."""

    seat: int
    generation: int
    """Of the seat: together they name who sits there, in the stage's table (`StageRow`)."""
    group: int
    """The tick since the Space began."""
    level: int
    """RFC 6464: the low 7 bits −dBov, the high bit voice."""
    start: bool
    """First of a talkspurt: what lies before was not lost."""
    end: bool
    """Last of a talkspurt."""
    opus: bytes
    received_at_us: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class TapStats:
    """Counters of a tap."""

    frames: int
    overflowed: int
    """Frames dropped because nobody fetched them."""
    refused: int
    """Objects that are no frame."""
    going_away: bool
    """The engine asks its clients to go (GOAWAY)."""


class SeatTap(Client[_engine.NativeTap]):
    """Hears every seat whose captions are allowed: `async with SeatTap(url, token=…) as tap: async for frames in tap`.

    For services of the deployment, with a token of `TokenSigner.mint(service=True)`. It follows the stage by itself:
    the engine sends of each seat what `StageRow.caption` allows at that moment, and stops before the `apply` that
    withdraws it has answered. Every frame carries the seat's generation, which `Engine.caption` wants back. Entering
    waits until the seats are subscribed. Raises `Refused`, `ConnectionFailed`, ValueError.
    """

    def _connect(self) -> _engine.NativeTap:
        return _engine.NativeTap.connect(self._destination())

    def _is_ready(self, native: _engine.NativeTap) -> bool:
        return native.live()

    async def __aiter__(self) -> AsyncIterator[list[SeatFrame]]:
        """Frames as they come, in batches, in order for each seat save what the network reorders, until closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 10,240 are dropped.
        """
        native = self._native
        async for batch in self._batches(lambda: (SeatFrame(*row) for row in native.frames())):
            yield batch

    def stats(self) -> TapStats:
        """Counters since the start."""
        return TapStats(**self._native.stats())
