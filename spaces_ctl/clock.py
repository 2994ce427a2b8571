"""Time as an input: everything that needs the time of day takes a `Clock`, so that tests move it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock", "timestamp"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 in UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class Clock(Protocol):
    """Tells the time of day."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        """Starts at `now_ms` milliseconds since 1970."""
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._now_ms

    def advance(self, *, ms: int = 0, seconds: float = 0, days: float = 0) -> int:
        """Moves the clock on and returns the new time. Never goes back (ValueError)."""
        step = ms + round(seconds * 1000) + round(days * 86_400_000)
        if step < 0:
            raise ValueError("a clock does not go back")
        self._now_ms += step
        return self._now_ms
