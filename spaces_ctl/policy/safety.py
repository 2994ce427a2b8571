"""Putting people out, blocks, bans, reports, violations. POLICY section 3, "Safety"."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Role, Status
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    ENDED,
    LIVE,
    OPEN,
    ask_blocked_by_host,
    participant_outside_live,
    target_is_creator,
    target_is_host,
    target_outranks,
    target_self,
)
from spaces_ctl.policy.leaving import (
    EXPOSED,
    Why,
    ask_succession,
    close_invitation,
    expose,
    lose_place,
    lost_place,
    put_out,
)
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention
from spaces_ctl.policy.seats import spared_by
from spaces_ctl.policy.state import Space

_REPLAYABLE = (ReplayStatus.PROCESSING, ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)


def ask_targets_succession(state: Space, command: c.LiveBanned, me: AccountId) -> Needs:
    """Whom the next host blocks, if the one steps down whom the command names."""
    return ask_succession(state, command.account)


def ask_reports(state: Space, command: object, me: AccountId) -> Needs:
    """How much the reporter has reported of late."""
    return Needs(reports=me)


# Guards


@refuses("target.not_removed")
def target_not_removed(case: Case, command: c.Readmit) -> bool:
    """Nothing bars them."""
    return command.account not in case.state.removed


@refuses("report.reason_required")
def report_reason_required(case: Case, command: c.ReportSpace | c.ReportAccount | c.ReportClip) -> bool:
    """One of `Limits.report_reasons`."""
    return command.reason not in case.limits.report_reasons


@refuses("rate.limited", ask_reports)
def too_many_reports(case: Case, command: object) -> bool:
    """`Limits.reports_an_hour` by one account, in all Spaces."""
    return case.facts.reports_lately >= case.limits.reports_an_hour


@refuses("state.ended")
def review_over(case: Case, command: object) -> bool:
    """There is nothing left that a moderator could look at: neither a review copy nor a replay."""
    state = case.state
    kept = state.retention in (Retention.AUDIT, Retention.HELD) or state.replay.status in _REPLAYABLE
    return state.status is ENDED and not kept


@refuses("clip.not_found")
def clip_not_found(case: Case, command: c.ReportClip | c.DeleteClip) -> bool:
    """Never was, or was deleted."""
    return command.clip not in case.state.clips


# Handlers


def remove(case: Case, command: c.Remove) -> None:
    """Out, and barred unless the caller or the deployment allows to rejoin. Saying it twice changes nothing."""
    account = command.account
    allow = not case.limits.removal_bars_rejoin if command.allow_rejoin is None else command.allow_rejoin
    if account in case.state.removed and account not in case.state.here:
        return
    how = ev.RemovedHow.MODERATOR if case.role is Role.MODERATOR else ev.RemovedHow.REMOVED
    put_out(case, account, how, bar=not allow)


def readmit(case: Case, command: c.Readmit) -> None:
    """May come in again, as a listener."""
    case.emit(ev.Readmitted(account=command.account))


def blocked(case: Case, command: c.Blocked) -> None:
    """The account is blocked everywhere already; here it has effect if a host or co-host did it.

    A co-host's block of host or co-hosts, and anybody's of the creator, concerns accounts only. Who listens unnamed or
    unwatched is put out by the deny set alone.
    """
    state, account = case.state, command.account
    if state.status is not Status.LIVE or case.role not in (Role.HOST, Role.COHOST) or account == case.me:
        return
    if account in spared_by(state, case.me):
        return
    if account in state.here or case.known(account).present:
        put_out(case, account, ev.RemovedHow.BLOCKED, bar=False)
    else:
        close_invitation(case, account, ev.InviteClosedHow.BLOCKED)


def live_banned(case: Case, command: c.LiveBanned) -> None:
    """Off the stage and out of the queues; they may listen. A Space that is not live they keep, but cannot start."""
    account = command.account
    close_invitation(case, account, ev.InviteClosedHow.LIVE_BANNED)
    if case.state.status is not Status.LIVE:
        return
    lose_place(case, account, Why.LIVE_BANNED)
    if account in case.state.here:
        expose(case, account)


def report_space(case: Case, command: c.ReportSpace) -> None:
    """To the moderators."""
    case.emit(ev.Reported(by=case.me, reason=command.reason, detail=command.detail))


def report_account(case: Case, command: c.ReportAccount) -> None:
    """To the moderators."""
    case.emit(ev.Reported(by=case.me, reason=command.reason, detail=command.detail, account=command.account))


def report_clip(case: Case, command: c.ReportClip) -> None:
    """To the moderators."""
    case.emit(ev.Reported(by=case.me, reason=command.reason, detail=command.detail, clip=command.clip))


def mark_violation(case: Case, command: c.MarkViolation) -> None:
    """Kept longer, and the replay is withheld."""
    if not case.state.violation:
        case.emit(ev.ViolationFound(note=command.note))


def clear_violation(case: Case, command: c.ClearViolation) -> None:
    """An appeal was right."""
    if case.state.violation:
        case.emit(ev.ViolationCleared())


_REPORTED = outcomes(ev.Reported)
_PUT_OUT = outcomes(
    (ev.SpeakerRemoved, ev.SeatLostHow.REMOVED),
    (ev.CohostRemoved, ev.CohostLostHow.REMOVED),
    (ev.RequestClosed, ev.RequestClosedHow.REMOVED),
    (ev.InviteClosed, ev.InviteClosedHow.REMOVED),
    ev.DenySetDetached,
)

ROWS: Table = dict(
    (
        row(
            c.Remove,
            "H C M",
            (LIVE,),
            target_self,
            target_is_host,
            target_is_creator,
            target_outranks,
            makes=_PUT_OUT | outcomes((ev.Removed, ev.RemovedHow.REMOVED, ev.RemovedHow.MODERATOR)),
        ),
        row(c.Readmit, "H C M", (LIVE,), target_not_removed, makes=outcomes(ev.Readmitted)),
        row(
            c.Blocked,
            "H C S L A G O M Y",
            (*OPEN, ENDED, Status.CANCELED),
            makes=lost_place(Why.BLOCKED, host=False)
            | outcomes((ev.Removed, ev.RemovedHow.BLOCKED), (ev.InviteClosed, ev.InviteClosedHow.BLOCKED)),
        ),
        row(
            c.LiveBanned,
            "M Y",
            OPEN,
            makes=lost_place(Why.LIVE_BANNED) | EXPOSED | outcomes((ev.InviteClosed, ev.InviteClosedHow.LIVE_BANNED)),
            asks=(ask_targets_succession, ask_blocked_by_host),
        ),
        row(
            c.ReportSpace,
            "H C S L A O",
            (LIVE, ENDED),
            participant_outside_live,
            review_over,
            report_reason_required,
            too_many_reports,
            makes=_REPORTED,
        ),
        row(
            c.ReportAccount,
            "H C S L A O",
            (LIVE, ENDED),
            participant_outside_live,
            review_over,
            report_reason_required,
            target_self,
            too_many_reports,
            makes=_REPORTED,
        ),
        row(
            c.ReportClip,
            "H C S L A O",
            (LIVE, ENDED),
            clip_not_found,
            report_reason_required,
            too_many_reports,
            makes=_REPORTED,
        ),
        row(c.MarkViolation, "M", (LIVE, ENDED), makes=outcomes(ev.ViolationFound)),
        row(c.ClearViolation, "M", (LIVE, ENDED), makes=outcomes(ev.ViolationCleared)),
    )
)
