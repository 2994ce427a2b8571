"""Signals of a server: the first SIGTERM or SIGINT stops gently, the second at once; SIGHUP reads files again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["Stop", "handled"]


class Stop:
    """Whether and how the server is to stop."""

    def __init__(self) -> None:
        self.gently = asyncio.Event()
        """Finish what is under way."""
        self.at_once = asyncio.Event()
        """Wait for nobody."""

    def ask(self) -> None:
        """Once: gently. Twice: at once."""
        (self.at_once if self.gently.is_set() else self.gently).set()


@contextlib.contextmanager
def handled(reload: Callable[[], None]) -> Iterator[Stop]:
    """Handles the signals inside the block, on the running loop."""
    loop = asyncio.get_running_loop()
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
