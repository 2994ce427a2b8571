"""What a webhook says of an event, if its endpoint's owner may hear of it."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from spaces_ctl.clock import timestamp
from spaces_ctl.events import Recorded, SpaceEvent
from spaces_ctl.service.event_audience import for_creator, for_everybody
from spaces_ctl.service.event_wire import event_data, event_name

__all__ = ["KINDS", "kind_of", "payload"]


def kind_of(event: type[SpaceEvent] | SpaceEvent) -> str:
    """The name on the wire: `space.speaker_added`."""
    return f"space.{event_name(event)}"


KINDS: dict[str, type[SpaceEvent]] = {kind_of(kind): kind for kind in get_args(SpaceEvent)}
"""All kinds that may be asked for."""


def payload(recorded: Recorded, space: str, owner: str) -> str | None:
    """The body as JSON; None if the owner may not hear of it.

    Operators hear all, an account (a Space's creator) what creators see, an app what everybody sees.
    """
    fields = _seen(recorded.event, owner)
    if fields is None:
        return None
    body = {
        "type": kind_of(recorded.event),
        "timestamp": timestamp(recorded.at_ms),
        "sequence": recorded.sequence,
        "data": {"space": space, "version": recorded.version, **event_data(fields)},
    }
    return msgspec.json.encode(body).decode()


def _seen(event: SpaceEvent, owner: str) -> dict[str, Any] | None:
    if owner == "operator":
        return msgspec.structs.asdict(event)
    return for_creator(event) if owner.startswith("account:") else for_everybody(event)
