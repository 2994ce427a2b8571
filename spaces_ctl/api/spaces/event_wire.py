"""Events as JSON, encoded once for all who see the same.

{"event": "speaker_added", "version": 12, "at": "2026-01-01T00:00:00.000Z", "data": {"account": "7", ...}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, get_args

import msgspec

from spaces_ctl.api import wire
from spaces_ctl.events import Recorded, SpaceEvent

__all__ = ["Frame", "encode", "event_name", "frame", "sse", "wire_data"]

_IDS = frozenset({"account", "by", "creator", "owner", "post", "community", "appeal"})
_TIMES = {"scheduled_start_ms": "scheduled_start", "expires_ms": "expires", "until_ms": "until"}


class Frame(NamedTuple):
    """One message, ready for both transports."""

    json: bytes
    sse: bytes


_NAMES = {kind: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(SpaceEvent)}


def event_name(event: SpaceEvent) -> str:
    """`SpeakerAdded(...)` is `speaker_added`."""
    return _NAMES[type(event)]


def wire_data(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An event's fields as the API shows them; what is None is left out."""
    data: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None:
            continue
        if name in _TIMES:
            data[_TIMES[name]] = wire.timestamp(value)
        elif name in _IDS:
            data[name] = str(value)
        else:
            data[name] = value.value if isinstance(value, Enum) else value
    return data


def encode(recorded: Recorded, fields: Mapping[str, Any], *, own: bool = False) -> Frame:
    """A Space's event; `own`: in an account's stream, which names the Space and counts by sequence."""
    name = event_name(recorded.event)
    message: dict[str, Any] = {"event": name, "version": recorded.version, "at": wire.timestamp(recorded.at_ms)}
    position = recorded.version
    if own:
        message = {"event": name, "space": wire.space_text(recorded.space), **message, "sequence": recorded.sequence}
        position = recorded.sequence
    message["data"] = wire_data(fields)
    return frame(name, message, position)


def frame(name: str, message: Mapping[str, Any], position: int | None = None) -> Frame:
    """Any message; without a position it is not counted and cannot be resumed after."""
    raw = msgspec.json.encode(message)
    return Frame(raw, sse(name, raw, position))


def sse(name: str, raw: bytes, position: int | None) -> bytes:
    """A server-sent event (HTML Living Standard, section 9.2). JSON has no line breaks."""
    head = b"" if position is None else b"id: %d\n" % position
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), raw)
