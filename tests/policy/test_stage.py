"""Speakers and mics: examples of the rows, and of the contradictions that they settle."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor, Speak, StageRole
from spaces_ctl.policy import PRESETS, Denied, Limits, decide
from spaces_ctl.policy.facts import AccountFacts, Facts
from tests.policy.scenes import HOST, cohost, drops, live, lobby, speaker
from tests.policy.world import World

SMALL = Limits(max_cohosts=1, max_speakers=1, max_stage=3)


def muted(world: World, account: int) -> bool:
    seat = world.state.seat_of(account)
    assert seat is not None
    return seat.muted


# requests


def test_request_is_refused_in_the_catalogues_order() -> None:
    world = live(people=2)
    assert world.refused(c.Request(), 3) == "role.forbidden"
    world.ok(c.Request(), 2)
    assert world.refused(c.Request(), 2) == "requests.duplicate"
    world.ok(c.SetRequests(open=False), HOST)
    assert world.refused(c.Request(), 2) == "requests.closed"
    world.banned.add(2)
    assert world.refused(c.Request(), 2) == "account.live_banned"
    world.present.discard(2)
    # known to the Space from the raised hand, but the engine does not see them
    assert world.refused(c.Request(), 2) == "participant.not_in_space"


def test_a_request_can_be_taken_back_once() -> None:
    world = live()
    world.ok(c.Request(), 2)
    assert world.ok(c.Withdraw(), 2) == (ev.RequestClosed(account=2, how=ev.RequestClosedHow.WITHDRAWN),)
    assert world.refused(c.Withdraw(), 2) == "requests.none"


def test_an_approved_speaker_enters_muted() -> None:
    """Contradiction 11: "your microphone activates" against "muted"."""
    world = live()
    world.ok(c.Request(), 2)
    assert world.ok(c.Approve(account=2), HOST) == (
        ev.RequestClosed(account=2, how=ev.RequestClosedHow.APPROVED),
        ev.SpeakerAdded(account=2, seat=1, generation=2, how=ev.SeatGainedHow.REQUEST),
    )
    assert muted(world, 2)


def test_approve_is_refused_in_the_catalogues_order() -> None:
    world = live(SMALL)
    assert world.refused(c.Approve(account=2), HOST) == "requests.none"
    speaker(world, 3)
    world.ok(c.Request(), 2)
    assert world.refused(c.Approve(account=2), HOST) == "stage.full"
    world.banned.add(2)
    assert world.refused(c.Approve(account=2), HOST) == "target.live_banned"
    assert 2 in world.state.requests, "the request stays in the queue"


def test_a_late_engine_does_not_seat_somebody_barred() -> None:
    state = live().state
    barred = replace(state, requests={2: 0}, removed=frozenset({2}))
    facts = Facts(accounts={2: AccountFacts(present=True)})
    for command in (c.Approve(account=2), c.AddCohost(account=2)):
        answer = decide(barred, command, Actor(account=HOST), facts, Limits(), 0)
        assert answer == Denied("participant.removed")


def test_rejected_people_may_ask_again() -> None:
    world = live()
    world.ok(c.Request(), 2)
    world.ok(c.Reject(account=2), HOST)
    assert world.refused(c.Reject(account=2), HOST) == "requests.none"
    world.ok(c.Request(), 2)


# invitations


def test_invite_is_refused_in_the_catalogues_order() -> None:
    world = live()
    assert world.refused(c.Invite(account=HOST), HOST) == "target.already_on_stage"
    world.ok(c.Remove(account=6), HOST)
    world.banned.add(6)
    assert world.refused(c.Invite(account=6), HOST) == "participant.removed"
    world.ok(c.Readmit(account=6), HOST)
    assert world.refused(c.Invite(account=6), HOST) == "target.live_banned"
    world.come(7, anonymous=True)
    assert world.refused(c.Invite(account=7), HOST) == "target.anonymous"
    world.unknown.add(8)
    assert world.refused(c.Invite(account=8), HOST) == "account.not_found"
    assert world.refused(c.Invite(account=3), 2) == "role.forbidden"


def test_an_invitation_inside_holds_ten_minutes() -> None:
    world = live()
    world.ok(c.Invite(account=2), HOST)
    world.wait(600_000 - 1)
    assert 2 in world.state.invites
    world.wait(1)
    assert 2 not in world.state.invites
    assert world.refused(c.TakeMic(), 2) == "stage.not_invited"


def test_an_invitation_that_ran_out_counts_for_nothing_even_before_its_timer() -> None:
    world = live()
    world.ok(c.Invite(account=2), HOST)
    world.now += 600_000
    assert world.refused(c.TakeMic(), 2) == "stage.not_invited"


def test_an_invitation_outside_holds_until_the_end() -> None:
    world = lobby()
    world.ok(c.Invite(account=2), HOST)
    world.ok(c.Start(), HOST)
    world.come(HOST)
    world.wait(3_600_000)
    world.come(2)
    assert world.ok(c.TakeMic(), 2) == (
        ev.InviteClosed(account=2, role=StageRole.SPEAKER, how=ev.InviteClosedHow.ACCEPTED),
        ev.SpeakerAdded(account=2, seat=1, generation=2, how=ev.SeatGainedHow.INVITE),
    )


@pytest.mark.parametrize("how", ["withdrawn", "declined"])
def test_an_invitation_withdrawn_or_declined_is_over(how: str) -> None:
    world = live()
    world.ok(c.Invite(account=2), HOST)
    if how == "withdrawn":
        world.ok(c.WithdrawInvite(account=2), HOST)
        assert world.refused(c.WithdrawInvite(account=2), HOST) == "invites.none"
    else:
        world.ok(c.DeclineInvite(), 2)
        assert world.refused(c.DeclineInvite(), 2) == "invites.none"
    assert world.refused(c.TakeMic(), 2) == "stage.not_invited"


def test_a_cohost_takes_back_no_invitation_to_cohost() -> None:
    world = live()
    cohost(world, 2)
    world.ok(c.AddCohost(account=3), HOST)
    assert world.refused(c.WithdrawInvite(account=3), 2) == "role.forbidden"
    world.ok(c.WithdrawInvite(account=3), HOST)


# the mic


@pytest.mark.parametrize(
    ("speak", "allowed"), [(Speak.EVERYONE, {2, 3}), (Speak.FOLLOWED, {2}), (Speak.INVITED, set[int]())]
)
def test_who_takes_the_mic_unasked(speak: Speak, allowed: set[int]) -> None:
    """Contradiction 12."""
    world = live()
    world.follows |= {(HOST, 2), (3, HOST)}
    world.ok(c.SetSpeak(speak=speak), HOST)
    for account in (2, 3):
        if account in allowed:
            taken = world.ok(c.TakeMic(), account)[-1]
            assert isinstance(taken, ev.SpeakerAdded)
            assert taken.how is ev.SeatGainedHow.OPEN
        else:
            assert world.refused(c.TakeMic(), account) == "stage.not_invited"


def test_a_full_stage_has_one_host_two_cohosts_ten_speakers() -> None:
    """Contradiction 1: x13; a free co-host's seat is not a speaker's."""
    world = live(people=16)
    for account in range(2, 12):
        speaker(world, account)
    world.ok(c.Request(), 12)
    assert world.refused(c.Approve(account=12), HOST) == "stage.full"
    cohost(world, 13)
    cohost(world, 14)
    assert len(world.state.stage) == 13
    assert sorted(seat.seat for seat in world.state.stage) == list(range(13))
    assert world.refused(c.AddCohost(account=15), HOST) == "cohosts.full"


@pytest.mark.parametrize(("preset", "cohosts", "stage"), [("classic11", 0, 11), ("api10", 2, 10)])
def test_other_presets_other_stages(preset: str, cohosts: int, stage: int) -> None:
    world = live(PRESETS[preset], people=16)
    for account in range(2, 2 + cohosts):
        cohost(world, account)
    assert world.refused(c.AddCohost(account=16), HOST) == "cohosts.full"
    for account in range(2 + cohosts, stage + 1):
        speaker(world, account)
    world.ok(c.Request(), 15)
    assert world.refused(c.Approve(account=15), HOST) == "stage.full"
    assert len(world.state.stage) == stage


def test_stepping_down_keeps_the_welcome_revoking_ends_it() -> None:
    """Contradiction 7."""
    world = live()
    speaker(world, 2)
    world.ok(c.StepDown(), 2)
    world.ok(c.TakeMic(), 2)
    assert world.ok(c.Revoke(account=2), HOST) == (ev.SpeakerRemoved(account=2, how=ev.SeatLostHow.REVOKED),)
    assert world.refused(c.TakeMic(), 2) == "stage.not_invited"
    assert world.refused(c.Revoke(account=2), HOST) == "target.not_speaker"
    assert world.refused(c.StepDown(), HOST) == "role.forbidden"


def test_a_seat_given_again_has_a_new_generation() -> None:
    world = live()
    generations = []
    for _ in range(3):
        speaker(world, 2)
        generations.append(world.seat(2).generation)
        world.ok(c.Revoke(account=2), HOST)
    assert generations == [2, 3, 4]


# muting


def test_nobody_unmutes_another() -> None:
    world = live()
    speaker(world, 2)
    assert world.ok(c.AskUnmute(account=2), HOST) == (ev.AskedToUnmute(account=2, by=HOST),)
    assert muted(world, 2)
    assert world.ok(c.Unmute(), 2) == (ev.Unmuted(account=2),)
    assert world.ok(c.Unmute(), 2) == ()
    assert world.ok(c.AskUnmute(account=2), HOST) == ()
    assert world.refused(c.AskUnmute(account=HOST), HOST) == "target.self"
    assert world.refused(c.AskUnmute(account=3), HOST) == "target.not_on_stage"


def test_mute_is_refused_in_the_catalogues_order() -> None:
    world = live()
    speaker(world, 2)
    speaker(world, 3)
    cohost(world, 4)
    cohost(world, 5)
    assert world.refused(c.Mute(account=9), 2) == "target.not_on_stage"
    assert world.refused(c.Mute(account=3), 2) == "role.forbidden"
    assert world.refused(c.Mute(account=5), 4) == "target.outranks"
    assert world.refused(c.Mute(account=HOST), 4) == "target.outranks"
    for account in (HOST, 2, 4, 5):
        world.ok(c.Unmute(), account)
    assert world.ok(c.Mute(account=2), 4) == (ev.Muted(account=2, how=ev.MutedHow.BY_HOST, by=4),)
    assert world.ok(c.Mute(account=5), HOST) == (ev.Muted(account=5, how=ev.MutedHow.BY_HOST, by=HOST),)
    assert world.ok(c.Mute(account=4), 4) == (ev.Muted(account=4, how=ev.MutedHow.SELF, by=4),)
    assert world.ok(c.Mute(account=4), 4) == ()
    assert world.seat(2).muted_by == 4
    assert world.seat(4).muted_by is None


def test_mute_all_mutes_speakers_not_hosts() -> None:
    """Contradiction 23."""
    world = live()
    speaker(world, 2)
    cohost(world, 3)
    for account in (HOST, 2, 3):
        world.ok(c.Unmute(), account)
    assert world.ok(c.MuteAll(), 3) == (ev.Muted(account=2, how=ev.MutedHow.MUTE_ALL, by=3),)
    assert not muted(world, HOST)


def test_host_and_cohosts_may_speak_while_mic_access_is_off() -> None:
    world = live()
    cohost(world, 2)
    speaker(world, 3)
    world.ok(c.SetMicAccess(open=False), HOST)
    world.ok(c.Unmute(), HOST)
    world.ok(c.Unmute(), 2)
    assert world.refused(c.Unmute(), 3) == "mic.closed"


@pytest.mark.parametrize("return_by", ["reconnect", "new seat", "reclaim", "transfer"])
def test_a_muted_person_never_returns_unmuted(return_by: str) -> None:
    world = live()
    cohost(world, 2)
    speaker(world, 3)
    who = {"reconnect": 3, "new seat": 3, "reclaim": HOST, "transfer": 2}[return_by]
    world.ok(c.Unmute(), who)
    if who == 3:
        world.ok(c.Mute(account=3), HOST)
    else:
        world.ok(c.Mute(account=who), who)
    match return_by:
        case "reconnect":
            world.go(3, lost=True)
            world.come(3)
        case "new seat":
            drops(world, 3)
            world.come(3)
            world.ok(c.TakeMic(), 3)
        case "reclaim":
            drops(world, HOST)
            world.come(HOST)
        case _:
            world.ok(c.Transfer(account=2), HOST)
    assert muted(world, who)
