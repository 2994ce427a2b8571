"""Blocks, follows, bans and appeals between accounts."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor
from spaces_ctl.policy import AccountFacts, Denied, Limits
from spaces_ctl.policy.accounts import Appealed, PlatformFacts, decide_account

ME, THEM, NOW, DAY = 1, 2, 1_700_000_000_000, 86_400_000
PERSON = Actor(account=ME)
MODERATOR = Actor(account=ME, moderator=True)


def answer(
    command: c.AccountCommand, facts: PlatformFacts | None = None, actor: Actor = PERSON
) -> tuple[ev.AccountEvent, ...] | str:
    found = decide_account(command, actor, facts or PlatformFacts(), Limits(), NOW)
    return found.code if isinstance(found, Denied) else found


@pytest.mark.parametrize(
    "command",
    [
        c.Block(account=ME),
        c.Unblock(account=ME),
        c.MuteAccount(account=ME),
        c.UnmuteAccount(account=ME),
        c.Follow(account=ME),
        c.Unfollow(account=ME),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nothing_of_it_with_oneself_nor_logged_out(command: c.AccountCommand) -> None:
    assert answer(command) == "target.self"
    assert answer(command, actor=Actor()) == "role.forbidden"


def test_a_block_parts_both_ways_and_is_one_event_however_often() -> None:
    facts = PlatformFacts(follows=True, followed=True)
    assert answer(c.Block(account=THEM), facts) == (
        ev.Followed(by=ME, account=THEM, on=False),
        ev.Followed(by=THEM, account=ME, on=False),
        ev.AccountBlocked(by=ME, account=THEM),
    )
    assert answer(c.Block(account=THEM), PlatformFacts(blocks=True)) == ()
    assert answer(c.Unblock(account=THEM), PlatformFacts(blocks=True)) == (ev.AccountUnblocked(by=ME, account=THEM),)
    assert answer(c.Unblock(account=THEM)) == ()


def test_nobody_follows_whom_they_block_or_who_blocks_them() -> None:
    assert answer(c.Follow(account=THEM), PlatformFacts(blocks=True)) == "role.forbidden"
    assert answer(c.Follow(account=THEM), PlatformFacts(blocked=True)) == "account.not_found", "nobody learns it"
    assert answer(c.Follow(account=THEM)) == (ev.Followed(by=ME, account=THEM),)
    assert answer(c.Follow(account=THEM), PlatformFacts(follows=True)) == ()
    assert answer(c.Unfollow(account=THEM), PlatformFacts(follows=True)) == (
        ev.Followed(by=ME, account=THEM, on=False),
    )


def test_who_does_not_exist_is_neither_blocked_nor_followed() -> None:
    nobody = PlatformFacts(target=AccountFacts(exists=False))
    assert answer(c.Block(account=THEM), nobody) == "account.not_found"
    assert answer(c.Follow(account=THEM), nobody) == "account.not_found"


def test_own_settings_are_events_when_they_change() -> None:
    assert answer(c.SetProtected(on=True)) == (ev.Protected(account=ME, on=True),)
    assert answer(c.SetProtected(on=False)) == ()
    assert answer(c.SetListeningVisibility(visible=False)) == (ev.ListeningVisibility(account=ME, visible=False),)
    assert answer(c.SetListeningVisibility(visible=True)) == ()


def test_only_moderators_ban_and_lift() -> None:
    ban = c.BanFromLive(account=THEM, reason="abuse", until_ms=NOW + DAY)
    assert answer(ban) == "role.forbidden"
    assert answer(ban, actor=MODERATOR) == (ev.LiveBanned(account=THEM, reason="abuse", until_ms=NOW + DAY),)
    assert answer(ban, actor=Actor(moderator=True)) == (
        ev.LiveBanned(account=THEM, reason="abuse", until_ms=NOW + DAY),
    ), "an operator without an account"
    assert answer(c.BanFromLive(account=THEM, reason=" "), actor=MODERATOR) == "report.reason_required"
    assert answer(c.BanFromLive(account=THEM, reason="x", until_ms=NOW), actor=MODERATOR) == "setting.invalid"
    assert answer(c.BanFromLive(account=ME, reason="x"), actor=MODERATOR) == "target.self"
    banned = PlatformFacts(target=AccountFacts(live_banned=True))
    assert answer(c.LiftBan(account=THEM), banned) == "role.forbidden"
    assert answer(c.LiftBan(account=THEM), banned, MODERATOR) == (ev.BanLifted(account=THEM),)
    assert answer(c.LiftBan(account=THEM), actor=MODERATOR) == ()


@pytest.mark.parametrize(("age", "code"), [(30 * DAY, ""), (30 * DAY + 1, "appeal.window_closed")])
def test_an_appeal_has_thirty_days(age: int, code: str) -> None:
    found = answer(c.Appeal(text="no"), PlatformFacts(decided_ms=NOW - age, next_appeal=4))
    assert found == (code or (ev.AppealFiled(appeal=4, account=ME, text="no"),))


def test_one_appeal_each_and_only_against_what_concerns_oneself() -> None:
    assert answer(c.Appeal(text="no")) == "appeal.not_found", "nothing was decided"
    assert answer(c.Appeal(text="no"), PlatformFacts(decided_ms=NOW, appealed=True)) == "appeal.exists"
    assert answer(c.Appeal(text="no", space=7), PlatformFacts(decided_ms=NOW)) == "appeal.not_found"
    assert answer(c.Appeal(text="no", space=7), PlatformFacts(decided_ms=NOW, created_space=True)) == (
        ev.AppealFiled(appeal=1, account=ME, text="no", space=7),
    )


@pytest.mark.parametrize(("grant", "space", "lifted"), [(True, None, True), (False, None, False), (True, 7, False)])
def test_a_granted_appeal_lifts_the_ban(grant: bool, space: int | None, lifted: bool) -> None:
    facts = PlatformFacts(appeal=Appealed(account=THEM, space=space))
    resolve = c.ResolveAppeal(appeal=4, grant=grant)
    assert answer(resolve, facts) == "role.forbidden"
    events = answer(resolve, facts, MODERATOR)
    assert events[0] == ev.AppealResolved(appeal=4, account=THEM, granted=grant)
    assert (ev.BanLifted(account=THEM) in events) == lifted


@pytest.mark.parametrize("appeal", [None, Appealed(account=THEM, resolved=True)])
def test_an_appeal_is_resolved_once(appeal: Appealed | None) -> None:
    resolve = c.ResolveAppeal(appeal=4, grant=True)
    assert answer(resolve, PlatformFacts(appeal=appeal), MODERATOR) == "appeal.not_found"
