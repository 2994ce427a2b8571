"""Events as messages of a stream, encoded once for all who see the same.

{"event": "speaker_added", "version": 12, "at": "2026-01-01T00:00:00.000Z", "data": {"account": "7", ...}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from spaces_ctl.api import wire
from spaces_ctl.events import Recorded
from spaces_ctl.service.event_wire import event_data, event_name

__all__ = ["Frame", "encode", "frame", "sse"]


class Frame(NamedTuple):
    """One message, ready for both transports."""

    json: bytes
    sse: bytes


def encode(recorded: Recorded, fields: Mapping[str, Any], *, own: bool = False) -> Frame:
    """A Space's event; `own`: in an account's stream, which names the Space and counts by sequence."""
    name = event_name(recorded.event)
    message: dict[str, Any] = {"event": name, "version": recorded.version, "at": wire.timestamp(recorded.at_ms)}
    position = recorded.version
    if own:
        message = {"event": name, "space": wire.space_text(recorded.space), **message, "sequence": recorded.sequence}
        position = recorded.sequence
    message["data"] = event_data(fields)
    return frame(name, message, position)


def frame(name: str, message: Mapping[str, Any], position: int | None = None) -> Frame:
    """Any message; without a position it is not counted and cannot be resumed after."""
    raw = msgspec.json.encode(message)
    return Frame(raw, sse(name, raw, position))


def sse(name: str, raw: bytes, position: int | None) -> bytes:
    """A server-sent event (HTML Living Standard, section 9.2). JSON has no line breaks."""
    head = b"" if position is None else b"id: %d\n" % position
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), raw)
