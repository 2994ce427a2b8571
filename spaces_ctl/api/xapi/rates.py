"""X's rate limits: 300 requests in 15 minutes for each of the six, per app and person; by creator also 1 a second."""

from __future__ import annotations

import math
from collections.abc import Hashable

from spaces_ctl.service.windows import Standing, Window, Windows

__all__ = ["XRates"]

_QUARTER = Window(300, 900_000)
_SECOND = Window(1, 1_000)


class XRates:
    """Counts requests, in this process."""

    def __init__(self, windows: Windows, quarter: Window = _QUARTER, second: Window = _SECOND) -> None:
        """`quarter` is for all six, `second` for `by/creator_ids` in addition."""
        self._windows = windows
        self._quarter = quarter
        self._second = second

    def take(self, operation: str, who: Hashable) -> Standing:
        """Counts a request; what refuses it, else where the long window stands."""
        if operation == "by_creators":
            standing = self._windows.take(("x second", operation, who), self._second)
            if not standing.allowed:
                return standing
        return self._windows.take(("x", operation, who), self._quarter)

    @staticmethod
    def headers(standing: Standing) -> dict[str, str]:
        """As X tells them; the reset in Unix seconds, rounded up so that who waits for it is let in."""
        return {
            "x-rate-limit-limit": str(standing.limit),
            "x-rate-limit-remaining": str(standing.remaining),
            "x-rate-limit-reset": str(math.ceil(standing.reset_ms / 1000)),
        }
