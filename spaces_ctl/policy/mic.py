"""Open and closed mics. Nobody opens another's. POLICY section 3, "Stage"."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Role
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.guards import LIVE, participant_not_in_space, target_not_on_stage, target_outranks, target_self
from spaces_ctl.policy.settings import mute_speakers


@refuses("mic.closed")
def mic_closed(case: Case, command: c.Unmute) -> bool:
    """Mic access is off for speakers; host and co-hosts may speak regardless."""
    return case.role is Role.SPEAKER and not case.state.mic_open


@refuses("role.forbidden")
def speakers_mute_themselves(case: Case, command: c.Mute) -> bool:
    """Only host and co-hosts mute others."""
    return case.role is Role.SPEAKER and command.account != case.me


def unmute(case: Case, command: c.Unmute) -> None:
    """The own mic."""
    seat = case.state.seat_of(case.me)
    if seat is not None and seat.muted:
        case.emit(ev.Unmuted(account=case.me))


def mute(case: Case, command: c.Mute) -> None:
    """The own mic, or that of somebody of lower rank."""
    seat = case.state.seat_of(command.account)
    if seat is None or seat.muted:
        return
    how = ev.MutedHow.SELF if command.account == case.me else ev.MutedHow.BY_HOST
    case.emit(ev.Muted(account=command.account, how=how, by=case.me))


def mute_all(case: Case, command: c.MuteAll) -> None:
    """All speakers; host and co-hosts not."""
    mute_speakers(case, ev.MutedHow.MUTE_ALL)


def ask_unmute(case: Case, command: c.AskUnmute) -> None:
    """Asks; that is all that one can do about another's closed mic."""
    seat = case.state.seat_of(command.account)
    if seat is not None and seat.muted:
        case.emit(ev.AskedToUnmute(account=command.account, by=case.me))


ROWS: Table = dict(
    (
        row(c.Unmute, "H C S", (LIVE,), participant_not_in_space, mic_closed, makes=outcomes(ev.Unmuted)),
        row(
            c.Mute,
            "H C S",
            (LIVE,),
            target_not_on_stage,
            speakers_mute_themselves,
            target_outranks,
            makes=outcomes((ev.Muted, ev.MutedHow.SELF, ev.MutedHow.BY_HOST)),
        ),
        row(c.MuteAll, "H C", (LIVE,), makes=outcomes((ev.Muted, ev.MutedHow.MUTE_ALL))),
        row(c.AskUnmute, "H C", (LIVE,), target_self, target_not_on_stage, makes=outcomes(ev.AskedToUnmute)),
    )
)
