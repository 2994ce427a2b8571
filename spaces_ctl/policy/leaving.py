"""How people lose their places: leaving, being put out, succession, and what becoming host does to whom one blocks.

Every way of becoming host or co-host goes through `purge`, every way of losing a place through `lose_place`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, StageRole
from spaces_ctl.policy.case import Case, Outcomes, outcomes
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.seats import deny_exempt, spared_by
from spaces_ctl.policy.state import Space

__all__ = [
    "EXPOSED",
    "PURGED",
    "SUCCEEDED",
    "Why",
    "ask_purge_by",
    "ask_succession",
    "close_invitation",
    "close_request",
    "expose",
    "lose_place",
    "lost_place",
    "purge",
    "put_out",
    "succeed",
]


class Why(StrEnum):
    """Why a place is lost; a member's value is that of the events' causes."""

    LEFT = "left"
    RESUME_EXPIRED = "resume_expired"
    REMOVED = "removed"
    BLOCKED = "blocked"
    LIVE_BANNED = "live_banned"


PURGED = outcomes(
    (ev.Removed, ev.RemovedHow.BLOCKED_BY_NEW_HOST),
    (ev.SpeakerRemoved, ev.SeatLostHow.BLOCKED),
    (ev.CohostRemoved, ev.CohostLostHow.BLOCKED),
    (ev.RequestClosed, ev.RequestClosedHow.BLOCKED),
    (ev.InviteClosed, ev.InviteClosedHow.BLOCKED),
    ev.DenySetDetached,
)
"""What `purge` may bring."""

SUCCEEDED = PURGED | outcomes(
    (ev.AdminChanged, ev.AdminHow.SUCCEEDED, ev.AdminHow.HOSTLESS),
    (ev.CohostRemoved, ev.CohostLostHow.PROMOTED),
    ev.DenySetDetached,
)
"""What the loss of the primary admin may bring."""

EXPOSED = outcomes((ev.Removed, ev.RemovedHow.BLOCKED))
"""What `expose` may bring."""


def lost_place(why: Why, *, host: bool = True) -> Outcomes:
    """What `lose_place` may bring; `host`: also to the primary admin."""
    lost = outcomes(
        (ev.SpeakerRemoved, ev.SeatLostHow(why.value)),
        (ev.CohostRemoved, ev.CohostLostHow(why.value)),
        (ev.RequestClosed, _request_cause(why)),
        ev.DenySetDetached,
    )
    return lost | SUCCEEDED if host else lost


def ask_purge_by(state: Space, owner: AccountId) -> Needs:
    """Whom of those inside, asking or invited `owner` blocks."""
    return Needs(blocks=frozenset((owner, other) for other in _known(state) if other != owner))


def ask_succession(state: Space, account: AccountId) -> Needs:
    """What is to be known if `account`, should they be primary admin, loses that place."""
    if account != state.admin or not state.cohosts:
        return Needs()
    return ask_purge_by(state, state.cohosts[0])


def lose_place(case: Case, account: AccountId, why: Why) -> None:
    """The seat goes, and the request; the administration passes on."""
    seat = case.state.seat_of(account)
    if seat is None:
        close_request(case, account, _request_cause(why))
        return
    match seat.role:
        case StageRole.HOST:
            _succession(case, account, why)
        case StageRole.COHOST:
            case.emit(ev.CohostRemoved(account=account, how=ev.CohostLostHow(why.value)))
            case.emit(ev.DenySetDetached(owner=account))
        case StageRole.SPEAKER:
            case.emit(ev.SpeakerRemoved(account=account, how=ev.SeatLostHow(why.value)))


def put_out(case: Case, account: AccountId, how: ev.RemovedHow, *, bar: bool) -> None:
    """Out of the Space, whatever they were there, and out of its queues."""
    removed = how in (ev.RemovedHow.REMOVED, ev.RemovedHow.MODERATOR)
    lose_place(case, account, Why.REMOVED if removed else Why.BLOCKED)
    close_invitation(case, account, ev.InviteClosedHow.REMOVED if removed else ev.InviteClosedHow.BLOCKED)
    case.emit(ev.Removed(account=account, how=how, bar=bar))


def purge(case: Case, owner: AccountId) -> None:
    """`owner` became host or co-host: whom they block goes, from stage, queues and invitations.

    Other listeners whom they block are put out by the engine when it gets the deny set. A co-host's list spares host
    and co-hosts (nobody becomes co-host who blocks one of them, and later it concerns accounts only); a host's list
    spares only the creator.
    """
    exempt = spared_by(case.state, owner)
    for account in _known(case.state):
        if account == owner or account in exempt or not case.blocks(owner, account):
            continue
        if account in case.state.here or case.state.seat_of(account) is not None or account in case.state.requests:
            put_out(case, account, ev.RemovedHow.BLOCKED_BY_NEW_HOST, bar=False)
        else:
            close_invitation(case, account, ev.InviteClosedHow.BLOCKED)


def expose(case: Case, account: AccountId) -> None:
    """Somebody is no co-host any more and stays: the block lists of those who are hold against them from now on."""
    state = case.state
    if account not in deny_exempt(state) and any(case.blocks(owner, account) for owner in state.deny_owners):
        put_out(case, account, ev.RemovedHow.BLOCKED, bar=False)


def close_request(case: Case, account: AccountId, how: ev.RequestClosedHow) -> None:
    """If there is one."""
    if account in case.state.requests:
        case.emit(ev.RequestClosed(account=account, how=how))


def close_invitation(case: Case, account: AccountId, how: ev.InviteClosedHow) -> None:
    """If there is one."""
    invitation = case.state.invites.get(account)
    if invitation is not None:
        case.emit(ev.InviteClosed(account=account, role=invitation.role, how=how))


def _succession(case: Case, former: AccountId, why: Why) -> None:
    """The co-host first added takes over; without one the Space goes on for a while without a host.

    An absent creator's seat is kept for their return, unless they gave the administration away, or others took over
    where creators do not reclaim it (`Limits.creator_reclaims`), or they are banned.
    """
    state = case.state
    reserved = (
        former == state.creator
        and not state.transferred
        and why in (Why.LEFT, Why.RESUME_EXPIRED)
        and (case.limits.creator_reclaims or not state.cohosts)
    )
    case.emit(ev.DenySetDetached(owner=former))
    if not state.cohosts:
        until_ms = case.now_ms + case.limits.orphan_timeout_ms
        case.emit(ev.AdminChanged(account=None, how=ev.AdminHow.HOSTLESS, until_ms=until_ms, reserved=reserved))
        return
    succeed(case, state.cohosts[0], reserved=reserved)


def succeed(case: Case, successor: AccountId, *, reserved: bool = False) -> None:
    """A co-host becomes primary admin because there is none; `reserved`: the former one's seat is kept."""
    seat = case.state.seat_of(successor)
    case.emit(ev.CohostRemoved(account=successor, how=ev.CohostLostHow.PROMOTED))
    case.emit(
        ev.AdminChanged(
            account=successor,
            how=ev.AdminHow.SUCCEEDED,
            seat=None if seat is None else seat.seat,
            generation=None if seat is None else seat.generation,
            reserved=reserved,
        )
    )
    purge(case, successor)


def _request_cause(why: Why) -> ev.RequestClosedHow:
    """Whoever does not come back has left, as far as the queue is concerned."""
    return ev.RequestClosedHow.LEFT if why is Why.RESUME_EXPIRED else ev.RequestClosedHow(why.value)


def _known(state: Space) -> Iterable[AccountId]:
    """Everybody whom the state names as inside, asking or invited, in a fixed order."""
    seated = (seat.account for seat in state.stage)
    return dict.fromkeys((*seated, *state.requests, *state.invites, *sorted(state.here)))
