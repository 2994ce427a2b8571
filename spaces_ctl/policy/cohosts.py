"""Co-hosts and the primary admin's place. POLICY section 3, "Stage"; the seats of section 6."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, StageRole
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    LIVE,
    account_live_banned,
    ask_blocked_by_host,
    ask_hosting_of_target,
    client_may_not_speak,
    participant_not_in_space,
    target_anonymous,
    target_is_host,
    target_live_banned,
    target_not_in_space,
    target_outranks,
    target_removed,
)
from spaces_ctl.policy.leaving import EXPOSED, PURGED, ask_purge_by, close_request, expose, purge, succeed
from spaces_ctl.policy.seats import free_seat, is_invited, room_for_cohost
from spaces_ctl.policy.state import Space


def _hosts_to_be(state: Space) -> tuple[AccountId, ...]:
    """Host, co-hosts, and the absent creator who will be host again."""
    return state.hosts if state.reserved is None else (*state.hosts, state.reserved.account)


def ask_whether_target_blocks_hosts(state: Space, command: c.AddCohost, me: AccountId) -> Needs:
    """Whether whom the command names blocks host or co-hosts."""
    return Needs(blocks=frozenset((command.account, host) for host in _hosts_to_be(state)))


def ask_whether_i_block_hosts(state: Space, command: object, me: AccountId) -> Needs:
    """Whether who gives the command blocks host or co-hosts."""
    return Needs(blocks=frozenset((me, host) for host in _hosts_to_be(state)))


def ask_my_purge(state: Space, command: object, me: AccountId) -> Needs:
    """Whom the one blocks who gives the command."""
    return ask_purge_by(state, me)


def ask_targets_purge(state: Space, command: c.Transfer, me: AccountId) -> Needs:
    """Whom the one blocks whom the command names."""
    return ask_purge_by(state, command.account)


# Guards


@refuses("target.already_cohost")
def target_already_cohost(case: Case, command: c.AddCohost) -> bool:
    """Is one."""
    return command.account in case.state.cohosts


@refuses("target.not_cohost")
def target_not_cohost(case: Case, command: c.DropCohost | c.Transfer) -> bool:
    """Is none."""
    return command.account not in case.state.cohosts


@refuses("cohosts.full")
def cohosts_full(case: Case, command: object) -> bool:
    """As many as may be; the place of an interim admin who will be co-host again is taken."""
    return not room_for_cohost(case.state, case.limits)


@refuses("cohost.blocks_host", ask_whether_target_blocks_hosts)
def target_blocks_host(case: Case, command: c.AddCohost) -> bool:
    """Host and co-hosts do not block each other when they become it."""
    return any(case.blocks(command.account, host) for host in _hosts_to_be(case.state))


@refuses("cohost.blocks_host", ask_whether_i_block_hosts)
def cohost_blocks_host(case: Case, command: c.AcceptCohost) -> bool:
    """Host and co-hosts do not block each other when they become it."""
    return any(case.blocks(case.me, host) for host in _hosts_to_be(case.state))


@refuses("cohost.not_invited")
def cohost_not_invited(case: Case, command: c.AcceptCohost) -> bool:
    """By the host, and not too long ago."""
    return not is_invited(case.state, case.me, StageRole.COHOST, case.now_ms)


@refuses("stage.full")
def no_seat_for_cohost(case: Case, command: c.AcceptCohost) -> bool:
    """Speakers bring their seat along, listeners need one."""
    return case.state.seat_of(case.me) is None and free_seat(case.state, case.limits, case.me) is None


@refuses("host.already_live", ask_hosting_of_target)
def target_already_live(case: Case, command: c.Transfer) -> bool:
    """One live Space a host."""
    return case.facts.live_elsewhere


# Handlers


def add_cohost(case: Case, command: c.AddCohost) -> None:
    """An invitation, to be accepted in `Limits.invite_ms`."""
    expires_ms = case.now_ms + case.limits.invite_ms
    case.emit(ev.Invited(account=command.account, role=StageRole.COHOST, by=case.me, expires_ms=expires_ms))


def accept_cohost(case: Case, command: c.AcceptCohost) -> None:
    """On the own seat or a new one; then whom they block goes. In a Space without a host they are host at once."""
    me = case.me
    seat = case.state.seat_of(me)
    case.emit(ev.InviteClosed(account=me, role=StageRole.COHOST, how=ev.InviteClosedHow.ACCEPTED))
    close_request(case, me, ev.RequestClosedHow.TOOK_MIC)
    if seat is not None:
        case.emit(ev.SpeakerRemoved(account=me, how=ev.SeatLostHow.PROMOTED))
        number, generation = seat.seat, seat.generation
    else:
        number, generation = free_seat(case.state, case.limits, me) or 0, case.state.generation + 1
    case.emit(ev.CohostAdded(account=me, seat=number, generation=generation, how=ev.CohostGainedHow.ACCEPTED))
    case.emit(ev.DenySetAttached(owner=me))
    if case.state.admin is None:
        succeed(case, me)
    else:
        purge(case, me)


def drop_cohost(case: Case, command: c.DropCohost) -> None:
    """They listen from now on; dropped by the host they need a new invitation to speak."""
    account = command.account
    how = ev.CohostLostHow.DROPPED_SELF if account == case.me else ev.CohostLostHow.DROPPED_BY_HOST
    case.emit(ev.CohostRemoved(account=account, how=how))
    case.emit(ev.DenySetDetached(owner=account))
    expose(case, account)


def transfer(case: Case, command: c.Transfer) -> None:
    """A swap. Both keep their seats, as muted as they were; whom the new host blocks goes."""
    former, heir = case.state.seat_of(case.me), case.state.seat_of(command.account)
    if former is None or heir is None:
        return
    case.emit(ev.CohostRemoved(account=heir.account, how=ev.CohostLostHow.PROMOTED))
    case.emit(
        ev.AdminChanged(account=heir.account, how=ev.AdminHow.TRANSFERRED, seat=heir.seat, generation=heir.generation)
    )
    case.emit(
        ev.CohostAdded(
            account=former.account,
            seat=former.seat,
            generation=former.generation,
            how=ev.CohostGainedHow.TRANSFERRED,
        )
    )
    purge(case, heir.account)


ROWS: Table = dict(
    (
        row(
            c.AddCohost,
            "H",
            (LIVE,),
            target_not_in_space,
            target_anonymous,
            target_is_host,
            target_already_cohost,
            target_removed,
            target_live_banned,
            cohosts_full,
            target_blocks_host,
            makes=outcomes(ev.Invited),
        ),
        row(
            c.AcceptCohost,
            "S L",
            (LIVE,),
            participant_not_in_space,
            cohost_not_invited,
            account_live_banned,
            cohosts_full,
            no_seat_for_cohost,
            cohost_blocks_host,
            client_may_not_speak,
            makes=PURGED
            | outcomes(
                (ev.InviteClosed, ev.InviteClosedHow.ACCEPTED),
                (ev.RequestClosed, ev.RequestClosedHow.TOOK_MIC),
                (ev.SpeakerRemoved, ev.SeatLostHow.PROMOTED),
                (ev.CohostAdded, ev.CohostGainedHow.ACCEPTED),
                (ev.CohostRemoved, ev.CohostLostHow.PROMOTED),
                (ev.AdminChanged, ev.AdminHow.SUCCEEDED),
                ev.DenySetAttached,
            ),
            asks=(ask_my_purge,),
        ),
        row(
            c.DropCohost,
            "H C",
            (LIVE,),
            target_not_cohost,
            target_outranks,
            makes=EXPOSED
            | outcomes(
                (ev.CohostRemoved, ev.CohostLostHow.DROPPED_BY_HOST, ev.CohostLostHow.DROPPED_SELF),
                ev.DenySetDetached,
            ),
            asks=(ask_blocked_by_host,),
        ),
        row(
            c.Transfer,
            "H",
            (LIVE,),
            target_not_cohost,
            target_already_live,
            makes=PURGED
            | outcomes(
                (ev.CohostRemoved, ev.CohostLostHow.PROMOTED),
                (ev.AdminChanged, ev.AdminHow.TRANSFERRED),
                (ev.CohostAdded, ev.CohostGainedHow.TRANSFERRED),
            ),
            asks=(ask_targets_purge,),
        ),
    )
)
