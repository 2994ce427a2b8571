"""Who sees whom, and who is told what."""

from __future__ import annotations

import pytest

from spaces_ctl import commands as c
from spaces_ctl.model import Actor
from spaces_ctl.policy import visibility as v
from tests.policy.scenes import HOST, ended, live, lobby, speaker
from tests.policy.world import T0

FOLLOWER = v.Viewer(account=1, follows=frozenset({2}))


@pytest.mark.parametrize(
    ("listener", "seen"),
    [
        (v.Listener(account=2), True),
        (v.Listener(account=2, protected=True), True),
        (v.Listener(account=2, listening_visible=False), False),
        (v.Listener(account=2, anonymous=True), False),
        (v.Listener(account=3), False),
    ],
    ids=["followed", "protected", "switched off", "anonymous", "not followed"],
)
def test_listening_is_shown_to_followers_of_those_who_want_it(listener: v.Listener, seen: bool) -> None:
    assert v.listening_is_visible(FOLLOWER, listener) == seen


def test_speaking_is_shown_to_followers_whatever_the_setting() -> None:
    assert v.speaking_is_visible(FOLLOWER, 2)
    assert not v.speaking_is_visible(FOLLOWER, 3)


@pytest.mark.parametrize("field", ["blocks", "blocked_by"])
def test_blocks_hide_both_ways(field: str) -> None:
    viewer = v.Viewer(account=1, follows=frozenset({2}), **{field: frozenset({2})})
    assert not v.listening_is_visible(viewer, v.Listener(account=2))
    assert not v.speaking_is_visible(viewer, 2)
    assert not v.card_reaches(2, viewer)


def test_anonymous_listeners_are_named_nowhere() -> None:
    people = [v.Listener(account=2), v.Listener(account=3, anonymous=True)]
    assert v.visible_listeners(people) == (2,)


def test_the_label_is_in_the_blockers_list_alone() -> None:
    assert v.blocked_labels(v.Viewer(account=1, blocks=frozenset({2, 9})), [2, 3]) == {2}
    assert v.blocked_labels(v.Viewer(account=2, blocked_by=frozenset({1})), [1, 3]) == frozenset()


def test_blocked_speakers_are_warned_of_before_joining_and_told_when_they_join() -> None:
    world = live()
    speaker(world, 2)
    speaker(world, 3)
    viewer = v.Viewer(account=9, blocks=frozenset({2, 3, 4}))
    assert v.blocked_speakers(viewer, world.state) == 2
    assert v.speaker_warning(0) == ""
    assert v.speaker_warning(1) == "You have blocked 1 person who is speaking."
    assert v.speaker_warning(2) == "You have blocked 2 people who are speaking."
    assert v.blocked_joined_as_speaker(viewer, 4)
    assert not v.blocked_joined_as_speaker(viewer, 5)


def test_only_scheduled_and_live_spaces_are_peeked_into() -> None:
    assert v.may_peek(live().state)
    assert v.may_peek(lobby(scheduled_start_ms=T0 + 1).state)
    assert not v.may_peek(lobby().state)
    assert not v.may_peek(ended().state)


def test_the_creator_alone_lists_buyers() -> None:
    world = live()
    world.ok(c.AddCohost(account=2), HOST)
    world.ok(c.AcceptCohost(), 2)
    world.ok(c.Transfer(account=2), HOST)
    assert v.may_list_buyers(world.state, Actor(account=HOST))
    assert not v.may_list_buyers(world.state, Actor(account=2))
    assert not v.may_list_buyers(world.state, Actor())
