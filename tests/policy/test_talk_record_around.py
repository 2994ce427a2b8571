"""Posts, polls, captions, recordings, clips, reminders, tickets: examples of the rows."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor, Status, Ticketing
from spaces_ctl.policy import PRESETS, Limits
from spaces_ctl.policy.record import _cohort
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention
from tests.policy.scenes import HOST, cohost, ended, live, lobby, speaker
from tests.policy.world import T0, World

HOUR, DAY = 3_600_000, 86_400_000


def kept(world: World) -> Retention:
    return world.state.retention


def replay(world: World) -> ReplayStatus:
    return world.state.replay.status


# talk


def test_reactions_are_of_the_set_and_no_event() -> None:
    world = live()
    assert world.ok(c.React(emoji="wave"), 2) == ()
    assert world.refused(c.React(emoji="pile"), 2) == "reaction.unknown"
    assert world.refused(c.React(emoji="wave"), None) == "role.forbidden"


def test_posts_are_pinned_by_who_may_speak_and_unpinned_by_pinner_host_and_cohosts() -> None:
    world = live()
    speaker(world, 2)
    cohost(world, 3)
    assert world.refused(c.SharePost(post=1), 4) == "role.forbidden"
    assert world.refused(c.SharePost(post=99), 2) == "post.not_found"
    assert world.ok(c.SharePost(post=1), 2) == (ev.PostShared(post=1, by=2),)
    assert world.ok(c.SharePost(post=1), 3) == ()
    world.ok(c.SharePost(post=2), 3)
    assert world.refused(c.UnsharePost(post=9), 2) == "post.not_found"
    assert world.refused(c.UnsharePost(post=2), 2) == "role.forbidden"
    world.ok(c.StepDown(), 2)
    world.ok(c.UnsharePost(post=1), 2)
    world.ok(c.UnsharePost(post=2), HOST)
    assert not world.state.posts


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("?", ("a",)),
        ("?", tuple("abcde")),
        ("", ("a", "b")),
        ("?", ("a", "a")),
        ("?", ("a", " ")),
        ("?" * 101, ("a", "b")),
    ],
)
def test_polls_ask_something_with_two_to_four_answers(question: str, options: tuple[str, ...]) -> None:
    assert live().refused(c.CreatePoll(question=question, options=options), HOST) == "setting.invalid"


def test_one_open_poll_one_vote_a_person() -> None:
    world = live()
    poll = c.CreatePoll(question="?", options=("a", "b"))
    assert world.refused(poll, 2) == "role.forbidden"
    assert world.refused(c.Vote(poll=1, option=0), 2) == "poll.not_found"
    world.ok(poll, HOST)
    assert world.refused(poll, HOST) == "poll.open"
    assert world.refused(c.Vote(poll=1, option=2), 2) == "setting.invalid"
    world.ok(c.Vote(poll=1, option=1), 2)
    world.ok(c.Vote(poll=1, option=1), HOST)
    assert world.refused(c.Vote(poll=1, option=0), 2) == "poll.voted"
    assert world.state.polls[1].votes == (0, 2)
    world.ok(c.ClosePoll(poll=1), HOST)
    assert world.refused(c.Vote(poll=1, option=0), 3) == "poll.closed"
    assert world.refused(c.ClosePoll(poll=1), HOST) == "poll.closed"
    assert world.refused(c.ClosePoll(poll=7), HOST) == "poll.not_found"
    world.ok(poll, HOST)
    assert set(world.state.polls) == {1, 2}


def test_captions_are_of_those_who_consent_and_for_everybody() -> None:
    """Contradiction 17."""
    world = live()
    speaker(world, 2)
    assert world.refused(c.ShowCaptions(), None) == "captions.no_consent"
    world.ok(c.CaptionConsent(on=True), 2)
    assert world.ok(c.CaptionConsent(on=True), 2) == ()
    assert world.ok(c.ShowCaptions(), None) == ()
    world.ok(c.SetCaptions(on=False), HOST)
    assert world.refused(c.ShowCaptions(), 3) == "captions.no_consent"
    world.ok(c.SetCaptions(on=True), HOST)
    world.ok(c.StepDown(), 2)
    assert world.refused(c.ShowCaptions(), 3) == "captions.no_consent", "nobody on stage consents"


# recordings


def test_the_replay_is_there_when_it_is_ready() -> None:
    """Contradiction 14."""
    world = ended(ready=False)
    assert replay(world) is ReplayStatus.PROCESSING
    assert world.refused(c.PlayReplay(), None) == "replay.unavailable"
    world.ok(c.ReplayReady(duration_ms=60_000))
    for who in (None, HOST, 9):
        assert world.ok(c.PlayReplay(), who) == ()
    assert world.refused(c.ReplayReady(duration_ms=1)) == "replay.unavailable"


def test_stopping_the_recording_only_shrinks_it() -> None:
    """Contradiction 13."""
    world = live(record=True)
    world.ok(c.StopRecording(), HOST)
    assert world.refused(c.StopRecording(), HOST) == "record.not_recording"
    assert replay(world) is ReplayStatus.PROCESSING
    assert world.state.recording_stopped
    world.ok(c.End(), HOST)
    world.ok(c.ReplayReady(duration_ms=1))
    assert live().refused(c.StopRecording(), HOST) == "record.not_recording"


def test_trimming_leaves_something() -> None:
    world = ended()
    assert world.refused(c.TrimReplay(start_ms=60_000), HOST) == "setting.invalid"
    assert world.refused(c.TrimReplay(start_ms=-1), HOST) == "setting.invalid"
    world.ok(c.TrimReplay(start_ms=5_000), HOST)
    assert world.ok(c.TrimReplay(start_ms=5_000), HOST) == ()
    assert world.state.replay.start_ms == 5_000


def test_the_recording_is_the_creators_whoever_hosted_last() -> None:
    """Contradiction 4."""
    world = live(record=True)
    cohost(world, 2)
    world.ok(c.Transfer(account=2), HOST)
    world.ok(c.End(), 2)
    world.ok(c.ReplayReady(duration_ms=60_000))
    world.ok(c.TrimReplay(start_ms=1), 2)
    for command in (c.PublishDetails(), c.DeleteReplay(), c.Export()):
        assert world.refused(command, 2) == "role.forbidden"
        assert world.refused(command, 3) == "role.forbidden"
    for command in (c.PublishDetails(), c.Export(), c.DeleteReplay()):
        world.ok(command, HOST)


def test_a_deleted_replay_takes_the_clips_along_but_not_the_review_copy() -> None:
    world = live(record=True)
    world.wait(60_000)
    world.ok(c.Clip(end_ms=50_000), 2)
    world.ok(c.End(), HOST)
    assert world.ok(c.DeleteReplay(), HOST) == (
        ev.ReplayDeleted(),
        ev.ClipDeleted(clip=1, how=ev.ReplayGoneHow.SPACE),
    )
    for command in (c.PlayReplay(), c.TrimReplay(start_ms=1), c.PublishDetails(), c.DeleteReplay(), c.Clip(end_ms=1)):
        assert world.refused(command, HOST) == "replay.deleted"
    assert world.refused(c.ReplayReady(duration_ms=1)) == "replay.deleted"
    assert kept(world) is Retention.AUDIT
    world.ok(c.Export(), HOST)
    world.wait(31 * DAY)
    assert kept(world) is Retention.PURGED
    assert world.refused(c.Export(), HOST) == "replay.deleted"


def test_an_unrecorded_space_has_no_replay() -> None:
    world = ended(record=False, ready=False)
    for command in (c.PlayReplay(), c.TrimReplay(start_ms=1), c.PublishDetails(), c.DeleteReplay()):
        assert world.refused(command, HOST) == "replay.unavailable"


def test_clips_are_up_to_thirty_seconds_of_what_has_been() -> None:
    world = live()
    world.wait(60_000)
    assert world.refused(c.Clip(end_ms=60_001), 2) == "setting.invalid"
    assert world.refused(c.Clip(end_ms=60_000, length_ms=30_001), 2) == "setting.invalid"
    assert world.refused(c.Clip(end_ms=0), 2) == "setting.invalid"
    assert world.refused(c.Clip(end_ms=1), 9) == "participant.not_in_space"
    world.ok(c.Clip(end_ms=60_000, comment="!"), 2)
    world.ok(c.Clip(end_ms=10_000), 2)
    assert [(clip.start_ms, clip.end_ms) for clip in world.state.clips.values()] == [(30_000, 60_000), (0, 10_000)]


def test_clips_switched_off_stay_where_they_are() -> None:
    world = live()
    world.wait(60_000)
    world.ok(c.Clip(end_ms=60_000), 2)
    world.ok(c.SetClips(on=False), HOST)
    assert world.refused(c.Clip(end_ms=60_000), 2) == "clips.off"
    assert 1 in world.state.clips


def test_clips_are_made_of_unrecorded_spaces_unless_the_deployment_says_otherwise() -> None:
    """Contradiction 16."""
    world = live(Limits(clip_requires_recording=True))
    world.wait(1_000)
    assert world.refused(c.Clip(end_ms=1_000), 2) == "record.not_recording"
    world = live(Limits(clip_requires_recording=True), record=True)
    world.wait(1_000)
    world.ok(c.Clip(end_ms=1_000), 2)


def test_clips_of_a_replay_are_made_by_whoever_plays_it() -> None:
    world = ended()
    world.ok(c.Clip(end_ms=60_000), 9)
    assert world.refused(c.Clip(end_ms=60_001), 9) == "setting.invalid"
    world.moderators.add(8)
    world.ok(c.MarkViolation(), 8)
    assert world.refused(c.Clip(end_ms=1), 9) == "replay.withheld"
    assert ended(ready=False).refused(c.Clip(end_ms=1), 9) == "replay.unavailable"


def test_a_cohort_of_accounts_may_clip_and_always_the_same() -> None:
    shares = [sum(_cohort(account) < percent for account in range(1, 2_001)) / 20 for percent in (0, 25, 50, 100)]
    assert shares == pytest.approx([0, 25, 50, 100], abs=1)
    world = live(Limits(clip_cohort_percent=0))
    world.wait(1_000)
    assert world.refused(c.Clip(end_ms=1_000), 2) == "clips.not_enabled_for_you"


def test_a_clip_is_its_authors_to_delete_not_the_hosts() -> None:
    world = live()
    world.wait(1_000)
    world.ok(c.Clip(end_ms=1_000), 2)
    assert world.refused(c.DeleteClip(clip=1), HOST) == "role.forbidden"
    world.ok(c.End(), HOST)
    assert world.ok(c.DeleteClip(clip=1), 2) == (ev.ClipDeleted(clip=1, how=ev.ReplayGoneHow.AUTHOR),)
    assert world.refused(c.DeleteClip(clip=1), 2) == "clip.not_found"


def test_clip_numbers_are_not_given_again() -> None:
    world = live()
    world.wait(1_000)
    world.ok(c.Clip(end_ms=1_000), 2)
    world.ok(c.DeleteClip(clip=1), 2)
    world.ok(c.Clip(end_ms=1_000), 2)
    assert set(world.state.clips) == {2}


# retention


def test_the_review_copy_of_an_unrecorded_space_goes_after_thirty_days() -> None:
    """Contradiction 15."""
    world = ended(record=False, ready=False)
    world.wait(30 * DAY - 1)
    assert kept(world) is Retention.AUDIT
    world.wait(1)
    assert kept(world) is Retention.PURGED


def test_a_replay_keeps_its_review_copy_until_it_is_deleted() -> None:
    world = ended()
    world.wait(200 * DAY)
    assert world.ok(c.PurgeAudit()) == ()
    world.ok(c.DeleteReplay(), HOST)
    world.wait(0)
    assert kept(world) is Retention.PURGED


def test_the_review_copy_outlasts_its_time_while_a_report_is_not_settled() -> None:
    world = ended(record=False, ready=False)
    world.evidence_needed = True
    assert world.ok(c.PurgeAudit()) == (), "not due"
    world.now += 30 * DAY
    assert world.refused(c.PurgeAudit()) == "evidence.held"
    world.evidence_needed = False
    world.ok(c.PurgeAudit())
    assert kept(world) is Retention.PURGED


@pytest.mark.parametrize("after", [False, True])
def test_what_was_reported_is_kept_for_review_even_where_nothing_else_is(after: bool) -> None:
    """Otherwise deleting the replay would delete the only evidence."""
    world = live(Limits(audit_copy=False), record=True)
    world.wait(1_000)
    world.ok(c.Clip(end_ms=1_000), 2)
    report = c.ReportClip(clip=1, reason="spam")
    if not after:
        world.ok(report, 3)
    world.ok(c.End(), HOST)
    assert kept(world) is (Retention.NONE if after else Retention.AUDIT)
    if after:
        world.ok(report, 3)
    world.ok(c.DeleteReplay(), HOST)
    assert kept(world) is Retention.AUDIT
    world.wait(30 * DAY)
    assert kept(world) is Retention.PURGED


def test_after_a_violation_everything_goes_after_120_days() -> None:
    world = live(record=True)
    world.moderators.add(8)
    world.wait(1_000)
    world.ok(c.Clip(end_ms=1_000), 2)
    world.ok(c.End(), 8)
    world.ok(c.ReplayReady(duration_ms=1))
    world.wait(119 * DAY)
    assert replay(world) is ReplayStatus.WITHHELD
    world.wait(1 * DAY)
    assert replay(world) is ReplayStatus.DELETED
    assert not world.state.clips
    assert world.seen.caused[ev.AuditPurged, None] == 1


def test_private_installs_keep_no_review_copy() -> None:
    world = ended(Limits(audit_copy=False), record=False, ready=False)
    assert kept(world) is Retention.NONE
    assert world.refused(c.Export(), HOST) == "replay.unavailable"


def test_replays_of_older_apps_last_thirty_days_and_leave_the_clips() -> None:
    """Contradiction 14."""
    world = ended(PRESETS["replay30"])
    world.ok(c.Clip(end_ms=1_000), 2)
    assert world.ok(c.ReplayTtl()) == ()
    world.wait(30 * DAY)
    assert replay(world) is ReplayStatus.DELETED
    assert world.state.clips


# around


def test_reminders_are_for_scheduled_spaces_and_count_once() -> None:
    world = lobby(scheduled_start_ms=T0 + HOUR)
    assert world.ok(c.Unremind(), 2) == ()
    world.ok(c.RemindMe(), 2)
    assert world.ok(c.RemindMe(), 2) == ()
    assert world.state.subscribers == 1
    world.ok(c.Unremind(), 2)
    assert world.state.subscribers == 0
    assert world.refused(c.RemindMe(), None) == "role.forbidden"
    assert live().refused(c.RemindMe(), 9) == "state.live"


def ticketed(quantity: int = 1) -> World:
    return live(people=1, ticketing=Ticketing(price_minor=100, currency="EUR", quantity=quantity))


def test_tickets_are_sold_by_the_payment_provider() -> None:
    world = ticketed()
    assert world.ok(c.BuyTicket(account=2, payment=""), 2) == (), "a question"
    assert world.refused(c.BuyTicket(account=2, payment="paid, honestly"), 2) == "role.forbidden"
    assert world.refused(c.BuyTicket(account=3, payment=""), 2) == "role.forbidden"
    assert world.refused(c.BuyTicket(account=2, payment="")) == "payment.invalid"
    assert world.ok(c.BuyTicket(account=2, payment="p")) == (ev.TicketBought(account=2, payment="p"),)
    assert world.come(2)
    assert world.refused(c.BuyTicket(account=2, payment="p")) == "ticket.exists"
    assert world.refused(c.BuyTicket(account=3, payment="p")) == "ticket.sold_out"
    assert live().refused(c.BuyTicket(account=3, payment="p")) == "ticket.not_ticketed"


def test_nobody_is_sold_a_ticket_with_which_they_cannot_come_in() -> None:
    world = ticketed(5)
    world.ok(c.Remove(account=2), HOST)
    assert world.refused(c.BuyTicket(account=2, payment=""), 2) == "participant.removed"
    world.block(HOST, 3)
    assert world.refused(c.BuyTicket(account=3, payment=""), 3) == "participant.blocked_by_host"


@pytest.mark.parametrize("status", [Status.LIVE, Status.ENDED])
def test_tickets_are_refunded_at_any_time(status: Status) -> None:
    world = ticketed()
    world.ok(c.BuyTicket(account=2, payment="p"))
    if status is Status.ENDED:
        world.ok(c.End(), HOST)
    assert world.refused(c.RefundTicket(account=3, payment="p")) == "ticket.not_found"
    assert world.refused(c.RefundTicket(account=2, payment="")) == "payment.invalid"
    assert world.refused(c.RefundTicket(account=2, payment="p"), Actor(account=2)) == "role.forbidden"
    world.ok(c.RefundTicket(account=2, payment="p"))
    assert world.state.tickets == 0


def test_a_canceled_spaces_tickets_are_refunded() -> None:
    world = lobby(scheduled_start_ms=T0 + HOUR, ticketing=Ticketing(price_minor=100, currency="EUR", quantity=1))
    world.ok(c.BuyTicket(account=2, payment="p"))
    world.ok(c.Cancel(), HOST)
    world.ok(c.RefundTicket(account=2, payment="p"))
