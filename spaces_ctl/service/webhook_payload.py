"""What a webhook says of an event, and to whom it may be said."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec

from spaces_ctl import events as e
from spaces_ctl.events import Recorded, SpaceEvent

__all__ = ["KINDS", "Audience", "audience_of", "kind_of", "payload"]


class Audience(msgspec.Struct, frozen=True):
    """Who may hear of a kind of event, besides the operator."""

    creator: bool = True
    apps: bool = True


_EVERYONE = Audience()
_CREATOR = Audience(apps=False)
_OPERATOR = Audience(creator=False, apps=False)

_AUDIENCES: dict[type[SpaceEvent], Audience] = {
    # Who reported is nobody's business.
    e.Reported: _OPERATOR,
    e.ViolationFound: _CREATOR,
    e.ViolationCleared: _CREATOR,
    # Nobody learns who blocks whom.
    e.DenySetAttached: _OPERATOR,
    e.DenySetDetached: _OPERATOR,
    e.AuditPurged: _OPERATOR,
    e.ExportRequested: _CREATOR,
    e.TicketBought: _CREATOR,
    e.TicketRefunded: _CREATOR,
    # Counts are public; who wants to be reminded, and who voted for what, is not.
    e.Subscribed: _OPERATOR,
    e.Unsubscribed: _OPERATOR,
    e.PollVoted: _OPERATOR,
    # The queue of requests and the invitations are the hosts'.
    e.Requested: _CREATOR,
    e.RequestClosed: _CREATOR,
    e.Invited: _CREATOR,
    e.InviteClosed: _CREATOR,
    e.AskedToUnmute: _CREATOR,
    e.Removed: _CREATOR,
    e.Readmitted: _CREATOR,
    e.ConsentChanged: _CREATOR,
}


def kind_of(event: type[SpaceEvent] | SpaceEvent) -> str:
    """The name on the wire: `space.speaker_added`."""
    name = (event if isinstance(event, type) else type(event)).__name__
    return "space." + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


KINDS: dict[str, type[SpaceEvent]] = {kind_of(kind): kind for kind in get_args(SpaceEvent)}
"""All kinds that may be asked for."""


def audience_of(event: SpaceEvent) -> Audience:
    """Who may hear of it."""
    return _AUDIENCES.get(type(event), _EVERYONE)


_BLOCKS = frozenset({e.RemovedHow.BLOCKED.value, e.RemovedHow.BLOCKED_BY_NEW_HOST.value})
_IDS = frozenset({"account", "by", "creator", "owner", "post", "community"})
_TIMES = {"scheduled_start_ms": "scheduled_start", "expires_ms": "expires", "until_ms": "until"}


def payload(recorded: Recorded, space: str, owner: str) -> str:
    """The body as JSON, as the endpoint's `owner` may know it: nobody but the operator learns of a block."""
    fields: dict[str, Any] = msgspec.to_builtins(recorded.event)
    fields.pop("event", None)
    if owner != "operator" and fields.get("how") in _BLOCKS:
        fields["how"] = e.RemovedHow.REMOVED.value
    if owner.startswith("app:") and isinstance(recorded.event, e.Muted):
        fields.pop("by", None)
    data: dict[str, Any] = {"space": space, "version": recorded.version}
    for name, value in fields.items():
        if name in _TIMES and value is not None:
            data[_TIMES[name]] = rfc3339(value)
        else:
            # Ids do not fit the numbers of JavaScript.
            data[name] = str(value) if name in _IDS and value is not None else value
    body = {
        "type": kind_of(recorded.event),
        "timestamp": rfc3339(recorded.at_ms),
        "sequence": recorded.sequence,
        "data": data,
    }
    return msgspec.json.encode(body).decode()


def rfc3339(at_ms: int) -> str:
    """UTC with milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
