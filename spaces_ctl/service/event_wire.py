"""An event's name and fields as JSON: the same in the event streams, in the log that is read, and in webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, get_args

from spaces_ctl.clock import timestamp
from spaces_ctl.events import SpaceEvent

__all__ = ["event_data", "event_name"]

_IDS = frozenset({"account", "by", "creator", "owner", "post", "community", "appeal"})
"""Strings: they do not fit the numbers of JavaScript."""
_TIMES = {"scheduled_start_ms": "scheduled_start", "expires_ms": "expires", "until_ms": "until"}
_NAMES = {kind: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(SpaceEvent)}


def event_name(event: SpaceEvent | type[SpaceEvent]) -> str:
    """`SpeakerAdded(...)` is `speaker_added`."""
    return _NAMES[event if isinstance(event, type) else type(event)]


def event_data(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An event's fields as they are told; what is None is left out."""
    data: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        if name in _TIMES:
            data[_TIMES[name]] = timestamp(value)
        elif name in _IDS:
            data[name] = str(value)
        else:
            data[name] = value.value if isinstance(value, Enum) else value
    return data
