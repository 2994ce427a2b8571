"""Tells systemd what we do (sd_notify(3)), if it asked: `Type=notify-reload` and `WatchdogSec` in the unit."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

__all__ = ["Notifier"]


class Notifier:
    """Messages to the service manager; none if it did not start us."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A name in the abstract namespace begins with @ in the environment and with a zero byte on the socket.
        self._path = f"\0{path[1:]}" if path.startswith("@") else path
        period = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(period) / 2_000_000 if ours and period.isdecimal() and self._path else None
        """How often `alive` has to be called, in seconds; None: never."""

    def ready(self, status: str) -> None:
        """Everything is up."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Files are read again; `ready` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Draining."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The loop turns."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._path:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(message.encode(), self._path)
            except OSError:
                # Nobody to tell; not a reason to stop serving.
                return
