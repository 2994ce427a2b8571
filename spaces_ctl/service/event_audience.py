"""Who may see which event of a Space, and how much of it.

Everybody sees the stage and what is said about the Space. Requests and invitations are seen by whom they concern and by
the hosts. Reports, block lists and the moderators' work are seen by nobody here. Nobody learns that they were blocked:
where a block is the cause, the cause says `removed`, as for anybody else who is put out.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, NamedTuple, get_args

import msgspec

from spaces_ctl import events as e
from spaces_ctl.events import SpaceEvent
from spaces_ctl.model import AccountId
from spaces_ctl.policy.state import Space

__all__ = ["AUDIENCES", "Audience", "Visible", "for_creator", "for_everybody", "visible"]


class Audience(Enum):
    """Who sees an event whole."""

    EVERYONE = auto()
    EVERYONE_LESS = auto()
    """Everybody sees it without `by`; hosts and whom it concerns see it whole."""
    CONCERNED = auto()
    """Whom it concerns and the hosts."""
    CREATOR = auto()
    """Whom it concerns and the creator."""
    HOSTS = auto()
    SELF = auto()
    """Whom it concerns."""
    NOBODY = auto()


AUDIENCES: dict[type[SpaceEvent], Audience] = {
    e.HostReminded: Audience.HOSTS,
    e.Created: Audience.EVERYONE,
    e.Edited: Audience.EVERYONE,
    e.Canceled: Audience.EVERYONE,
    e.Started: Audience.EVERYONE,
    e.Ended: Audience.EVERYONE,
    e.SettingChanged: Audience.EVERYONE,
    e.Joined: Audience.EVERYONE,
    e.Left: Audience.EVERYONE,
    e.Away: Audience.EVERYONE,
    e.Back: Audience.EVERYONE,
    e.Requested: Audience.CONCERNED,
    e.RequestClosed: Audience.CONCERNED,
    e.Invited: Audience.CONCERNED,
    e.InviteClosed: Audience.CONCERNED,
    e.SpeakerAdded: Audience.EVERYONE,
    e.SpeakerRemoved: Audience.EVERYONE,
    e.CohostAdded: Audience.EVERYONE,
    e.CohostRemoved: Audience.EVERYONE,
    e.AdminChanged: Audience.EVERYONE,
    e.Muted: Audience.EVERYONE_LESS,
    e.Unmuted: Audience.EVERYONE,
    e.AskedToUnmute: Audience.CONCERNED,
    e.Removed: Audience.CONCERNED,
    e.Readmitted: Audience.CONCERNED,
    e.DenySetAttached: Audience.NOBODY,
    e.DenySetDetached: Audience.NOBODY,
    e.Reported: Audience.NOBODY,
    e.ViolationFound: Audience.CREATOR,
    e.ViolationCleared: Audience.CREATOR,
    e.PostShared: Audience.EVERYONE,
    e.PostUnshared: Audience.EVERYONE,
    e.PollOpened: Audience.EVERYONE,
    # The counts are told once a second; who voted for what is the voter's secret.
    e.PollVoted: Audience.SELF,
    e.PollClosed: Audience.EVERYONE,
    e.ConsentChanged: Audience.CONCERNED,
    e.RecordingStopped: Audience.EVERYONE,
    e.ReplayReady: Audience.EVERYONE,
    e.ReplayTrimmed: Audience.EVERYONE,
    e.ReplayPosted: Audience.EVERYONE,
    e.ReplayDeleted: Audience.EVERYONE,
    e.ReplayExpired: Audience.EVERYONE,
    e.ExportRequested: Audience.CREATOR,
    e.ClipCreated: Audience.EVERYONE,
    e.ClipDeleted: Audience.EVERYONE,
    e.Subscribed: Audience.SELF,
    e.Unsubscribed: Audience.SELF,
    e.TicketBought: Audience.CREATOR,
    e.TicketRefunded: Audience.CREATOR,
    e.AuditPurged: Audience.NOBODY,
}

assert set(AUDIENCES) == set(get_args(SpaceEvent)), set(AUDIENCES) ^ set(get_args(SpaceEvent))

_BLOCKS = frozenset({"blocked", "blocked_by_new_host"})


class Visible(NamedTuple):
    """What an event looks like: to those in `who`, and to everybody else. None: not at all."""

    who: frozenset[AccountId]
    whole: dict[str, Any] | None
    others: dict[str, Any] | None
    named: frozenset[AccountId]
    """Whom it concerns by name, whoever else sees it."""


_HIDDEN = Visible(frozenset(), None, None, frozenset())


def visible(event: SpaceEvent, before: Space, after: Space) -> Visible:
    """Who sees what of an event that led from `before` to `after`."""
    audience = AUDIENCES[type(event)]
    if audience is Audience.NOBODY:
        return _HIDDEN
    fields: dict[str, Any] = msgspec.structs.asdict(event)
    named = frozenset(
        account for name in ("account", "by") if (account := fields.get(name)) is not None and name in fields
    )
    whole = _without_blocks(event, fields)
    hosts = frozenset((*before.hosts, *after.hosts))
    match audience:
        case Audience.EVERYONE:
            return Visible(frozenset(), whole, whole, named)
        case Audience.EVERYONE_LESS:
            return Visible(hosts | named, whole, _less(whole), named)
        case Audience.CONCERNED:
            return Visible(hosts | named, whole, None, named)
        case Audience.CREATOR:
            return Visible(named | {after.creator}, whole, None, named)
        case Audience.HOSTS:
            return Visible(hosts, whole, None, named)
    return Visible(named, whole, None, named)


def for_creator(event: SpaceEvent) -> dict[str, Any] | None:
    """The fields that the creator may be told, host just then or not; None: nothing at all."""
    if AUDIENCES[type(event)] in (Audience.NOBODY, Audience.SELF):
        return None
    return _without_blocks(event, msgspec.structs.asdict(event))


def for_everybody(event: SpaceEvent) -> dict[str, Any] | None:
    """The fields that anybody may be told; None: nothing at all."""
    audience = AUDIENCES[type(event)]
    if audience not in (Audience.EVERYONE, Audience.EVERYONE_LESS):
        return None
    whole = _without_blocks(event, msgspec.structs.asdict(event))
    return _less(whole) if audience is Audience.EVERYONE_LESS else whole


def _less(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "by"}


def _without_blocks(event: SpaceEvent, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with nothing in them that tells of a block; a payment's reference is the provider's."""
    shown = {name: value for name, value in fields.items() if name != "payment"}
    if str(shown.get("how", "")) in _BLOCKS:
        shown["how"] = "removed"
    if isinstance(event, e.Removed):
        # Removed by hand bars, a block does not: so this would tell, too.
        shown.pop("bar")
    return shown
