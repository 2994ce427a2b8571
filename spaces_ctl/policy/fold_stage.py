"""What the events of stage and door make of a Space: `evolve`'s half that moves people and seats.

The stage is kept in order: host, co-hosts by order of addition, speakers by order of addition. A role that changes on
stage keeps seat, generation and mute; whoever comes to a seat anew is muted there.
"""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec.structs import replace

from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Seat, StageRole
from spaces_ctl.policy.state import Invitation, Space

Changes = dict[str, Any]
"""Fields of `Space` and their new values."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_RANK = {StageRole.HOST: 0, StageRole.COHOST: 1, StageRole.SPEAKER: 2}

_TAKEN_BACK = frozenset({ev.SeatLostHow.REVOKED, ev.SeatLostHow.REMOVED, ev.SeatLostHow.BLOCKED})

NOBODY: Changes = {
    "admin": None,
    "stage": (),
    "reserved": None,
    "here": frozenset(),
    "away_until": {},
    "hostless_until_ms": None,
    "requests": {},
    "invites": {},
    "deny_owners": (),
}
"""Everybody is out."""


def without(entries: dict[_K, _V], key: _K) -> dict[_K, _V]:
    """The same without one entry."""
    if key not in entries:
        return entries
    return {other: value for other, value in entries.items() if other != key}


def host_alone(creator: AccountId, at_ms: int) -> Changes:
    """A new Space: the host's mic is off and nobody else is in."""
    seat = Seat(seat=0, account=creator, role=StageRole.HOST, generation=1, since_ms=at_ms)
    return {"stage": (seat,), "generation": 1, "here": frozenset({creator}), "spoke_ever": (creator,)}


def gone(state: Space, account: AccountId) -> Changes:
    """Not inside any more; events that go with it say what became of the seat."""
    return {"here": state.here - {account}, "away_until": without(state.away_until, account)}


def away(state: Space, account: AccountId, until_ms: int) -> Changes:
    """The connection is lost."""
    return {"away_until": {**state.away_until, account: until_ms}, **seat_changed(state, account, away=True)}


def back(state: Space, account: AccountId) -> Changes:
    """The connection is there again: same seat, same generation, as muted as before."""
    return {"away_until": without(state.away_until, account), **seat_changed(state, account, away=False)}


def seat_changed(state: Space, account: AccountId, **changes: Any) -> Changes:
    """The stage with something changed about one seat, in its place."""
    return {"stage": tuple(replace(s, **changes) if s.account == account else s for s in state.stage)}


def invited(state: Space, event: ev.Invited, at_ms: int) -> Changes:
    """A new invitation takes the place of an older one to the same person."""
    invitation = Invitation(role=event.role, by=event.by, since_ms=at_ms, expires_ms=event.expires_ms)
    changes: Changes = {"invites": {**state.invites, event.account: invitation}}
    if event.role is StageRole.SPEAKER:
        changes["invited_ever"] = _added(state.invited_ever, event.account)
    return changes


def invite_closed(state: Space, event: ev.InviteClosed) -> Changes:
    """Only an invitation that was accepted leaves its mark."""
    changes: Changes = {"invites": without(state.invites, event.account)}
    if event.role is StageRole.SPEAKER and event.how is not ev.InviteClosedHow.ACCEPTED:
        changes["invited_ever"] = _dropped(state.invited_ever, event.account)
    return changes


def speaker_added(state: Space, event: ev.SpeakerAdded, at_ms: int) -> Changes:
    """Muted, at the end of the speakers."""
    return _seated(state, event.account, event.seat, event.generation, StageRole.SPEAKER, at_ms)


def speaker_removed(state: Space, event: ev.SpeakerRemoved) -> Changes:
    """Off the stage, unless the seat is to be a co-host's."""
    if event.how is ev.SeatLostHow.PROMOTED:
        return {}
    changes: Changes = {"stage": _off(state.stage, event.account)}
    if event.how in _TAKEN_BACK:
        changes["invited_ever"] = _dropped(state.invited_ever, event.account)
    return changes


def cohost_added(state: Space, event: ev.CohostAdded, at_ms: int) -> Changes:
    """At the end of the co-hosts, on the seat held before if there was one."""
    return _seated(state, event.account, event.seat, event.generation, StageRole.COHOST, at_ms)


def cohost_removed(state: Space, event: ev.CohostRemoved) -> Changes:
    """Off the stage, unless the seat is to be the host's."""
    if event.how is ev.CohostLostHow.PROMOTED:
        return {}
    changes: Changes = {"stage": _off(state.stage, event.account)}
    if event.how in (ev.CohostLostHow.DROPPED_BY_HOST, ev.CohostLostHow.REMOVED, ev.CohostLostHow.BLOCKED):
        changes["invited_ever"] = _dropped(state.invited_ever, event.account)
    return changes


def admin_changed(state: Space, event: ev.AdminChanged, at_ms: int) -> Changes:
    """The former admin is co-host now (transferred, reclaimed) or off the stage (succeeded, hostless)."""
    former = state.seat_of(state.admin)
    stage = state.stage
    reserved = state.reserved
    if former is not None and former.account != event.account:
        stage = _off(stage, former.account)
        if event.how in (ev.AdminHow.TRANSFERRED, ev.AdminHow.RECLAIMED):
            stage = _placed(stage, replace(former, role=StageRole.COHOST))
        elif event.reserved:
            reserved = replace(former, muted=True, muted_by=None, away=False)
    changes: Changes = {
        "admin": event.account,
        "hostless_until_ms": event.until_ms,
        "stage": stage,
        "reserved": reserved,
    }
    if event.how is ev.AdminHow.TRANSFERRED and state.creator in (state.admin, event.account):
        changes["transferred"] = event.account != state.creator
    if event.account is None or event.seat is None or event.generation is None:
        return changes
    seated = replace(state, stage=stage, reserved=reserved)
    return changes | _seated(seated, event.account, event.seat, event.generation, StageRole.HOST, at_ms)


def removed(state: Space, event: ev.Removed) -> Changes:
    """Out, with nothing left of them but the bar."""
    return {
        **gone(state, event.account),
        "stage": tuple(s for s in state.stage if s.account != event.account or s.role is StageRole.HOST),
        "requests": without(state.requests, event.account),
        "invites": without(state.invites, event.account),
        "invited_ever": _dropped(state.invited_ever, event.account),
        "removed": state.removed | {event.account} if event.bar else state.removed,
    }


def _seated(state: Space, account: AccountId, seat: int, generation: int, role: StageRole, at_ms: int) -> Changes:
    """On the seat, in the order of the stage; an absent creator who sits down somewhere needs no reserved seat."""
    held = state.seat_of(account)
    if held is None:
        away = account in state.away_until
        new = Seat(seat=seat, account=account, role=role, generation=generation, away=away, since_ms=at_ms)
    else:
        new = replace(held, seat=seat, generation=generation, role=role)
    stage = _placed(_off(state.stage, account), new) if held is None or held.role is not role else state.stage
    reserved = state.reserved
    return {
        "stage": stage,
        "generation": max(state.generation, generation),
        "here": state.here | {account},
        "reserved": None if reserved is not None and reserved.account == account else reserved,
        "invited_ever": _added(state.invited_ever, account),
        "spoke_ever": _added(state.spoke_ever, account),
    }


def _placed(stage: tuple[Seat, ...], seat: Seat) -> tuple[Seat, ...]:
    """Last of its role."""
    return tuple(sorted((*stage, seat), key=lambda s: _RANK[s.role]))


def _off(stage: tuple[Seat, ...], account: AccountId) -> tuple[Seat, ...]:
    return tuple(seat for seat in stage if seat.account != account)


def _added(accounts: tuple[AccountId, ...], account: AccountId) -> tuple[AccountId, ...]:
    return accounts if account in accounts else (*accounts, account)


def _dropped(accounts: tuple[AccountId, ...], account: AccountId) -> tuple[AccountId, ...]:
    return tuple(other for other in accounts if other != account)
