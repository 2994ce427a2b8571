"""The host's switches. POLICY section 3, "Settings", and the choice to record."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Status
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.guards import ENDED, LIVE, OPEN
from spaces_ctl.policy.leaving import close_request


@refuses("record.frozen")
def record_frozen(case: Case, command: c.SetRecord) -> bool:
    """Recording is chosen before the start; everybody who came in was told."""
    return case.state.status is Status.LIVE


def set_speak(case: Case, command: c.SetSpeak) -> None:
    """Holds for this Space only."""
    if command.speak is not case.state.speak:
        case.emit(ev.SettingChanged(speak=command.speak))


def set_requests(case: Case, command: c.SetRequests) -> None:
    """Closing sends everybody in the queue away."""
    if command.open == case.state.requests_open:
        return
    case.emit(ev.SettingChanged(requests_open=command.open))
    if not command.open:
        for account in case.state.requests:
            close_request(case, account, ev.RequestClosedHow.CLOSED)


def set_mic_access(case: Case, command: c.SetMicAccess) -> None:
    """Closing mutes the speakers; host and co-hosts may speak regardless."""
    if command.open == case.state.mic_open:
        return
    case.emit(ev.SettingChanged(mic_open=command.open))
    if not command.open:
        mute_speakers(case, ev.MutedHow.MIC_CLOSED)


def mute_speakers(case: Case, how: ev.MutedHow) -> None:
    """All who are on stage as speakers and not muted."""
    speakers = set(case.state.speakers)
    for seat in case.state.stage:
        if seat.account in speakers and not seat.muted:
            case.emit(ev.Muted(account=seat.account, how=how, by=case.me))


def set_clips(case: Case, command: c.SetClips) -> None:
    """For the future; clips that were made stay."""
    if command.on != case.state.clips_on:
        case.emit(ev.SettingChanged(clips=command.on))


def set_captions(case: Case, command: c.SetCaptions) -> None:
    """Of those who consent."""
    if command.on != case.state.captions_on:
        case.emit(ev.SettingChanged(captions=command.on))


def set_record(case: Case, command: c.SetRecord) -> None:
    """Before the start only."""
    if command.on != case.state.record:
        case.emit(ev.SettingChanged(record=command.on))


_CHANGED = outcomes(ev.SettingChanged)

ROWS: Table = dict(
    (
        row(c.SetSpeak, "H", OPEN, makes=_CHANGED),
        row(
            c.SetRequests,
            "H",
            OPEN,
            makes=_CHANGED | outcomes((ev.RequestClosed, ev.RequestClosedHow.CLOSED)),
        ),
        row(c.SetMicAccess, "H C", (LIVE,), makes=_CHANGED | outcomes((ev.Muted, ev.MutedHow.MIC_CLOSED))),
        row(c.SetClips, "H", OPEN, makes=_CHANGED),
        row(c.SetCaptions, "H", (*OPEN, ENDED), makes=_CHANGED),
        row(c.SetRecord, "H", OPEN, record_frozen, makes=_CHANGED),
    )
)
