"""Created, scheduled, started, ended, canceled: examples of the rows, and of the contradictions that they settle."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor, ClientClass, CommunityRole, Speak, StageRole, Status, Ticketing
from spaces_ctl.policy import PRESETS, Limits, Space, decide
from spaces_ctl.policy.facts import Facts
from spaces_ctl.policy.retention import Retention
from tests.policy.scenes import HOST, cohost, live, lobby, speaker
from tests.policy.world import T0, World

HOUR, DAY = 3_600_000, 86_400_000


def fresh(limits: Limits | None = None) -> World:
    return World(limits or Limits())


def test_a_new_space_has_its_host_in_muted_and_alone_with_mic_access_off() -> None:
    state = lobby().state
    (seat,) = state.stage
    assert (seat.account, seat.role, seat.seat, seat.muted) == (HOST, StageRole.HOST, 0, True)
    assert not state.mic_open
    assert state.status is Status.LOBBY
    assert state.speak is Speak.INVITED
    assert state.requests_open


def test_create_is_refused_in_the_catalogues_order() -> None:
    world = fresh(Limits(min_followers_to_host=600, create_clients=frozenset({ClientClass.IOS})))
    command = c.Create(
        title="x" * 71, topics=("a", "b", "c", "d"), community=3, scheduled_start_ms=T0, ticketing=_tickets(0)
    )
    world.banned.add(HOST)
    world.protected.add(HOST)
    assert world.refused(command, HOST) == "account.live_banned"
    world.banned.clear()
    assert world.refused(command, HOST) == "account.protected"
    world.protected.clear()
    assert world.refused(command, HOST) == "account.followers_required"
    world.followers[HOST] = 600
    assert world.refused(command, HOST) == "community.role_required"
    world.community[HOST] = CommunityRole.MODERATOR
    assert world.refused(command, HOST) == "topics.too_many"
    command = c.Create(title="x" * 71, community=3, scheduled_start_ms=T0, ticketing=_tickets(0))
    assert world.refused(command, HOST) == "schedule.out_of_range"
    command = c.Create(title="x" * 71, community=3, scheduled_start_ms=T0 + 1, ticketing=_tickets(0))
    world.scheduled[HOST] = 10
    assert world.refused(command, HOST) == "schedule.quota"
    world.scheduled.clear()
    assert world.refused(command, HOST) == "client.not_allowed"
    world.clients[HOST] = ClientClass.IOS
    assert world.refused(command, HOST) == "setting.invalid"
    assert world.refused(c.Create(ticketing=_tickets(0)), HOST) == "setting.invalid"
    world.ok(c.Create(ticketing=_tickets(1)), HOST)


def _tickets(price: int) -> Ticketing:
    return Ticketing(price_minor=price, currency="EUR", quantity=2)


@pytest.mark.parametrize(("preset", "days"), [("x13", 30), ("api10", 14)])
def test_the_horizon_is_the_presets(preset: str, days: int) -> None:
    world = fresh(PRESETS[preset])
    assert world.refused(c.Create(scheduled_start_ms=T0 + days * DAY + 1), HOST) == "schedule.out_of_range"
    world.ok(c.Create(scheduled_start_ms=T0 + days * DAY), HOST)


def test_impromptu_spaces_do_not_count_towards_the_quota() -> None:
    world = fresh()
    world.scheduled[HOST] = 10
    assert world.refused(c.Create(scheduled_start_ms=T0 + HOUR), HOST) == "schedule.quota"
    world.ok(c.Create(), HOST)


def test_logged_out_people_and_the_system_create_nothing() -> None:
    assert fresh().refused(c.Create(), None) == "role.forbidden"
    assert fresh().refused(c.Create()) == "role.forbidden"


def test_edit_says_what_differs_and_moves_only_what_is_scheduled() -> None:
    world = lobby(title="a")
    assert world.ok(c.Edit(title="a"), HOST) == ()
    assert world.ok(c.Edit(title="b", topics=("t",)), HOST) == (ev.Edited(title="b", topics=("t",)),)
    assert world.refused(c.Edit(scheduled_start_ms=T0 + HOUR), HOST) == "schedule.not_scheduled"
    assert world.refused(c.Edit(topics=("a", "b", "c", "d")), HOST) == "topics.too_many"
    world = lobby(scheduled_start_ms=T0 + HOUR)
    assert world.refused(c.Edit(scheduled_start_ms=T0 + 31 * DAY), HOST) == "schedule.out_of_range"
    world.ok(c.Edit(scheduled_start_ms=T0 + 2 * HOUR), HOST)
    assert world.state.scheduled_start_ms == T0 + 2 * HOUR


def test_title_and_description_change_while_live() -> None:
    world = live()
    world.ok(c.Edit(title="new", description="also"), HOST)
    assert (world.state.title, world.state.description) == ("new", "also")


@pytest.mark.parametrize(("who", "how"), [(HOST, ev.CanceledHow.HOST), (8, ev.CanceledHow.MODERATOR)])
def test_host_and_moderators_cancel_before_the_start_only(who: int, how: ev.CanceledHow) -> None:
    world = lobby(scheduled_start_ms=T0 + HOUR)
    world.moderators.add(8)
    assert world.refused(c.Cancel(), 2) == "role.forbidden"
    assert world.ok(c.Cancel(), who) == (ev.Canceled(how=how),)
    assert world.refused(c.Start(), HOST) == "state.canceled"
    assert live().refused(c.Cancel(), HOST) == "state.live"


def test_start_attaches_the_hosts_block_list_and_closes_invitations_of_those_on_it() -> None:
    world = lobby()
    world.ok(c.Invite(account=2), HOST)
    world.ok(c.Invite(account=3), HOST)
    world.blocks.add((HOST, 3))
    assert world.ok(c.Start(), HOST) == (
        ev.Started(record=False),
        ev.DenySetAttached(owner=HOST),
        ev.InviteClosed(account=3, role=StageRole.SPEAKER, how=ev.InviteClosedHow.BLOCKED),
    )


def test_a_host_has_one_live_space_and_no_ban() -> None:
    world = lobby()
    world.hosting_elsewhere.add(HOST)
    assert world.refused(c.Start(), HOST) == "host.already_live"
    world.banned.add(HOST)
    assert world.refused(c.Start(), HOST) == "account.live_banned"


def test_only_the_host_ends_not_a_cohost() -> None:
    world = live()
    cohost(world, 2)
    assert world.refused(c.End(), 2) == "role.forbidden"
    assert world.ok(c.End(), HOST) == (ev.Ended(how=ev.EndedHow.HOST),)
    assert world.state.hosts_at_end == (HOST, 2)
    assert not world.state.stage
    assert world.state.admin is None


def test_a_moderator_ends_for_a_violation_which_holds_the_copy() -> None:
    world = live()
    world.moderators.add(8)
    world.ok(c.End(), 8)
    assert world.state.violation
    assert world.state.retention is Retention.HELD


def test_a_moderator_who_hosts_ends_as_host() -> None:
    world = live()
    world.moderators.add(HOST)
    assert world.ok(c.End(), HOST) == (ev.Ended(how=ev.EndedHow.HOST),)


def test_the_system_ends_for_what_it_finds() -> None:
    world = live()
    assert world.ok(c.End()) == (ev.Ended(how=ev.EndedHow.HOSTLESS),)
    world = live()
    world.moderators.add(8)
    world.ok(c.MarkViolation(), 8)
    assert world.ok(c.End()) == (ev.Ended(how=ev.EndedHow.VIOLATION),)


def test_a_scheduled_space_whose_host_never_comes_is_canceled_a_day_later() -> None:
    world = lobby(scheduled_start_ms=T0 + HOUR)
    assert world.ok(c.Expire()) == ()
    world.wait(25 * HOUR)
    assert world.state.status is Status.CANCELED
    assert (ev.Canceled, ev.CanceledHow.NO_SHOW) in world.seen.caused


def test_speaker_permission_holds_for_one_space() -> None:
    world = live()
    world.ok(c.SetSpeak(speak=Speak.EVERYONE), HOST)
    assert world.state.speak is Speak.EVERYONE
    assert lobby().state.speak is Speak.INVITED


def test_closing_requests_sends_the_queue_away() -> None:
    world = live()
    world.ok(c.Request(), 2)
    assert world.ok(c.SetRequests(open=False), HOST) == (
        ev.SettingChanged(requests_open=False),
        ev.RequestClosed(account=2, how=ev.RequestClosedHow.CLOSED),
    )
    assert world.refused(c.Request(), 2) == "requests.closed"


def test_mic_access_is_switched_by_host_and_cohosts_and_closing_mutes_speakers_only() -> None:
    world = live()
    speaker(world, 2)
    cohost(world, 3)
    for account in (HOST, 2, 3):
        world.ok(c.Unmute(), account)
    closed = world.ok(c.SetMicAccess(open=False), 3)
    assert closed == (
        ev.SettingChanged(mic_open=False),
        ev.Muted(account=2, how=ev.MutedHow.MIC_CLOSED, by=3),
    )
    assert world.refused(c.Unmute(), 2) == "mic.closed"
    world.ok(c.SetMicAccess(open=True), HOST)
    assert world.seat(2).muted


def test_recording_is_frozen_at_the_start() -> None:
    world = lobby()
    world.ok(c.SetRecord(on=True), HOST)
    assert world.ok(c.Start(), HOST)[0] == ev.Started(record=True)
    assert world.refused(c.SetRecord(on=False), HOST) == "record.frozen"


def test_settings_that_change_nothing_make_no_event() -> None:
    world = live()
    state = world.state
    for command in (
        c.SetSpeak(speak=state.speak),
        c.SetRequests(open=state.requests_open),
        c.SetMicAccess(open=state.mic_open),
        c.SetClips(on=state.clips_on),
        c.SetCaptions(on=state.captions_on),
    ):
        assert world.ok(command, HOST) == ()


def test_community_spaces_are_created_by_its_moderators_and_spoken_in_by_its_members() -> None:
    world = fresh()
    world.community = {HOST: CommunityRole.ADMIN, 2: CommunityRole.MEMBER, 3: CommunityRole.NONE}
    world.ok(c.Create(community=5, speak=Speak.EVERYONE), HOST)
    world.ok(c.Start(), HOST)
    assert world.come(2)
    assert world.come(3), "outsiders listen"
    world.ok(c.Request(), 2)
    assert world.refused(c.Request(), 3) == "community.role_required"
    assert world.refused(c.TakeMic(), 3) == "stage.not_invited"
    world.ok(c.Invite(account=3), HOST)
    world.ok(c.TakeMic(), 3)


def test_mobile_first_lets_the_web_only_listen() -> None:
    world = fresh(PRESETS["mobile_first"])
    world.clients = {2: ClientClass.WEB, 3: ClientClass.DESKTOP, HOST: ClientClass.IOS}
    assert world.refused(c.Create(), 2) == "client.not_allowed"
    world.ok(c.Create(), HOST)
    world.ok(c.Start(), HOST)
    assert world.come(2)
    assert world.refused(c.Request(), 2) == "client.not_allowed"


def test_nothing_is_known_of_a_space_that_was_not_created() -> None:
    answer = decide(Space(id=1), c.Start(), Actor(account=1), Facts(), Limits(), T0)
    assert getattr(answer, "code", None) == "space.not_found"
