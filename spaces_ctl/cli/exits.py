"""Exit codes, and the one line with which every failure ends."""

from __future__ import annotations

import json
import sys
from enum import IntEnum

__all__ = ["Exit", "Failure", "as_json", "tell"]


class Exit(IntEnum):
    """What the shell gets."""

    OK = 0
    REFUSED = 1
    """The server said no; its code is printed."""
    USAGE = 2
    """Wrong arguments or settings."""
    UNREACHABLE = 3
    """Server or database do not answer, or a port is taken."""
    SCHEMA = 4
    """The database has another version's tables: `spaces db migrate`."""
    FAILED = 5
    """Anything else went wrong, by our fault perhaps."""
    DAMAGED = 6
    """A recording is damaged."""
    INTERRUPTED = 130
    """By Ctrl-C."""


class Failure(Exception):
    """Ends a command with one line on stderr."""

    def __init__(self, message: str, exit: Exit = Exit.FAILED, *, code: str = "") -> None:
        """`code`: the refusal's, if it is one."""
        self.message = message
        self.exit = exit
        self.code = code
        super().__init__(message)


_json = False


def as_json(on: bool) -> bool:
    """Callback of `--json`: failures are JSON from now on, too."""
    global _json
    _json = _json or on
    return on


def tell(failure: Failure) -> int:
    """Prints a failure and returns the exit code."""
    if _json:
        print(json.dumps({"error": failure.message, "code": failure.code, "exit": int(failure.exit)}), file=sys.stderr)
    else:
        head = f"{failure.code}: " if failure.code else ""
        print(f"spaces: {head}{failure.message}", file=sys.stderr)
    return int(failure.exit)
