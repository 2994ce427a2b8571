"""How long to wait before asking again: doubling, and spread, so that who lost one server do not all return at once."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Waiting times of one series of failures; `reset` after a success."""

    def __init__(
        self, *, first_s: float = 0.5, most_s: float = 30.0, chance: Callable[[], float] = random.random
    ) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._first_s = first_s
        self._most_s = most_s
        self._chance = chance
        self._failures = 0

    def reset(self) -> None:
        """Something worked: the next failure is the first again."""
        self._failures = 0

    def next_s(self, at_least_s: float | None = None) -> float:
        """Seconds to wait after one more failure: half certain, half by chance; never less than the server asked."""
        ceiling: float = min(self._most_s, self._first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        wait = ceiling * (0.5 + self._chance() / 2)
        # Also what the server asked for is spread, upwards only.
        return wait if at_least_s is None else at_least_s + self._chance() * min(1.0, ceiling)
