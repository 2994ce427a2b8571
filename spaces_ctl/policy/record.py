"""Recording, replay, clips and what is kept for review. POLICY section 3, "Record" and the purges."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Status
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    ENDED,
    LIVE,
    OPEN,
    creator_only,
    participant_outside_live,
    replay_deleted,
    replay_unavailable,
    replay_withheld,
)
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention
from spaces_ctl.policy.safety import clip_not_found
from spaces_ctl.policy.state import Space
from spaces_ctl.policy.timers import audit_due_ms, replay_due_ms

# Guards


@refuses("record.not_recording")
def not_recording(case: Case, command: c.StopRecording) -> bool:
    """Nothing to stop."""
    return case.state.replay.status is not ReplayStatus.RECORDING


@refuses("replay.unavailable")
def replay_not_in_the_making(case: Case, command: c.ReplayReady) -> bool:
    """No recording is being completed."""
    return case.state.replay.status is not ReplayStatus.PROCESSING


@refuses("replay.unavailable")
def replay_never_was(case: Case, command: c.DeleteReplay | c.Export) -> bool:
    """Was not recorded; what is kept for review alone is the moderators'."""
    return case.state.replay.status is ReplayStatus.NONE


@refuses("setting.invalid")
def trim_out_of_range(case: Case, command: c.TrimReplay) -> bool:
    """Something has to be left."""
    return not 0 <= command.start_ms < max(1, case.state.replay.duration_ms)


@refuses("replay.deleted")
def nothing_kept(case: Case, command: c.Export) -> bool:
    """Neither a replay nor a review copy is there any more."""
    state = case.state
    replayable = state.replay.status in (ReplayStatus.PROCESSING, ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)
    return not replayable and state.retention not in (Retention.AUDIT, Retention.HELD)


@refuses("clips.off")
def clips_off(case: Case, command: c.Clip) -> bool:
    """The host does not want any (more)."""
    return not case.state.clips_on


@refuses("clips.not_enabled_for_you")
def clips_not_enabled_for_you(case: Case, command: c.Clip) -> bool:
    """`Limits.clip_cohort_percent` of the accounts may, always the same ones."""
    return _cohort(case.me) >= case.limits.clip_cohort_percent


def _cohort(account: AccountId) -> int:
    """0 to 99, evenly; Fibonacci hashing, as account ids count up."""
    return (account * 0x9E3779B97F4A7C15 & (1 << 64) - 1) * 100 >> 64


@refuses("record.not_recording")
def clips_need_a_recording(case: Case, command: c.Clip) -> bool:
    """A deployment may want it so (`Limits.clip_requires_recording`)."""
    required = case.limits.clip_requires_recording and case.state.status is Status.LIVE
    return required and case.state.replay.status is not ReplayStatus.RECORDING


@refuses("replay.deleted")
def clip_source_deleted(case: Case, command: c.Clip) -> bool:
    """When it is over, clips are made of the replay."""
    return case.state.status is ENDED and replay_deleted.fails(case, command)


@refuses("replay.withheld")
def clip_source_withheld(case: Case, command: c.Clip) -> bool:
    """When it is over, clips are made of the replay."""
    return case.state.status is ENDED and replay_withheld.fails(case, command)


@refuses("replay.unavailable")
def clip_source_unavailable(case: Case, command: c.Clip) -> bool:
    """When it is over, clips are made of the replay."""
    return case.state.status is ENDED and replay_unavailable.fails(case, command)


@refuses("setting.invalid")
def clip_out_of_range(case: Case, command: c.Clip) -> bool:
    """A part of what has been, at most `Limits.clip_ms` long; when it is over, of what is public of it."""
    state = case.state
    if state.status is ENDED:
        # Before the replay's start, and after the recording was stopped, there may be a review copy: nobody's to clip.
        first_ms, last_ms = state.replay.start_ms, state.replay.duration_ms
    else:
        first_ms, last_ms = 0, case.now_ms - (state.started_ms or case.now_ms)
    return not 0 < command.length_ms <= case.limits.clip_ms or not first_ms < command.end_ms <= last_ms


def clip_start_ms(state: Space, command: c.Clip) -> int:
    """Where a clip begins: not before the Space, nor, when that is over, before its replay."""
    return max(state.replay.start_ms if state.status is ENDED else 0, command.end_ms - command.length_ms)


@refuses("role.forbidden")
def clip_of_another(case: Case, command: c.DeleteClip) -> bool:
    """Its author's alone; the host's way is to delete the recording."""
    return case.state.clips[command.clip].by != case.me


def ask_evidence(state: Space, command: object, me: AccountId) -> Needs:
    """Whether a report is not settled yet."""
    return Needs(evidence=True)


@refuses("evidence.held", ask_evidence)
def evidence_held(case: Case, command: c.PurgeAudit) -> bool:
    """It would be time, but the moderators have not settled every report."""
    due_ms = audit_due_ms(case.state, case.limits)
    return case.facts.evidence_needed and due_ms is not None and case.now_ms >= due_ms


# Handlers


def stop_recording(case: Case, command: c.StopRecording) -> None:
    """The rest is not recorded."""
    case.emit(ev.RecordingStopped())


def replay_ready(case: Case, command: c.ReplayReady) -> None:
    """Public from now on, unless a violation was found."""
    case.emit(ev.ReplayReady(duration_ms=max(0, command.duration_ms)))


def trim_replay(case: Case, command: c.TrimReplay) -> None:
    """Begins later."""
    if command.start_ms != case.state.replay.start_ms:
        case.emit(ev.ReplayTrimmed(start_ms=command.start_ms))


def publish_details(case: Case, command: c.PublishDetails) -> None:
    """Posts a card."""
    case.emit(ev.ReplayPosted(text=command.text))


def delete_replay(case: Case, command: c.DeleteReplay) -> None:
    """With all clips. The review copy follows retention."""
    case.emit(ev.ReplayDeleted())
    _delete_clips(case)


def play_replay(case: Case, command: c.PlayReplay) -> None:
    """Counted by the service: never an event."""


def export(case: Case, command: c.Export) -> None:
    """Made and signed elsewhere."""
    case.emit(ev.ExportRequested())


def clip(case: Case, command: c.Clip) -> None:
    """Numbered from 1 in the Space."""
    case.emit(
        ev.ClipCreated(
            clip=case.state.clips_made + 1,
            by=case.me,
            start_ms=clip_start_ms(case.state, command),
            end_ms=command.end_ms,
            comment=command.comment,
        )
    )


def delete_clip(case: Case, command: c.DeleteClip) -> None:
    """By its author."""
    case.emit(ev.ClipDeleted(clip=command.clip, how=ev.ReplayGoneHow.AUTHOR))


def replay_ttl(case: Case, command: c.ReplayTtl) -> None:
    """If its time is over. Clips stay: they are their authors'."""
    due_ms = replay_due_ms(case.state, case.limits)
    if due_ms is not None and case.now_ms >= due_ms:
        case.emit(ev.ReplayExpired())


def purge_audit(case: Case, command: c.PurgeAudit) -> None:
    """If its time is over. After a violation everything goes with it."""
    due_ms = audit_due_ms(case.state, case.limits)
    if due_ms is None or case.now_ms < due_ms:
        return
    held = case.state.retention is Retention.HELD
    case.emit(ev.AuditPurged(after_days=case.limits.hold_days if held else case.limits.audit_days))
    if held:
        _delete_clips(case)


def _delete_clips(case: Case) -> None:
    for number in case.state.clips:
        case.emit(ev.ClipDeleted(clip=number, how=ev.ReplayGoneHow.SPACE))


_REPLAY = (replay_deleted, replay_withheld, replay_unavailable)
_CLIPS_GONE = outcomes((ev.ClipDeleted, ev.ReplayGoneHow.SPACE))

ROWS: Table = dict(
    (
        row(c.StopRecording, "H", (LIVE,), not_recording, makes=outcomes(ev.RecordingStopped)),
        row(c.ReplayReady, "Y", (ENDED,), replay_deleted, replay_not_in_the_making, makes=outcomes(ev.ReplayReady)),
        row(c.TrimReplay, "H", (ENDED,), *_REPLAY, trim_out_of_range, makes=outcomes(ev.ReplayTrimmed)),
        row(c.PublishDetails, "H", (ENDED,), creator_only, *_REPLAY, makes=outcomes(ev.ReplayPosted)),
        row(
            c.DeleteReplay,
            "H",
            (ENDED,),
            creator_only,
            replay_deleted,
            replay_never_was,
            makes=outcomes(ev.ReplayDeleted) | _CLIPS_GONE,
        ),
        row(c.PlayReplay, "H A G O M", (ENDED,), *_REPLAY),
        row(c.Export, "H", (ENDED,), creator_only, replay_never_was, nothing_kept, makes=outcomes(ev.ExportRequested)),
        row(
            c.Clip,
            "H C S L O",
            (LIVE, ENDED),
            participant_outside_live,
            clips_off,
            clips_not_enabled_for_you,
            clips_need_a_recording,
            clip_source_deleted,
            clip_source_withheld,
            clip_source_unavailable,
            clip_out_of_range,
            makes=outcomes(ev.ClipCreated),
        ),
        row(
            c.DeleteClip,
            "H C S L A O",
            (*OPEN, ENDED, Status.CANCELED),
            clip_not_found,
            clip_of_another,
            makes=outcomes((ev.ClipDeleted, ev.ReplayGoneHow.AUTHOR)),
        ),
        row(c.ReplayTtl, "Y", (ENDED,), makes=outcomes(ev.ReplayExpired)),
        row(c.PurgeAudit, "Y", (ENDED,), evidence_held, makes=outcomes(ev.AuditPurged) | _CLIPS_GONE),
    )
)
