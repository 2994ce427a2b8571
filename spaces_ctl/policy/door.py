"""In and out: joining, leaving, lost connections, the creator's return. POLICY section 3, "In and out".

The engine admits listeners from the same tables; what comes here concerns those whom it is told to watch
(`policy.watched`), and questions whether somebody may come in.
"""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Role
from spaces_ctl.policy.case import NOBODY, Case, Outcomes, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    LIVE,
    ask_blocked_by_host,
    ask_hosting,
    ask_hosting_of_target,
    ask_ticket,
    blocked_by_host,
    participant_removed,
)
from spaces_ctl.policy.leaving import PURGED, Why, ask_purge_by, ask_succession, lose_place, lost_place, purge
from spaces_ctl.policy.seats import admitted_free, watched
from spaces_ctl.policy.state import Space


def ask_return_of(state: Space, account: AccountId) -> Needs:
    """Whom a creator who takes the administration back blocks."""
    if state.reserved is None or state.reserved.account != account:
        return Needs()
    return ask_purge_by(state, account)


def ask_my_return(state: Space, command: object, me: AccountId) -> Needs:
    """As `ask_return_of`, of who gives the command."""
    return ask_return_of(state, me)


def ask_targets_return(state: Space, command: c.Resumed, me: AccountId) -> Needs:
    """As `ask_return_of`, of whom the engine names."""
    return ask_return_of(state, command.account)


def ask_my_succession(state: Space, command: object, me: AccountId) -> Needs:
    """Whom the next host blocks, if the one leaves who gives the command."""
    return ask_succession(state, me)


def ask_targets_succession(state: Space, command: c.ResumeExpired, me: AccountId) -> Needs:
    """Whom the next host blocks, if the one leaves whom the timer names."""
    return ask_succession(state, command.account)


# Guards


@refuses("participant.blocked_by_host", ask_blocked_by_host)
def participant_blocked_by_host(case: Case, command: object) -> bool:
    """Host or a co-host blocks them."""
    return case.me != NOBODY and blocked_by_host(case, case.me)


@refuses("ticket.required", ask_ticket)
def ticket_required(case: Case, command: object) -> bool:
    """Only who bought one hears a ticketed Space; creator and whoever is invited to speak need none."""
    return case.state.ticketing is not None and not case.facts.has_ticket and case.me not in admitted_free(case.state)


# Handlers


def join(case: Case, command: c.Join) -> None:
    """Named people who are watched come in; everybody else is the engine's to admit and count."""
    if case.role is Role.OUTSIDER and case.me in watched(case.state):
        arrive(case, case.me)


def leave(case: Case, command: c.Leave) -> None:
    """For good: the role is lost. Of people who are not watched nothing is known here."""
    if case.role not in (Role.ANONYMOUS, Role.GUEST):
        depart(case, case.me, Why.LEFT)


def connection_lost(case: Case, command: c.ConnectionLost) -> None:
    """The place is kept until the resume window closes."""
    account = command.account
    if account in case.state.here and account not in case.state.away_until:
        case.emit(ev.Away(account=account, until_ms=case.now_ms + case.limits.resume_window_ms))


def resumed(case: Case, command: c.Resumed) -> None:
    """Back in time, or come in anew. Whoever was put out in between is not here, whatever the engine saw before."""
    account = command.account
    if account in case.state.removed or blocked_by_host(case, account):
        return
    if account in case.state.away_until:
        case.emit(ev.Back(account=account))
    elif account in watched(case.state):
        arrive(case, account)


def resume_expired(case: Case, command: c.ResumeExpired) -> None:
    """Did not come back in time."""
    until_ms = case.state.away_until.get(command.account)
    if until_ms is not None and case.now_ms >= until_ms:
        depart(case, command.account, Why.RESUME_EXPIRED)


def arrive(case: Case, account: AccountId) -> None:
    """Comes in; a creator whose seat was kept is primary admin again."""
    if account not in case.state.here:
        case.emit(ev.Joined(account=account))
    reserved = case.state.reserved
    if reserved is None or reserved.account != account:
        return
    if not case.known(account).live_banned and not case.facts.live_elsewhere:
        _reclaim(case, account, reserved.seat)


def _reclaim(case: Case, creator: AccountId, seat: int) -> None:
    """The interim admin is co-host again, unless the creator has come to block them."""
    interim = case.state.seat_of(case.state.admin)
    generation = case.state.generation + 1
    case.emit(ev.AdminChanged(account=creator, how=ev.AdminHow.RECLAIMED, seat=seat, generation=generation))
    case.emit(ev.DenySetAttached(owner=creator))
    if interim is not None:
        case.emit(
            ev.CohostAdded(
                account=interim.account,
                seat=interim.seat,
                generation=interim.generation,
                how=ev.CohostGainedHow.RECLAIMED,
            )
        )
    purge(case, creator)


def depart(case: Case, account: AccountId, why: Why) -> None:
    """Out, with all that follows for the stage. An invitation stays: they may come back and take it up."""
    if account not in case.state.here and account not in case.state.requests:
        return
    how = ev.LeftHow.LEFT if why is Why.LEFT else ev.LeftHow.RESUME_EXPIRED
    case.emit(ev.Left(account=account, how=how))
    lose_place(case, account, why)


_ARRIVED: Outcomes = PURGED | outcomes(
    ev.Joined,
    ev.DenySetAttached,
    (ev.AdminChanged, ev.AdminHow.RECLAIMED),
    (ev.CohostAdded, ev.CohostGainedHow.RECLAIMED),
)

ROWS: Table = dict(
    (
        row(
            c.Join,
            "A G O",
            (LIVE,),
            participant_removed,
            participant_blocked_by_host,
            ticket_required,
            makes=_ARRIVED,
            asks=(ask_my_return, ask_hosting),
        ),
        row(
            c.Leave,
            "H C S L A G",
            (LIVE,),
            makes=outcomes((ev.Left, ev.LeftHow.LEFT)) | lost_place(Why.LEFT),
            asks=(ask_my_succession,),
        ),
        row(c.ConnectionLost, "Y", (LIVE,), makes=outcomes(ev.Away)),
        row(
            c.Resumed,
            "Y",
            (LIVE,),
            makes=_ARRIVED | outcomes(ev.Back),
            asks=(ask_targets_return, ask_blocked_by_host, ask_hosting_of_target),
        ),
        row(
            c.ResumeExpired,
            "Y",
            (LIVE,),
            makes=outcomes((ev.Left, ev.LeftHow.RESUME_EXPIRED)) | lost_place(Why.RESUME_EXPIRED),
            asks=(ask_targets_succession,),
        ),
    )
)
