"""Joining, leaving, lost connections, succession and the creator's return."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor, Role, StageRole, Status, Ticketing
from spaces_ctl.policy import Limits, role_of, watched
from spaces_ctl.policy.facts import AccountFacts, Facts, Needs
from tests.policy.scenes import HOST, cohost, drops, live, lobby, speaker
from tests.policy.world import T0, World

TICKETS = Ticketing(price_minor=500, currency="EUR", quantity=1)


def role(world: World, account: int) -> Role:
    facts = world.facts(Needs(accounts=frozenset({account})))
    return role_of(world.state, world.actor(account), facts)


def test_join_is_refused_in_the_catalogues_order() -> None:
    world = live(ticketing=TICKETS, people=1)
    assert world.refused(c.Join(), 2) == "ticket.required"
    world.block(HOST, 2)
    assert world.refused(c.Join(), 2) == "participant.blocked_by_host"
    world.ok(c.Remove(account=2), HOST)
    assert world.refused(c.Join(), 2) == "participant.removed"


def test_logged_out_and_anonymous_people_need_a_ticket_too() -> None:
    world = live(ticketing=TICKETS, people=1)
    assert world.refused(c.Join(), None) == "ticket.required"
    assert world.refused(c.Join(), Actor(account=2, anonymous=True)) == "ticket.required"


def test_whoever_is_invited_to_speak_needs_no_ticket() -> None:
    world = live(ticketing=TICKETS, people=1)
    world.ok(c.Invite(account=2), HOST)
    assert world.come(2)


def test_a_listeners_coming_and_going_is_no_event() -> None:
    world = live(people=1)
    assert world.ok(c.Join(), 2) == ()
    world.come(2)
    assert world.ok(c.Leave(), 2) == ()
    assert world.ok(c.Leave(), None) == ()


def test_those_who_are_inside_have_joined() -> None:
    world = live()
    assert world.refused(c.Join(), 2) == "role.forbidden"


def test_an_anonymous_listener_may_only_listen_and_is_in_no_list() -> None:
    world = live(people=2)
    assert world.come(7, anonymous=True)
    assert role(world, 7) is Role.ANONYMOUS
    for command in (c.Request(), c.TakeMic(), c.React(emoji="wave"), c.Vote(poll=1, option=0), c.Clip(end_ms=1)):
        assert world.refused(command, 7) == "role.forbidden"
    assert world.refused(c.Invite(account=7), HOST) == "target.anonymous"
    assert world.refused(c.AddCohost(account=7), HOST) == "target.anonymous"
    world.go(7)
    assert world.come(7)
    world.ok(c.Request(), 7)


def test_a_lost_connection_keeps_role_seat_and_mute() -> None:
    world = live()
    speaker(world, 2)
    before = world.state.seat_of(2)
    world.go(2, lost=True)
    assert world.seat(2).away
    assert role(world, 2) is Role.SPEAKER
    assert world.refused(c.Unmute(), 2) == "participant.not_in_space"
    world.wait(29_999)
    world.come(2)
    assert world.state.seat_of(2) == before


def test_a_speaker_who_does_not_come_back_in_time_is_a_listener_who_may_take_the_mic_again() -> None:
    world = live()
    speaker(world, 2)
    drops(world, 2)
    assert world.state.seat_of(2) is None
    world.come(2)
    assert role(world, 2) is Role.LISTENER
    world.ok(c.TakeMic(), 2)


def test_a_raised_hand_outlives_a_short_loss_only() -> None:
    world = live()
    world.ok(c.Request(), 2)
    world.go(2, lost=True)
    world.come(2)
    assert 2 in world.state.requests
    assert world.refused(c.Request(), 2) == "requests.duplicate"
    drops(world, 2)
    assert 2 not in world.state.requests


def test_a_cohost_who_leaves_loses_the_status() -> None:
    world = live()
    cohost(world, 2)
    world.go(2)
    world.come(2)
    assert role(world, 2) is Role.LISTENER
    assert world.state.deny_owners == (HOST,)


def test_a_dropped_host_is_succeeded_by_the_cohost_first_added() -> None:
    world = live()
    cohost(world, 4)
    cohost(world, 2)
    world.go(HOST, lost=True)
    assert world.state.admin == HOST, "within the window the role stays"
    world.wait(30_000)
    assert world.state.admin == 4
    assert world.state.cohosts == (2,)
    assert set(world.state.deny_owners) == {4, 2}


def test_succession_goes_on_down_the_line() -> None:
    world = live()
    cohost(world, 4)
    cohost(world, 2)
    drops(world, HOST)
    drops(world, 4)
    assert world.state.admin == 2
    drops(world, 2)
    assert world.state.admin is None
    world.wait(300_000)
    assert world.state.status is Status.ENDED
    assert world.seen.caused[ev.Ended, ev.EndedHow.HOSTLESS] == 1


def test_without_cohosts_the_space_goes_on_hostless_for_five_minutes() -> None:
    world = live()
    speaker(world, 2)
    drops(world, HOST)
    assert world.state.admin is None
    world.wait(299_999)
    world.ok(c.Unmute(), 2)
    world.wait(1)
    assert world.state.status is Status.ENDED


def test_the_creator_comes_back_to_a_hostless_space_as_host() -> None:
    for limits in (Limits(), Limits(creator_reclaims=False)):
        world = live(limits)
        drops(world, HOST)
        world.come(HOST)
        assert world.state.admin == HOST
        assert world.state.hostless_until_ms is None
        world.wait(400_000)
        assert world.state.status is Status.LIVE


def test_a_returning_creator_is_host_again_and_the_interim_admin_cohost() -> None:
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    drops(world, HOST)
    world.come(HOST)
    assert world.state.admin == HOST
    assert set(world.state.cohosts) == {2, 3}
    assert world.seat(HOST).muted
    world.check()


def test_the_creator_reclaims_also_after_leaving_by_hand() -> None:
    world = live()
    cohost(world, 2)
    world.go(HOST)
    assert world.state.admin == 2
    world.come(HOST)
    assert world.state.admin == HOST


def test_a_deployment_may_not_want_creators_to_reclaim() -> None:
    world = live(Limits(creator_reclaims=False))
    cohost(world, 2)
    drops(world, HOST)
    assert world.state.reserved is None
    world.come(HOST)
    assert world.state.admin == 2
    assert role(world, HOST) is Role.LISTENER


def test_after_a_transfer_the_creator_does_not_reclaim() -> None:
    world = live()
    cohost(world, 2)
    world.ok(c.Transfer(account=2), HOST)
    drops(world, HOST)
    assert world.state.reserved is None
    world.come(HOST)
    assert world.state.admin == 2


def test_given_back_the_administration_is_the_creators_to_reclaim_again() -> None:
    world = live()
    cohost(world, 2)
    world.ok(c.Transfer(account=2), HOST)
    world.ok(c.Transfer(account=HOST), 2)
    drops(world, HOST)
    world.come(HOST)
    assert world.state.admin == HOST


@pytest.mark.parametrize("trouble", ["banned", "elsewhere"])
def test_a_creator_who_may_not_host_comes_back_as_listener(trouble: str) -> None:
    world = live()
    cohost(world, 2)
    drops(world, HOST)
    (world.banned if trouble == "banned" else world.hosting_elsewhere).add(HOST)
    world.come(HOST)
    assert world.state.admin == 2
    assert role(world, HOST) is Role.LISTENER
    world.check()


def test_whom_the_returning_creator_came_to_block_is_purged_interim_admin_included() -> None:
    """Section 6, 1."""
    world = live()
    cohost(world, 2)
    speaker(world, 3)
    world.ok(c.Request(), 4)
    drops(world, HOST)
    for account in (2, 3, 4):
        world.block(HOST, account)
    world.come(HOST)
    assert [seat.account for seat in world.state.stage] == [HOST]
    assert not world.state.requests
    assert world.state.removed == frozenset(), "blocked, not barred"
    world.check()


@pytest.mark.parametrize("limits", [Limits(), Limits(max_cohosts=1, max_speakers=2, max_stage=4)])
def test_the_absent_creators_seat_is_kept_from_others(limits: Limits) -> None:
    """Section 6, 2."""
    world = live(limits, people=16)
    cohosts = limits.max_cohosts
    for account in range(2, 2 + cohosts):
        cohost(world, account)
    for account in range(2 + cohosts, 2 + cohosts + limits.max_speakers):
        speaker(world, account)
    assert len(world.state.stage) == limits.max_stage
    drops(world, HOST)
    assert world.refused(c.AddCohost(account=15), world.state.admin) == "cohosts.full"
    world.ok(c.Request(), 16)
    assert world.refused(c.Approve(account=16), world.state.admin) == "stage.full"
    world.come(HOST)
    assert world.state.admin == HOST
    assert len(world.state.stage) == limits.max_stage
    world.check()


def test_a_stale_word_of_the_engine_brings_nobody_back_who_was_put_out() -> None:
    world = live()
    speaker(world, 2)
    world.ok(c.Remove(account=2), HOST)
    assert world.ok(c.Resumed(account=2)) == ()
    speaker(world, 3)
    world.block(HOST, 3)
    assert world.ok(c.Resumed(account=3)) == ()


def test_a_resume_window_that_was_made_longer_is_not_cut_short() -> None:
    world = live()
    speaker(world, 2)
    world.go(2, lost=True)
    assert world.ok(c.ResumeExpired(account=2)) == ()
    assert world.ok(c.HostlessExpired()) == ()


def test_in_a_hostless_space_an_invited_cohost_becomes_host() -> None:
    world = live()
    world.ok(c.AddCohost(account=2), HOST)
    world.go(HOST)
    assert not world.state.hosts
    world.ok(c.AcceptCohost(), 2)
    assert list(world.state.hosts) == [2]
    world.check()
    world.come(HOST)
    assert list(world.state.hosts) == [HOST, 2]


def test_the_engine_is_to_watch_creator_stage_queues_and_those_who_may_sit_down() -> None:
    world = live(people=6)
    speaker(world, 2)
    world.ok(c.Request(), 3)
    world.ok(c.Invite(account=9), HOST)
    assert watched(world.state) == {HOST, 2, 3, 9}


def test_a_role_is_derived_for_anybody_in_any_state() -> None:
    nobody = Facts(accounts={5: AccountFacts(anonymous=True)})
    state = lobby(scheduled_start_ms=T0 + 1).state
    assert role_of(state, Actor(account=HOST), nobody) is Role.HOST
    assert role_of(state, Actor(account=5), nobody) is Role.ANONYMOUS
    assert role_of(state, Actor(account=6), nobody) is Role.OUTSIDER
    assert role_of(state, Actor(), nobody) is Role.GUEST
    assert role_of(state, Actor(system=True), nobody) is Role.SYSTEM
    world = live()
    cohost(world, 2)
    world.ok(c.Transfer(account=2), HOST)
    world.ok(c.End(), 2)
    assert role_of(world.state, Actor(account=HOST), nobody) is Role.HOST, "the creator"
    assert role_of(world.state, Actor(account=2), nobody) is Role.HOST, "who hosted last"
    assert role_of(world.state, Actor(account=3), nobody) is Role.OUTSIDER
    assert [s.role for s in live().state.stage] == [StageRole.HOST]
