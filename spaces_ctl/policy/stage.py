"""Speakers: requests, invitations, the mic taken and given back. POLICY section 3, "Stage"."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Role, Speak, StageRole
from spaces_ctl.policy.case import NOBODY, Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    LIVE,
    OPEN,
    Targeted,
    account_live_banned,
    ask_blocked_by_host,
    ask_community,
    client_may_not_speak,
    community_members_only,
    participant_not_in_space,
    target_anonymous,
    target_has_no_request,
    target_live_banned,
    target_not_found,
    target_removed,
)
from spaces_ctl.policy.leaving import EXPOSED, close_invitation, close_request, expose
from spaces_ctl.policy.seats import free_seat, is_invited, room_for_speaker
from spaces_ctl.policy.state import Space


def ask_followed_by_host(state: Space, command: object, me: AccountId) -> Needs:
    """Whether the host follows who gives the command."""
    return Needs() if state.admin is None else Needs(follows=frozenset({(state.admin, me)}))


# Guards


@refuses("requests.closed")
def requests_closed(case: Case, command: c.Request) -> bool:
    """The host takes none."""
    return not case.state.requests_open


@refuses("requests.duplicate")
def requests_duplicate(case: Case, command: c.Request) -> bool:
    """One at a time."""
    return case.me in case.state.requests


@refuses("requests.none")
def requests_none(case: Case, command: c.Withdraw) -> bool:
    """There is nothing to take back."""
    return case.me not in case.state.requests


@refuses("stage.full")
def stage_full_for_target(case: Case, command: c.Approve) -> bool:
    """No seat for another speaker; the request stays in the queue."""
    return not room_for_speaker(case.state, case.limits, command.account)


@refuses("stage.full")
def stage_full(case: Case, command: c.TakeMic) -> bool:
    """No seat for another speaker."""
    return not room_for_speaker(case.state, case.limits, case.me)


@refuses("stage.not_invited", ask_followed_by_host, ask_community)
def stage_not_invited(case: Case, command: c.TakeMic) -> bool:
    """Neither invited (or welcome from before) nor let by the Space's permission."""
    return not is_invited(case.state, case.me, StageRole.SPEAKER, case.now_ms) and not _may_speak_unasked(case)


def _may_speak_unasked(case: Case) -> bool:
    match case.state.speak:
        case Speak.EVERYONE:
            return not community_members_only.fails(case, None)
        case Speak.FOLLOWED:
            return (case.state.admin, case.me) in case.facts.follows
        case Speak.INVITED:
            return False


@refuses("target.already_on_stage")
def target_already_on_stage(case: Case, command: Targeted) -> bool:
    """Holds a seat."""
    return case.state.seat_of(command.account) is not None


@refuses("target.not_speaker")
def target_not_speaker(case: Case, command: c.Revoke) -> bool:
    """Holds no speaker's seat; co-hosts are dropped, not revoked."""
    return command.account not in case.state.speakers


@refuses("invites.none")
def target_has_no_invitation(case: Case, command: c.WithdrawInvite) -> bool:
    """There is none to take back."""
    return command.account not in case.state.invites


@refuses("invites.none")
def invites_none(case: Case, command: c.DeclineInvite) -> bool:
    """There is none to say no to."""
    return case.me not in case.state.invites


@refuses("role.forbidden")
def cohost_invitation_is_the_hosts(case: Case, command: c.WithdrawInvite) -> bool:
    """Co-hosts are the host's to choose."""
    return case.role is Role.COHOST and case.state.invites[command.account].role is StageRole.COHOST


# Handlers


def request(case: Case, command: c.Request) -> None:
    """Raises a hand."""
    case.emit(ev.Requested(account=case.me))


def withdraw(case: Case, command: c.Withdraw) -> None:
    """Lowers it."""
    close_request(case, case.me, ev.RequestClosedHow.WITHDRAWN)


def approve(case: Case, command: c.Approve) -> None:
    """A seat, muted."""
    close_request(case, command.account, ev.RequestClosedHow.APPROVED)
    _seat(case, command.account, ev.SeatGainedHow.REQUEST)


def reject(case: Case, command: c.Reject) -> None:
    """Not now; they may ask again."""
    close_request(case, command.account, ev.RequestClosedHow.REJECTED)


def invite(case: Case, command: c.Invite) -> None:
    """Somebody inside has `Limits.invite_ms` to answer; outside it holds until the end."""
    expires_ms = case.now_ms + case.limits.invite_ms if case.known(command.account).present else None
    case.emit(
        ev.Invited(
            account=command.account,
            role=StageRole.SPEAKER,
            by=None if case.me == NOBODY else case.me,
            expires_ms=expires_ms,
        )
    )


def withdraw_invite(case: Case, command: c.WithdrawInvite) -> None:
    """Takes it back."""
    close_invitation(case, command.account, ev.InviteClosedHow.WITHDRAWN)


def decline_invite(case: Case, command: c.DeclineInvite) -> None:
    """No, thank you."""
    close_invitation(case, case.me, ev.InviteClosedHow.DECLINED)


def invite_expired(case: Case, command: c.InviteExpired) -> None:
    """Unless it was renewed or answered meanwhile."""
    invitation = case.state.invites.get(command.account)
    if invitation is not None and invitation.expires_ms is not None and case.now_ms >= invitation.expires_ms:
        close_invitation(case, command.account, ev.InviteClosedHow.EXPIRED)


def take_mic(case: Case, command: c.TakeMic) -> None:
    """A seat, muted; a raised hand goes down."""
    invited = is_invited(case.state, case.me, StageRole.SPEAKER, case.now_ms)
    close_request(case, case.me, ev.RequestClosedHow.TOOK_MIC)
    _seat(case, case.me, ev.SeatGainedHow.INVITE if invited else ev.SeatGainedHow.OPEN)


def step_down(case: Case, command: c.StepDown) -> None:
    """Back to listening; may take the mic again."""
    if case.role is Role.SPEAKER:
        case.emit(ev.SpeakerRemoved(account=case.me, how=ev.SeatLostHow.STEPPED_DOWN))
        return
    case.emit(ev.CohostRemoved(account=case.me, how=ev.CohostLostHow.STEPPED_DOWN))
    case.emit(ev.DenySetDetached(owner=case.me))
    expose(case, case.me)


def revoke(case: Case, command: c.Revoke) -> None:
    """Back to listening until invited or approved anew."""
    close_invitation(case, command.account, ev.InviteClosedHow.REVOKED)
    case.emit(ev.SpeakerRemoved(account=command.account, how=ev.SeatLostHow.REVOKED))


def _seat(case: Case, account: AccountId, how: ev.SeatGainedHow) -> None:
    """Gives a seat; an invitation to speak is used up by it, one to co-host is not."""
    invitation = case.state.invites.get(account)
    if invitation is not None and invitation.role is StageRole.SPEAKER:
        close_invitation(case, account, ev.InviteClosedHow.ACCEPTED)
    seat = free_seat(case.state, case.limits, account)
    if seat is not None:
        case.emit(ev.SpeakerAdded(account=account, seat=seat, generation=case.state.generation + 1, how=how))


_ACCEPTED = outcomes((ev.InviteClosed, ev.InviteClosedHow.ACCEPTED))

ROWS: Table = dict(
    (
        row(
            c.Request,
            "L",
            (LIVE,),
            participant_not_in_space,
            account_live_banned,
            requests_closed,
            requests_duplicate,
            community_members_only,
            client_may_not_speak,
            makes=outcomes(ev.Requested),
        ),
        row(
            c.Withdraw,
            "L",
            (LIVE,),
            requests_none,
            makes=outcomes((ev.RequestClosed, ev.RequestClosedHow.WITHDRAWN)),
        ),
        row(
            c.Approve,
            "H C",
            (LIVE,),
            target_has_no_request,
            target_removed,
            target_live_banned,
            stage_full_for_target,
            makes=_ACCEPTED
            | outcomes((ev.RequestClosed, ev.RequestClosedHow.APPROVED), (ev.SpeakerAdded, ev.SeatGainedHow.REQUEST)),
        ),
        row(
            c.Reject,
            "H C",
            (LIVE,),
            target_has_no_request,
            makes=outcomes((ev.RequestClosed, ev.RequestClosedHow.REJECTED)),
        ),
        row(
            c.Invite,
            "H C",
            OPEN,
            target_already_on_stage,
            target_removed,
            target_live_banned,
            target_anonymous,
            target_not_found,
            makes=outcomes(ev.Invited),
        ),
        row(
            c.WithdrawInvite,
            "H C",
            OPEN,
            target_has_no_invitation,
            cohost_invitation_is_the_hosts,
            makes=outcomes((ev.InviteClosed, ev.InviteClosedHow.WITHDRAWN)),
        ),
        row(
            c.DeclineInvite,
            "S L O",
            OPEN,
            invites_none,
            makes=outcomes((ev.InviteClosed, ev.InviteClosedHow.DECLINED)),
        ),
        row(
            c.InviteExpired,
            "Y",
            OPEN,
            makes=outcomes((ev.InviteClosed, ev.InviteClosedHow.EXPIRED)),
        ),
        row(
            c.TakeMic,
            "L",
            (LIVE,),
            participant_not_in_space,
            account_live_banned,
            stage_not_invited,
            stage_full,
            client_may_not_speak,
            makes=_ACCEPTED
            | outcomes(
                (ev.RequestClosed, ev.RequestClosedHow.TOOK_MIC),
                (ev.SpeakerAdded, ev.SeatGainedHow.INVITE, ev.SeatGainedHow.OPEN),
            ),
        ),
        row(
            c.StepDown,
            "C S",
            (LIVE,),
            makes=EXPOSED
            | outcomes(
                (ev.SpeakerRemoved, ev.SeatLostHow.STEPPED_DOWN),
                (ev.CohostRemoved, ev.CohostLostHow.STEPPED_DOWN),
                ev.DenySetDetached,
            ),
            asks=(ask_blocked_by_host,),
        ),
        row(
            c.Revoke,
            "H C",
            (LIVE,),
            target_not_speaker,
            makes=outcomes((ev.SpeakerRemoved, ev.SeatLostHow.REVOKED), (ev.InviteClosed, ev.InviteClosedHow.REVOKED)),
        ),
    )
)
