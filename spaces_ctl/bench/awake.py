"""Keeps a core from sleeping: `python awake.py`, pinned to it, until its parent is gone.

It spins in the scheduler's idle class, so that whatever else is to run there does so at once. On a virtual machine each
time that a core falls asleep and wakes costs whoever sleeps 30 to 60 µs of processor time, and leaves cold caches. That
is the machine's, as `idle=poll` on bare metal would show; where there is little to do it is much of the cost.
"""

from __future__ import annotations

import os

__all__: list[str] = []


def _spin() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print("awake", flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    _spin()
