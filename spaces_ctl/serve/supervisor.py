"""Starts the control loop, and again when it dies. The engine belongs to the process and goes on meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

__all__ = ["ControlFailed", "Lives", "supervise"]

log = logging.getLogger(__name__)

MOST_FAILURES = 5
"""As many in a row, and a restart of the process is better: then everything is built anew."""
HEALTHY_S = 60.0
"""A life of this length starts the count of failures anew."""


class ControlFailed(Exception):
    """The control loop died again and again."""


class Lives:
    """Told to each life of the control loop; counts them."""

    def __init__(self) -> None:
        self.number = 0
        """0: the engine is to be started; later it runs already and is attached to."""
        self.served = False
        """Whether any life so far was ready. Before, a failure is one of starting."""


def supervise(
    control: Callable[[Lives], Coroutine[Any, Any, None]],
    *,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Runs `control` to its regular end, over as many event loops as it takes.

    Raises what it could not start with, or ControlFailed.
    """
    lives = Lives()
    failures = 0
    while True:
        began = now()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(control(lives))
            return
        except Exception as error:
            if not lives.served:
                raise
            failures = 1 if now() - began >= HEALTHY_S else failures + 1
            if failures > MOST_FAILURES:
                raise ControlFailed(f"the control loop died {failures} times in a row: {error}") from error
            log.exception("the control loop died and is started again; the engine goes on")
        lives.number += 1
        pause(min(0.05 * 2**failures, 5.0))
