"""What is due later, as a function of the state. A timer that has become needless is no longer in the answer."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.commands import SpaceCommand
from spaces_ctl.model import Status
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention
from spaces_ctl.policy.state import Space

__all__ = ["REMINDERS_MS", "Timer", "TimerKind", "audit_due_ms", "replay_due_ms", "timers"]

DAY_MS = 86_400_000

REMINDERS_MS = (DAY_MS, 3_600_000, 600_000, 0)
"""How long before a scheduled start the host is reminded."""


class TimerKind(StrEnum):
    """What a timer is about."""

    REMIND_HOST = "remind_host"
    NO_SHOW = "no_show"
    RESUME = "resume"
    """A resume window: not to be held against people while the service itself was away."""
    HOSTLESS = "hostless"
    """As `RESUME`: the host could not come back meanwhile."""
    INVITE = "invite"
    REPLAY_TTL = "replay_ttl"
    AUDIT_PURGE = "audit_purge"


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be given by the system at its time."""

    key: str
    """Unique in the Space; the same timer keeps its key."""
    kind: TimerKind
    due_ms: int
    command: SpaceCommand


def timers(state: Space, limits: Limits, *, not_before_ms: int = 0) -> tuple[Timer, ...]:
    """All timers of a Space; each command checks once more whether it is due, and does nothing if not.

    `not_before_ms`: resume windows and the wait for a host end no earlier than this. After a restart the service gives
    the time at which everybody has had a chance to come back.
    """
    match state.status:
        case Status.SCHEDULED:
            found = [*_before_start(state, limits), *_invitations(state)]
        case Status.LIVE:
            found = [*_connections(state, not_before_ms), *_invitations(state)]
        case Status.LOBBY:
            found = [*_invitations(state)]
        case Status.ENDED:
            found = [*_kept(state, limits)]
        case Status.NEW | Status.CANCELED:
            found = []
    return tuple(found)


def audit_due_ms(state: Space, limits: Limits) -> int | None:
    """When the review copy is to be deleted; None: nothing is kept, or it is kept as long as the replay."""
    if state.ended_ms is None:
        return None
    match state.retention:
        case Retention.HELD:
            return state.ended_ms + limits.hold_days * DAY_MS
        case Retention.AUDIT:
            replayable = state.replay.status in (ReplayStatus.PROCESSING, ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)
            return None if replayable else state.ended_ms + limits.audit_days * DAY_MS
        case Retention.NONE | Retention.PURGED:
            return None


def replay_due_ms(state: Space, limits: Limits) -> int | None:
    """When the replay is to be deleted; None: there is none, or it is kept."""
    playable = state.replay.status in (ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)
    if limits.replay_ttl_days is None or state.replay.available_ms is None or not playable:
        return None
    return state.replay.available_ms + limits.replay_ttl_days * DAY_MS


def _before_start(state: Space, limits: Limits) -> Iterator[Timer]:
    start_ms = state.scheduled_start_ms
    if start_ms is None:
        return
    for before_ms in REMINDERS_MS:
        due_ms = start_ms - before_ms
        if before_ms not in state.reminded and due_ms > state.schedule_set_ms:
            yield Timer(
                key=f"remind:{before_ms}",
                kind=TimerKind.REMIND_HOST,
                due_ms=due_ms,
                command=c.RemindHost(before_ms=before_ms),
            )
    yield Timer(key="no_show", kind=TimerKind.NO_SHOW, due_ms=start_ms + limits.no_show_ms, command=c.Expire())


def _connections(state: Space, not_before_ms: int) -> Iterator[Timer]:
    for account, until_ms in state.away_until.items():
        yield Timer(
            key=f"resume:{account}",
            kind=TimerKind.RESUME,
            due_ms=max(until_ms, not_before_ms),
            command=c.ResumeExpired(account=account),
        )
    if state.hostless_until_ms is not None:
        yield Timer(
            key="hostless",
            kind=TimerKind.HOSTLESS,
            due_ms=max(state.hostless_until_ms, not_before_ms),
            command=c.HostlessExpired(),
        )


def _invitations(state: Space) -> Iterator[Timer]:
    for account, invitation in state.invites.items():
        if invitation.expires_ms is not None:
            yield Timer(
                key=f"invite:{account}",
                kind=TimerKind.INVITE,
                due_ms=invitation.expires_ms,
                command=c.InviteExpired(account=account),
            )


def _kept(state: Space, limits: Limits) -> Iterator[Timer]:
    replay_ms = replay_due_ms(state, limits)
    if replay_ms is not None:
        yield Timer(key="replay_ttl", kind=TimerKind.REPLAY_TTL, due_ms=replay_ms, command=c.ReplayTtl())
    audit_ms = audit_due_ms(state, limits)
    if audit_ms is not None:
        yield Timer(key="audit_purge", kind=TimerKind.AUDIT_PURGE, due_ms=audit_ms, command=c.PurgeAudit())
