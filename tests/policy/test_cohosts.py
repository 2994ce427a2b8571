"""Co-hosts and the primary admin: examples of the rows, and of the contradictions that they settle."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import StageRole
from spaces_ctl.policy import Limits
from tests.policy.scenes import HOST, cohost, drops, live, speaker


def test_add_cohost_is_refused_in_the_catalogues_order() -> None:
    world = live(Limits(max_cohosts=1))
    world.block(2, HOST)
    assert world.refused(c.AddCohost(account=9), HOST) == "participant.not_in_space"
    world.come(7, anonymous=True)
    assert world.refused(c.AddCohost(account=7), HOST) == "target.anonymous"
    assert world.refused(c.AddCohost(account=HOST), HOST) == "target.is_host"
    assert world.refused(c.AddCohost(account=2), HOST) == "cohost.blocks_host"
    cohost(world, 3)
    assert world.refused(c.AddCohost(account=3), HOST) == "target.already_cohost"
    assert world.refused(c.AddCohost(account=2), HOST) == "cohosts.full"
    world.banned.add(2)
    assert world.refused(c.AddCohost(account=2), HOST) == "target.live_banned"
    assert world.refused(c.AddCohost(account=4), 3) == "role.forbidden"


def test_accept_cohost_is_refused_in_the_catalogues_order() -> None:
    world = live(Limits(max_cohosts=1, max_speakers=2, max_stage=3))
    assert world.refused(c.AcceptCohost(), 2) == "cohost.not_invited"
    for account in (2, 3):
        world.ok(c.AddCohost(account=account), HOST)
    speaker(world, 4)
    speaker(world, 5)
    assert world.refused(c.AcceptCohost(), 2) == "stage.full"
    world.ok(c.Revoke(account=4), HOST)
    world.block(2, HOST)
    assert world.refused(c.AcceptCohost(), 2) == "cohost.blocks_host"
    world.ok(c.AcceptCohost(), 3)
    assert world.refused(c.AcceptCohost(), 2) == "cohosts.full"
    world.banned.add(2)
    assert world.refused(c.AcceptCohost(), 2) == "account.live_banned"
    world.wait(600_000)
    assert world.refused(c.AcceptCohost(), 2) == "cohost.not_invited"


def test_nobody_becomes_cohost_who_blocks_the_absent_creator() -> None:
    world = live()
    cohost(world, 2)
    drops(world, HOST)
    world.block(3, HOST)
    assert world.refused(c.AddCohost(account=3), 2) == "cohost.blocks_host"


def test_a_new_cohost_puts_out_whom_they_blocked() -> None:
    world = live(people=7)
    speaker(world, 3)
    world.ok(c.Request(), 4)
    world.ok(c.Invite(account=9), HOST)
    for account in (3, 4, 5, 9):
        world.block(2, account)
    cohost(world, 2)
    assert world.state.seat_of(3) is None
    assert not world.state.requests, "nor can the request be approved later (section 6, 3)"
    assert not world.state.invites
    assert 5 not in world.present, "the deny set puts listeners out"
    assert world.refused(c.Join(), 5) == "participant.blocked_by_host"
    world.ok(c.DropCohost(account=2), HOST)
    assert world.come(5), "lifted when the role is lost"


def test_a_speaker_becomes_cohost_on_the_same_seat_as_muted_as_before() -> None:
    world = live()
    speaker(world, 2)
    world.ok(c.Unmute(), 2)
    before = world.state.seat_of(2)
    cohost(world, 2)
    after = world.state.seat_of(2)
    assert before is not None
    assert after is not None
    assert (after.seat, after.generation, after.muted) == (before.seat, before.generation, False)
    assert after.role is StageRole.COHOST


def test_a_dropped_cohost_listens() -> None:
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    assert world.refused(c.DropCohost(account=4), HOST) == "target.not_cohost"
    assert world.refused(c.DropCohost(account=3), 2) == "target.outranks"
    assert world.ok(c.DropCohost(account=2), 2)[0] == ev.CohostRemoved(account=2, how=ev.CohostLostHow.DROPPED_SELF)
    world.ok(c.TakeMic(), 2)
    assert world.ok(c.DropCohost(account=3), HOST)[0] == ev.CohostRemoved(
        account=3, how=ev.CohostLostHow.DROPPED_BY_HOST
    )
    assert world.refused(c.TakeMic(), 3) == "stage.not_invited"


def test_a_cohost_blocked_by_another_is_put_out_when_no_longer_cohost() -> None:
    """Contradiction 10: the block has account effect only, as long as both co-host."""
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    world.block(2, 3)
    assert 3 in world.state.cohosts
    assert world.ok(c.StepDown(), 3)[-1] == ev.Removed(account=3, how=ev.RemovedHow.BLOCKED, bar=False)
    assert 3 not in world.present
    world.check()


def test_transfer_swaps_and_both_stay_as_muted_as_they_were() -> None:
    world = live()
    cohost(world, 2)
    world.ok(c.Unmute(), 2)
    assert world.refused(c.Transfer(account=3), HOST) == "target.not_cohost"
    world.hosting_elsewhere.add(2)
    assert world.refused(c.Transfer(account=2), HOST) == "host.already_live"
    world.hosting_elsewhere.clear()
    seats = {seat.account: (seat.seat, seat.generation, seat.muted) for seat in world.state.stage}
    world.ok(c.Transfer(account=2), HOST)
    assert (world.state.admin, world.state.cohosts, world.state.creator) == (2, (HOST,), HOST)
    assert {s.account: (s.seat, s.generation, s.muted) for s in world.state.stage} == seats
    assert world.state.transferred


def test_a_new_host_puts_out_the_cohost_they_blocked_but_never_the_creator() -> None:
    world = live()
    cohost(world, 2)
    cohost(world, 3)
    world.block(2, 3)
    world.block(2, HOST)
    world.ok(c.Transfer(account=2), HOST)
    assert world.state.cohosts == (HOST,)
    assert 3 not in world.present
    world.check()
