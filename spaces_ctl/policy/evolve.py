"""What each event makes of a Space. Pure and total: any event in any state gives a state, and nothing is looked up."""

from __future__ import annotations

from typing import Any, assert_never

from msgspec.structs import replace

from spaces_ctl import events as ev
from spaces_ctl.model import Status
from spaces_ctl.policy import fold_stage as stage
from spaces_ctl.policy.lifecycle import LifeStep, next_status
from spaces_ctl.policy.replay import ReplayStatus, ReplayStep, next_replay
from spaces_ctl.policy.retention import RetentionStep, next_retention
from spaces_ctl.policy.state import ClipInfo, Poll, Replay, Space

__all__ = ["evolve"]

Changes = dict[str, Any]


def evolve(state: Space, event: ev.SpaceEvent, at_ms: int) -> Space:
    """The state after an event that happened at `at_ms` (milliseconds since 1970)."""
    changes = _changes(state, event, at_ms)
    return replace(state, version=state.version + 1, updated_ms=at_ms, **changes)


def _changes(state: Space, event: ev.SpaceEvent, at_ms: int) -> Changes:
    """Which fields change."""
    match event:
        # life
        case ev.Created():
            return _created(event, at_ms)
        case ev.Edited():
            return _edited(state, event, at_ms)
        case ev.Canceled():
            return {"status": next_status(state.status, LifeStep.CANCEL), **stage.NOBODY, "admin": state.admin}
        case ev.Started():
            replay = _replay(state, ReplayStep.RECORD) if event.record else {}
            status = next_status(state.status, LifeStep.START)
            return {"status": status, "started_ms": at_ms, "record": event.record, **replay}
        case ev.Ended():
            return _ended(state, event, at_ms)
        case ev.HostReminded():
            return {"reminded": state.reminded | {event.before_ms}}
        case ev.SettingChanged():
            return _settings(event)
        # in and out, the stage, safety
        case ev.Joined():
            return {"here": state.here | {event.account}}
        case ev.Left():
            return stage.gone(state, event.account)
        case ev.Away():
            return stage.away(state, event.account, event.until_ms)
        case ev.Back():
            return stage.back(state, event.account)
        case ev.Requested():
            requests = {**state.requests, event.account: at_ms}
            here = state.here | {event.account}
            return {"requests": requests, "here": here, "requests_made": state.requests_made + 1}
        case ev.RequestClosed():
            return {"requests": stage.without(state.requests, event.account)}
        case ev.Invited():
            return stage.invited(state, event, at_ms)
        case ev.InviteClosed():
            return stage.invite_closed(state, event)
        case ev.SpeakerAdded():
            return stage.speaker_added(state, event, at_ms)
        case ev.SpeakerRemoved():
            return stage.speaker_removed(state, event)
        case ev.CohostAdded():
            return stage.cohost_added(state, event, at_ms)
        case ev.CohostRemoved():
            return stage.cohost_removed(state, event)
        case ev.AdminChanged():
            return stage.admin_changed(state, event, at_ms)
        case ev.Muted():
            by = event.by if event.by != event.account else None
            return stage.seat_changed(state, event.account, muted=True, muted_by=by)
        case ev.Unmuted():
            return stage.seat_changed(state, event.account, muted=False, muted_by=None)
        case ev.AskedToUnmute() | ev.ReplayPosted() | ev.ExportRequested():
            return {}
        case ev.Removed():
            return stage.removed(state, event)
        case ev.Readmitted():
            return {"removed": state.removed - {event.account}}
        case ev.DenySetAttached():
            return {"deny_owners": (*(o for o in state.deny_owners if o != event.owner), event.owner)}
        case ev.DenySetDetached():
            return {"deny_owners": tuple(owner for owner in state.deny_owners if owner != event.owner)}
        case ev.Reported():
            over = state.status is Status.ENDED
            kept = next_retention(state.retention, RetentionStep.KEEP) if over else state.retention
            return {"reported": True, "retention": kept}
        case ev.ViolationFound():
            held = next_retention(state.retention, RetentionStep.VIOLATION)
            return {"violation": True, "retention": held, **_replay(state, ReplayStep.VIOLATION)}
        case ev.ViolationCleared():
            kept = next_retention(state.retention, RetentionStep.CLEARED)
            return {"violation": False, "retention": kept, **_replay(state, ReplayStep.CLEARED)}
        # talk
        case ev.PostShared():
            return {"posts": {**state.posts, event.post: event.by}}
        case ev.PostUnshared():
            return {"posts": stage.without(state.posts, event.post)}
        case ev.PollOpened():
            poll = Poll(question=event.question, options=event.options, votes=(0,) * len(event.options), by=event.by)
            return {"polls": {**state.polls, event.poll: poll}}
        case ev.PollVoted():
            return _voted(state, event)
        case ev.PollClosed():
            open_poll = state.polls.get(event.poll)
            return {} if open_poll is None else _poll(state, event.poll, replace(open_poll, closed=True))
        case ev.ConsentChanged():
            if event.on:
                return {"consented": state.consented | {event.account}}
            return {"consented": state.consented - {event.account}}
        # record
        case ev.RecordingStopped():
            return {"recording_stopped": True, **_replay(state, ReplayStep.STOP)}
        case ev.ReplayReady():
            return _replay_ready(state, event, at_ms)
        case ev.ReplayTrimmed():
            return {"replay": replace(state.replay, start_ms=event.start_ms)}
        case ev.ReplayDeleted() | ev.ReplayExpired():
            return _replay(state, ReplayStep.DELETE)
        case ev.ClipCreated():
            clip = ClipInfo(
                by=event.by, start_ms=event.start_ms, end_ms=event.end_ms, comment=event.comment, created_ms=at_ms
            )
            return {"clips": {**state.clips, event.clip: clip}, "clips_made": max(state.clips_made, event.clip)}
        case ev.ClipDeleted():
            return {"clips": stage.without(state.clips, event.clip)}
        # around
        case ev.Subscribed():
            return {"subscribers": state.subscribers + 1}
        case ev.Unsubscribed():
            return {"subscribers": max(0, state.subscribers - 1)}
        case ev.TicketBought():
            return {"tickets": state.tickets + 1}
        case ev.TicketRefunded():
            return {"tickets": max(0, state.tickets - 1)}
        case ev.AuditPurged():
            held_over = _replay(state, ReplayStep.PURGE) if state.violation else {}
            return {"retention": next_retention(state.retention, RetentionStep.PURGE), **held_over}
        case _:
            assert_never(event)


def _created(event: ev.Created, at_ms: int) -> Changes:
    step = LifeStep.CREATE if event.scheduled_start_ms is None else LifeStep.SCHEDULE
    return {
        "status": next_status(Space().status, step),
        "creator": event.creator,
        "admin": event.creator,
        **stage.host_alone(event.creator, at_ms),
        "created_ms": at_ms,
        "schedule_set_ms": at_ms,
        "title": event.title,
        "description": event.description,
        "topics": event.topics,
        "lang": event.lang,
        "record": event.record,
        "speak": event.speak,
        "requests_open": event.requests_open,
        "clips_on": event.clips,
        "captions_on": event.captions,
        "ticketing": event.ticketing,
        "community": event.community,
        "scheduled_start_ms": event.scheduled_start_ms,
    }


def _edited(state: Space, event: ev.Edited, at_ms: int) -> Changes:
    given = {"title": event.title, "description": event.description, "topics": event.topics}
    changes: Changes = {field: value for field, value in given.items() if value is not None}
    if event.scheduled_start_ms is not None and event.scheduled_start_ms != state.scheduled_start_ms:
        changes |= {
            "scheduled_start_ms": event.scheduled_start_ms,
            "schedule_set_ms": at_ms,
            "reminded": frozenset(),
        }
    return changes


def _settings(event: ev.SettingChanged) -> Changes:
    given = {
        "speak": event.speak,
        "requests_open": event.requests_open,
        "mic_open": event.mic_open,
        "clips_on": event.clips,
        "captions_on": event.captions,
        "record": event.record,
    }
    return {field: value for field, value in given.items() if value is not None}


def _ended(state: Space, event: ev.Ended, at_ms: int) -> Changes:
    retention = state.retention
    if event.audit:
        retention = next_retention(retention, RetentionStep.KEEP)
    if state.violation:
        retention = next_retention(retention, RetentionStep.VIOLATION)
    return {
        "status": next_status(state.status, LifeStep.END),
        "ended_ms": at_ms,
        "hosts_at_end": state.hosts,
        **stage.NOBODY,
        "retention": retention,
        **_replay(state, ReplayStep.STOP),
    }


def _replay(state: Space, step: ReplayStep) -> Changes:
    return {"replay": replace(state.replay, status=next_replay(state.replay.status, step))}


def _replay_ready(state: Space, event: ev.ReplayReady, at_ms: int) -> Changes:
    status = next_replay(state.replay.status, ReplayStep.READY)
    if status is not ReplayStatus.AVAILABLE:
        return {}
    if state.violation:
        status = next_replay(status, ReplayStep.VIOLATION)
    return {"replay": Replay(status=status, duration_ms=event.duration_ms, available_ms=at_ms)}


def _voted(state: Space, event: ev.PollVoted) -> Changes:
    poll = state.polls.get(event.poll)
    if poll is None or not 0 <= event.option < len(poll.votes):
        return {}
    votes = tuple(count + (index == event.option) for index, count in enumerate(poll.votes))
    return _poll(state, event.poll, replace(poll, votes=votes))


def _poll(state: Space, number: int, poll: Poll) -> Changes:
    return {"polls": {**state.polls, number: poll}}
