"""What is due when, and that it is due no more when it is done."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.policy import PRESETS, Limits, Timer, TimerKind, timers
from tests.policy.scenes import HOST, cohost, drops, ended, live, lobby, speaker
from tests.policy.world import T0, World

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def due(world: World, kind: TimerKind) -> list[int]:
    return [timer.due_ms for timer in timers(world.state, world.limits) if timer.kind is kind]


def test_the_host_is_reminded_a_day_an_hour_ten_minutes_before_and_at_the_start() -> None:
    start = T0 + 3 * DAY
    world = lobby(scheduled_start_ms=start)
    assert due(world, TimerKind.REMIND_HOST) == [start - DAY, start - HOUR, start - 10 * MINUTE, start]
    assert due(world, TimerKind.NO_SHOW) == [start + DAY]
    world.wait(3 * DAY)
    assert world.seen.caused[ev.HostReminded, None] == 4
    assert due(world, TimerKind.REMIND_HOST) == []


def test_reminders_that_would_have_been_before_the_space_was_scheduled_are_not_sent() -> None:
    world = lobby(scheduled_start_ms=T0 + 30 * MINUTE)
    assert due(world, TimerKind.REMIND_HOST) == [T0 + 20 * MINUTE, T0 + 30 * MINUTE]


def test_moving_the_start_moves_the_reminders_and_sends_them_anew() -> None:
    world = lobby(scheduled_start_ms=T0 + 2 * HOUR)
    world.wait(HOUR)
    assert world.seen.caused[ev.HostReminded, None] == 1
    world.ok(c.Edit(scheduled_start_ms=T0 + 3 * HOUR), HOST)
    start = T0 + 3 * HOUR
    assert due(world, TimerKind.REMIND_HOST) == [start - HOUR, start - 10 * MINUTE, start]
    assert world.ok(c.RemindHost(before_ms=0)) == (), "a timer that fires for the former time"


def test_nothing_is_due_once_it_started_or_was_canceled() -> None:
    world = lobby(scheduled_start_ms=T0 + HOUR)
    world.ok(c.Start(), HOST)
    assert timers(world.state, world.limits) == ()
    world = lobby(scheduled_start_ms=T0 + HOUR)
    world.ok(c.Cancel(), HOST)
    assert timers(world.state, world.limits) == ()


def test_resume_windows_and_the_wait_for_a_host() -> None:
    world = live()
    speaker(world, 2)
    world.go(2, lost=True)
    assert timers(world.state, world.limits) == (
        Timer(key="resume:2", kind=TimerKind.RESUME, due_ms=T0 + 30_000, command=c.ResumeExpired(account=2)),
    )
    drops(world, HOST)
    assert due(world, TimerKind.HOSTLESS) == [T0 + 30_000 + 300_000]


def test_after_a_restart_nobody_is_demoted_before_they_could_come_back() -> None:
    world = live()
    speaker(world, 2)
    world.go(2, lost=True)
    world.go(HOST)
    boot = T0 + HOUR
    found = timers(world.state, world.limits, not_before_ms=boot + MINUTE)
    assert {timer.kind: timer.due_ms for timer in found} == {
        TimerKind.RESUME: boot + MINUTE,
        TimerKind.HOSTLESS: boot + MINUTE,
    }


def test_every_timer_has_a_key_of_its_own() -> None:
    world = live(people=9)
    cohost(world, 2)
    for account in range(3, 8):
        world.ok(c.Invite(account=account), HOST)
        world.go(account, lost=True)
    world.go(2, lost=True)
    found = timers(world.state, world.limits)
    assert len({timer.key for timer in found}) == len(found) == 6


@pytest.mark.parametrize(("preset", "days"), [("x13", []), ("replay30", [30])])
def test_replays_last_as_long_as_the_preset_says(preset: str, days: list[int]) -> None:
    world = ended(PRESETS[preset])
    assert due(world, TimerKind.REPLAY_TTL) == [world.now + day * DAY for day in days]


def test_the_review_copy_lasts_30_days_and_120_after_a_violation() -> None:
    world = ended(record=False, ready=False)
    assert due(world, TimerKind.AUDIT_PURGE) == [world.now + 30 * DAY]
    world.moderators.add(8)
    world.ok(c.MarkViolation(), 8)
    assert due(world, TimerKind.AUDIT_PURGE) == [world.now + 120 * DAY]
    world.ok(c.ClearViolation(), 8)
    assert due(world, TimerKind.AUDIT_PURGE) == [world.now + 30 * DAY]


@pytest.mark.parametrize(
    "command", [c.Expire(), c.RemindHost(before_ms=0), c.PurgeAudit(), c.ReplayTtl(), c.HostlessExpired()], ids=repr
)
def test_timers_are_the_systems(command: c.SpaceCommand) -> None:
    for world in (lobby(scheduled_start_ms=T0 + HOUR), ended(Limits()), live()):
        assert world.refused(command, HOST) in (
            "role.forbidden",
            *(f"state.{s}" for s in ("scheduled", "live", "ended")),
        )
