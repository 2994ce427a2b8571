"""Ids of Spaces, accounts and the like: 63 bits, ascending in time, made without asking anybody."""

from __future__ import annotations

import threading

from spaces_ctl.clock import Clock

__all__ = ["EPOCH_MS", "Snowflakes"]

EPOCH_MS = 1_577_836_800_000
"""2020-01-01T00:00:00Z: where the 41 bits of milliseconds begin (they last 69 years)."""

_NODE_BITS = 10
_STEP_BITS = 12
_STEPS = 1 << _STEP_BITS
_MOST_MS = 1 << 41


class Snowflakes:
    """Makes ids: 41 bits of milliseconds since `EPOCH_MS`, 10 bits of node, 12 bits of step.

    Ascending also when the clock stands still or goes back: the time in an id is then ahead of the clock's. Safe to
    use from several threads.
    """

    def __init__(self, clock: Clock, node: int = 0) -> None:
        """`node` is 0 to 1023, another one in every process that writes to one database. Raises ValueError."""
        if not 0 <= node < 1 << _NODE_BITS:
            raise ValueError(f"node {node} is not in 0 to {(1 << _NODE_BITS) - 1}")
        self._clock = clock
        self._node = node
        self._lock = threading.Lock()
        self._ms = 0
        self._step = -1

    def next(self) -> int:
        """The next id, below 2^63. Raises OverflowError outside 2020 to 2089."""
        with self._lock:
            now = self._clock.now_ms() - EPOCH_MS
            if now > self._ms:
                self._ms, self._step = now, 0
            elif self._step + 1 < _STEPS:
                self._step += 1
            else:
                self._ms, self._step = self._ms + 1, 0
            if not 0 < self._ms < _MOST_MS:
                raise OverflowError(f"{now} ms since {EPOCH_MS} fits no id")
            return self._ms << (_NODE_BITS + _STEP_BITS) | self._node << _STEP_BITS | self._step
