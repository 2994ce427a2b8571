"""What somebody is to a Space, derived from its state and from who is connected; never sent, never stored."""

from __future__ import annotations

from spaces_ctl.model import Actor, Role, StageRole, Status
from spaces_ctl.policy.facts import AccountFacts, Facts
from spaces_ctl.policy.state import Space

__all__ = ["UNKNOWN", "rank_of", "role_of"]

UNKNOWN = AccountFacts()
"""Of an account about which nothing was asked."""

_STAGE_ROLES = {StageRole.HOST: Role.HOST, StageRole.COHOST: Role.COHOST, StageRole.SPEAKER: Role.SPEAKER}

_RANKS = {Role.SYSTEM: 5, Role.MODERATOR: 4, Role.HOST: 3, Role.COHOST: 2, Role.SPEAKER: 1}


def role_of(state: Space, actor: Actor, facts: Facts) -> Role:
    """The actor's role in the Space. A moderator has the role that anybody in their place would have.

    Somebody whose connection is lost keeps the role until the resume window closes. When a Space is over, its creator
    and whoever was primary admin at the end are its hosts, and everybody else is outside.
    """
    if actor.system:
        return Role.SYSTEM
    account = actor.account
    if account is None:
        return Role.GUEST
    if state.status is Status.ENDED:
        return Role.HOST if account == state.creator or account in state.hosts_at_end[:1] else Role.OUTSIDER
    seat = state.seat_of(account)
    if seat is not None:
        return _STAGE_ROLES[seat.role]
    if actor.anonymous:
        return Role.ANONYMOUS
    known = facts.accounts.get(account, UNKNOWN)
    if known.present or account in state.here:
        return Role.LISTENER
    return Role.ANONYMOUS if known.anonymous else Role.OUTSIDER


def rank_of(role: Role) -> int:
    """Who may act against whom: host over co-host over speaker over everybody else."""
    return _RANKS.get(role, 0)
