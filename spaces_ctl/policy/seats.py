"""The stage's arithmetic: who fits, which seat is free, who may sit down, whom block lists do not touch."""

from __future__ import annotations

from spaces_ctl.model import AccountId, StageRole
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space

__all__ = [
    "admitted_free",
    "deny_exempt",
    "free_seat",
    "is_invited",
    "room_for_cohost",
    "room_for_speaker",
    "spared_by",
    "watched",
]

_SEATS = 13
"""What the engine has."""


def free_seat(state: Space, limits: Limits, account: AccountId) -> int | None:
    """The lowest seat that nobody holds, the absent creator's included, or None if the stage is full."""
    held = {seat.seat for seat in state.stage}
    if state.reserved is not None:
        if state.reserved.account == account:
            return state.reserved.seat
        held.add(state.reserved.seat)
    if len(held) >= limits.max_stage:
        return None
    return next((seat for seat in range(_SEATS) if seat not in held), None)


def room_for_speaker(state: Space, limits: Limits, account: AccountId) -> bool:
    """Whether one more speaker fits. A free co-host's seat is not a speaker's."""
    return len(state.speakers) < limits.max_speakers and free_seat(state, limits, account) is not None


def room_for_cohost(state: Space, limits: Limits) -> bool:
    """Whether one more co-host fits, the interim admin counted who is co-host again when the creator returns."""
    returning = 1 if state.reserved is not None and state.admin is not None else 0
    return len(state.cohosts) + returning < limits.max_cohosts


def is_invited(state: Space, account: AccountId, role: StageRole, now_ms: int) -> bool:
    """Whether somebody may become speaker or co-host on an invitation; to speak, having been welcome before will do."""
    invitation = state.invites.get(account)
    if invitation is not None and invitation.role is role:
        return invitation.expires_ms is None or now_ms < invitation.expires_ms
    return role is StageRole.SPEAKER and account in state.invited_ever


def deny_exempt(state: Space) -> frozenset[AccountId]:
    """Whom the block lists of host and co-hosts do not put out: each other, and the creator, whose Space it is."""
    return frozenset((state.creator, *state.hosts))


def spared_by(state: Space, owner: AccountId) -> frozenset[AccountId]:
    """Whom one block list in particular does not put out: the host's spares the creator, a co-host's all who host."""
    return frozenset({state.creator}) if owner == state.admin else deny_exempt(state)


def watched(state: Space) -> frozenset[AccountId]:
    """Whose coming and going the engine has to tell one by one; everybody else is only counted."""
    return frozenset(
        (
            state.creator,
            *(seat.account for seat in state.stage),
            *state.here,
            *state.away_until,
            *state.requests,
            *state.invites,
            *state.invited_ever,
        )
    )


def admitted_free(state: Space) -> frozenset[AccountId]:
    """Who needs no ticket: creator, stage, and those invited to it."""
    return frozenset((state.creator, *(seat.account for seat in state.stage), *state.invites, *state.invited_ever))
