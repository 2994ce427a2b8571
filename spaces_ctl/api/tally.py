"""What event streams tell once a second: how many there are, and reactions since the last time they were told."""

from __future__ import annotations

from typing import Any

import msgspec

from spaces_ctl.model import SpaceId
from spaces_ctl.service.counters import Counters

__all__ = ["CounterTally"]


class CounterTally:
    """From the service's counters."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def message(self, space: SpaceId) -> dict[str, Any]:
        """People now, and every reaction since the Space began: what is new is the difference to the message before."""
        own = self._counters.of(space)
        return {**msgspec.structs.asdict(own.audience), "reactions": dict(own.reactions)}
