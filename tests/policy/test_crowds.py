"""When an audience is so large that it is told to hear the mix."""

from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces_ctl.policy.crowds import Crowd, count, mix_for
from spaces_ctl.policy.limits import Limits

LIMITS = Limits(mix_above=1_000, mix_below_percent=70, mix_hold_ms=60_000)


def walk(sizes: Sequence[int], step_ms: int = 10_000) -> list[bool]:
    """Whether it counts as large after each look."""
    crowd, answers = Crowd(), []
    for n, size in enumerate(sizes):
        crowd = count(crowd, size, n * step_ms, LIMITS)
        answers.append(crowd.large)
    return answers


def test_it_is_large_at_once_and_small_only_after_a_while_well_below() -> None:
    assert walk([1_000, 1_001, 1_000, 701]) == [False, True, True, True]
    assert walk([2_000] + [701] * 100) == [True] * 101
    assert walk([2_000] + [700] * 8) == [True] * 7 + [False] * 2


def test_a_moment_above_begins_the_while_anew() -> None:
    assert walk([2_000, *[0] * 6, 800, *[0] * 7]) == [True] * 14 + [False]


@given(st.lists(st.integers(701, 1_000), max_size=50), st.booleans())
def test_between_the_thresholds_nothing_changes(sizes: list[int], large: bool) -> None:
    crowd = Crowd(large=large)
    for n, size in enumerate(sizes):
        crowd = count(crowd, size, n * 100_000, LIMITS)
        assert crowd.large is large


@given(st.lists(st.integers(0, 2_000), max_size=200))
def test_it_does_not_change_twice_within_the_hold(sizes: list[int]) -> None:
    answers = walk(sizes, 1_000)
    ends = [n for n in range(1, len(answers)) if answers[n - 1] and not answers[n]]
    assert all(all(answers[end - 60 : end]) for end in ends)


@pytest.mark.parametrize(
    ("tier", "small", "large"),
    [
        ("auto", "weak", "everybody"),
        ("never", "nobody", "nobody"),
        ("always", "everybody", "everybody"),
    ],
)
def test_an_operator_may_decide_it_for_all(tier: Literal["auto", "never", "always"], small: str, large: str) -> None:
    limits = Limits(mix_tier=tier)
    assert (mix_for(Crowd(), limits), mix_for(Crowd(large=True), limits)) == (small, large)
