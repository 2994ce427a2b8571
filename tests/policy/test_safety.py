"""Removing, blocks, bans, reports, violations: examples of the rows, and of the contradictions that they settle."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.policy import PRESETS, Limits
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention
from tests.policy.scenes import HOST, cohost, drops, ended, live, lobby, speaker

DAY = 86_400_000


def test_remove_is_refused_in_the_catalogues_order() -> None:
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    assert world.refused(c.Remove(account=HOST), HOST) == "target.self"
    assert world.refused(c.Remove(account=HOST), 2) == "target.is_host"
    assert world.refused(c.Remove(account=3), 2) == "target.outranks"
    world.ok(c.Transfer(account=2), HOST)
    assert world.refused(c.Remove(account=HOST), 2) == "target.is_creator"
    world.ok(c.Remove(account=3), 2)
    assert world.refused(c.Remove(account=2), 4) == "role.forbidden"


def test_removed_people_cannot_rejoin_until_readmitted() -> None:
    """Contradiction 8: removing bars this Space and blocks nothing."""
    world = live()
    speaker(world, 2)
    assert world.ok(c.Remove(account=2), HOST) == (
        ev.SpeakerRemoved(account=2, how=ev.SeatLostHow.REMOVED),
        ev.Removed(account=2, how=ev.RemovedHow.REMOVED, bar=True),
    )
    assert world.refused(c.Join(), 2) == "participant.removed"
    assert world.ok(c.Remove(account=2), HOST) == (), "saying it twice changes nothing"
    world.ok(c.Readmit(account=2), HOST)
    assert world.refused(c.Readmit(account=2), HOST) == "target.not_removed"
    assert world.come(2)
    assert world.refused(c.TakeMic(), 2) == "stage.not_invited"


def test_rejoining_may_be_allowed_by_the_caller_or_by_the_deployment() -> None:
    world = live()
    world.ok(c.Remove(account=2, allow_rejoin=True), HOST)
    assert world.come(2)
    world = live(PRESETS["allow_rejoin_after_removal"])
    world.ok(c.Remove(account=2), HOST)
    assert world.come(2)
    world.ok(c.Remove(account=2, allow_rejoin=False), HOST)
    assert not world.come(2)


def test_a_removed_cohost_takes_their_block_list_along() -> None:
    world = live()
    cohost(world, 2)
    world.ok(c.Remove(account=2), HOST)
    assert world.state.deny_owners == (HOST,)


def test_a_moderator_removes_without_being_there() -> None:
    world = live()
    world.moderators.add(8)
    cohost(world, 2)
    assert world.ok(c.Remove(account=2), 8)[-1] == ev.Removed(account=2, how=ev.RemovedHow.MODERATOR, bar=True)
    world.ok(c.Readmit(account=2), 8)
    assert world.refused(c.Remove(account=HOST), 8) == "target.is_host"


def test_a_moderator_acts_in_their_own_role_where_that_is_enough() -> None:
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    world.moderators.add(2)
    assert world.refused(c.Remove(account=3), 2) == "target.outranks"
    assert world.ok(c.Remove(account=4), 2)[-1] == ev.Removed(account=4, how=ev.RemovedHow.REMOVED, bar=True)


# blocks


@pytest.mark.parametrize("blocker", [HOST, 2])
def test_a_block_by_host_or_cohost_puts_out(blocker: int) -> None:
    """Contradiction 9."""
    world = live()
    cohost(world, 2)
    speaker(world, 3)
    world.ok(c.Request(), 4)
    for account in (3, 4, 5):
        world.block(blocker, account)
        assert account not in world.present
        assert world.refused(c.Join(), account) == "participant.blocked_by_host"
    assert not world.state.removed
    world.check()


def test_a_block_by_anybody_else_concerns_accounts_only() -> None:
    world = live()
    speaker(world, 2)
    speaker(world, 3)
    version = world.state.version
    world.block(2, 3)
    world.block(4, 3)
    assert world.state.version == version


def test_a_cohosts_block_of_host_or_cohost_concerns_accounts_only_the_hosts_removes() -> None:
    """Contradiction 10."""
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    version = world.state.version
    world.block(2, 3)
    world.block(2, HOST)
    assert world.state.version == version
    world.block(HOST, 3)
    assert world.state.cohosts == (2,)


def test_an_interim_admin_cannot_keep_the_creator_out() -> None:
    world = live()
    cohost(world, 2)
    drops(world, HOST)
    world.block(2, HOST)
    assert world.come(HOST)
    assert world.state.admin == HOST


def test_a_succeeding_host_puts_out_the_cohost_they_blocked() -> None:
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    world.block(2, 3)
    drops(world, HOST)
    assert world.state.admin == 2
    assert not world.state.cohosts
    world.check()


def test_an_anonymous_listener_is_put_out_without_being_named() -> None:
    world = live(people=1)
    world.come(7, anonymous=True)
    version = world.state.version
    world.block(HOST, 7)
    assert 7 not in world.anonymous
    assert world.state.version == version


def test_a_block_closes_an_invitation() -> None:
    world = live(people=1)
    world.ok(c.Invite(account=9), HOST)
    world.block(HOST, 9)
    assert not world.state.invites
    assert world.seen.caused[ev.InviteClosed, ev.InviteClosedHow.BLOCKED] == 1


def test_blocks_are_nothing_to_a_space_that_is_not_live() -> None:
    for world in (lobby(), ended()):
        assert world.ok(c.Blocked(account=2), HOST) == ()


# bans


def test_a_banned_speaker_steps_down_and_may_listen() -> None:
    world = live()
    speaker(world, 2)
    world.ban(2)
    assert world.state.seat_of(2) is None
    assert 2 in world.present
    assert world.refused(c.Request(), 2) == "account.live_banned"
    assert world.refused(c.TakeMic(), 2) == "account.live_banned"


def test_a_banned_host_steps_down_and_the_seat_is_not_kept() -> None:
    world = live()
    cohost(world, 2)
    world.ban(HOST)
    assert world.state.admin == 2
    assert world.state.reserved is None
    assert HOST in world.present
    world.check()


def test_a_ban_closes_requests_and_invitations() -> None:
    world = live()
    world.ok(c.Request(), 2)
    world.ok(c.Invite(account=3), HOST)
    world.ban(2)
    world.ban(3)
    assert not world.state.requests
    assert not world.state.invites


def test_a_banned_creator_keeps_a_scheduled_space_but_cannot_start() -> None:
    world = lobby()
    world.ban(HOST)
    assert world.state.admin == HOST
    assert world.refused(c.Start(), HOST) == "account.live_banned"


def test_only_moderators_and_the_platform_tell_of_bans() -> None:
    assert live().refused(c.LiveBanned(account=2), HOST) == "role.forbidden"


# reports and violations


@pytest.mark.parametrize(
    "command", [c.ReportSpace(reason="abuse"), c.ReportAccount(account=3, reason="abuse")], ids=["space", "account"]
)
def test_anybody_inside_reports_with_a_reason(command: c.SpaceCommand) -> None:
    world = live(people=2)
    world.come(7, anonymous=True)
    for account in (HOST, 2, 7):
        world.ok(command, account)
    assert world.refused(command, 9) == "participant.not_in_space"
    assert world.refused(command, None) == "role.forbidden"


def test_reports_need_one_of_the_reasons_and_another_account() -> None:
    world = live()
    assert world.refused(c.ReportSpace(reason=""), 2) == "report.reason_required"
    assert world.refused(c.ReportAccount(account=3, reason="x"), 2) == "report.reason_required"
    assert world.refused(c.ReportAccount(account=2, reason="abuse"), 2) == "target.self"


def test_so_many_reports_an_hour_and_no_more() -> None:
    world = live(Limits(reports_an_hour=2))
    for account in (3, 4):
        world.ok(c.ReportAccount(account=account, reason="abuse"), 2)
    assert world.refused(c.ReportSpace(reason="abuse"), 2) == "rate.limited"
    world.ok(c.ReportSpace(reason="abuse"), 3)
    world.wait(3_600_000)
    world.ok(c.ReportSpace(reason="abuse"), 2)


def test_reports_reach_back_as_far_as_the_review_copy() -> None:
    world = ended(record=False, ready=False)
    world.wait(29 * DAY)
    world.ok(c.ReportSpace(reason="abuse"), 2)
    world.wait(2 * DAY)
    assert world.refused(c.ReportSpace(reason="abuse"), 2) == "state.ended"


def test_clips_are_reported_by_any_account() -> None:
    world = live()
    assert world.refused(c.ReportClip(clip=1, reason="abuse"), 9) == "clip.not_found"
    world.wait(1_000)
    world.ok(c.Clip(end_ms=1_000), 2)
    assert world.refused(c.ReportClip(clip=1, reason=""), 9) == "report.reason_required"
    world.ok(c.ReportClip(clip=1, reason="abuse"), 9)


def test_a_violation_holds_the_copy_and_withholds_the_replay_until_cleared() -> None:
    world = ended()
    world.moderators.add(8)
    assert world.refused(c.MarkViolation(), HOST) == "role.forbidden"
    world.ok(c.MarkViolation(note="x"), 8)
    assert world.ok(c.MarkViolation(), 8) == ()
    assert (world.state.retention, world.state.replay.status) == (Retention.HELD, ReplayStatus.WITHHELD)
    assert world.refused(c.PlayReplay(), 2) == "replay.withheld"
    world.ok(c.ClearViolation(), 8)
    assert world.ok(c.ClearViolation(), 8) == ()
    assert (world.state.retention, world.state.replay.status) == (Retention.AUDIT, ReplayStatus.AVAILABLE)
    world.ok(c.PlayReplay(), 2)


def test_a_violation_found_live_withholds_the_replay_from_the_first() -> None:
    world = live(record=True)
    world.moderators.add(8)
    world.ok(c.MarkViolation(), 8)
    world.ok(c.End(), HOST)
    world.ok(c.ReplayReady(duration_ms=1))
    assert world.state.replay.status is ReplayStatus.WITHHELD
    assert world.state.retention is Retention.HELD
