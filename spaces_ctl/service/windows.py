"""Fixed-window counters, for X's rate limits and for throttled logins: so many in so long, then wait for the reset."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from spaces_ctl.clock import Clock

__all__ = ["Standing", "Window", "Windows"]


class Window(NamedTuple):
    """How many in how long."""

    limit: int
    ms: int


class Standing(NamedTuple):
    """Where a key stands in its window."""

    limit: int
    remaining: int
    reset_ms: int
    """When the window is over (ms since 1970)."""
    allowed: bool

    def retry_after_s(self, now_ms: int) -> float:
        """Seconds until the window is over."""
        return max(0, self.reset_ms - now_ms) / 1000


class Windows:
    """Counters of this process, a window for each key beginning with its first use."""

    def __init__(self, clock: Clock, most_keys: int = 100_000) -> None:
        """Forgets what is over once `most_keys` are known."""
        self._clock = clock
        self._most = most_keys
        self._used: dict[Hashable, tuple[int, int]] = {}

    def take(self, key: Hashable, window: Window) -> Standing:
        """Counts one use, if it is allowed."""
        return self._look(key, window, take=True)

    def peek(self, key: Hashable, window: Window) -> Standing:
        """The same without counting."""
        return self._look(key, window, take=False)

    def clear(self, key: Hashable) -> None:
        """Forgets the key's uses."""
        self._used.pop(key, None)

    def _look(self, key: Hashable, window: Window, *, take: bool) -> Standing:
        now = self._clock.now_ms()
        used, reset = self._used.get(key, (0, 0))
        if reset <= now:
            used, reset = 0, now + window.ms
        allowed = used < window.limit
        if take and allowed:
            used += 1
            if len(self._used) >= self._most and key not in self._used:
                self._prune(now)
            self._used[key] = (used, reset)
        return Standing(window.limit, max(0, window.limit - used), reset, allowed)

    def _prune(self, now: int) -> None:
        self._used = {key: entry for key, entry in self._used.items() if entry[1] > now}
        while len(self._used) >= self._most:  # all of them alive: the oldest have had the longest to wait
            self._used.pop(next(iter(self._used)))
