import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces_ctl.bench.times import Times

counts = st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 1_000)), max_size=40)


def test_a_quantile_is_the_time_within_which_that_share_came() -> None:
    times = Times.of([(3_000, 98), (40_000, 1), (90_000, 1)])
    assert times.quantile_ms(0.5) == 3.0
    assert times.quantile_ms(0.98) == 3.0
    assert times.quantile_ms(0.99) == 40.0
    assert times.quantile_ms(1.0) == 90.0


def test_of_nothing_there_is_no_quantile() -> None:
    assert Times().quantile_ms(0.5) is None
    assert Times().cdf() == ([], [])
    assert len(Times()) == 0


@pytest.mark.parametrize("wrong", [(-1, 1), (1, -1)])
def test_negative_times_and_counts_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="µs"):
        Times.of([wrong])


@given(counts, counts)
def test_what_two_hosts_measured_is_what_one_would_have(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    together = Times.of(one) + Times.of(other)
    assert together == Times.of([*one, *other])
    assert len(together) == len(Times.of(one)) + len(Times.of(other))


@given(counts)
def test_the_distribution_rises_to_one(found: list[tuple[int, int]]) -> None:
    times = Times.of(found)
    millis, shares = times.cdf()
    assert millis == sorted(millis)
    assert shares == sorted(shares)
    assert not shares or shares[-1] == 1.0


def test_a_stall_of_the_sender_is_in_the_quantiles_with_all_its_waiting() -> None:
    # 100 frames were due every 20 ms; the sender stalled for 200 ms after 90 of them. Measured from when they were due,
    # ten frames waited 200, 180, ... 20 ms. Measured from when they were sent, none would have waited.
    waited = [(1_000, 90), *((200_000 - 20_000 * late, 1) for late in range(10))]
    assert Times.of(waited).quantile_ms(0.99) == 180.0
    assert Times.of(waited).quantile_ms(0.90) == 1.0
