"""What the engine is told, as a function of state and people; and ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces_ctl.clock import ManualClock
from spaces_ctl.engine import space_name
from spaces_ctl.model import Seat, StageRole, Status
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Invitation, Poll, Space
from spaces_ctl.service.ports import Profile
from spaces_ctl.service.snowflake import EPOCH_MS, Snowflakes
from spaces_ctl.service.tables import MOST_STATE_BYTES, Audience, People, tables

LIVE = Space(
    id=7,
    version=9,
    status=Status.LIVE,
    creator=1,
    admin=1,
    started_ms=1_000,
    title="Title",
    stage=(
        Seat(seat=0, account=1, role=StageRole.HOST, generation=1, muted=False),
        Seat(seat=2, account=3, role=StageRole.COHOST, generation=4, away=True),
        Seat(seat=1, account=2, role=StageRole.SPEAKER, generation=5),
    ),
    deny_owners=(1, 3),
    removed=frozenset({8}),
    invites={5: Invitation(role=StageRole.SPEAKER, by=1, since_ms=0)},
)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.LIVE])
def test_of_a_space_that_is_not_live_the_engine_is_told_nothing(status: Status) -> None:
    space = Space(id=7, status=status, creator=1)
    assert tables(space, People(), Audience(), Limits()) is None


def test_the_stage_and_the_sets() -> None:
    blocks = {1: frozenset({6, 3}), 3: frozenset({1, 2, 9})}
    found = tables(LIVE, People(blocks=blocks), Audience(), Limits())
    assert found is not None
    assert [(row.seat, row.account, row.role, row.muted) for row in found.space.stage] == [
        (0, 1, "host", False),
        (1, 2, "speaker", True),
        (2, 3, "cohost", True),
    ]
    assert found.acls["bar", 0] == {8}
    assert found.acls["deny", 1] == {6, 3}, "the host's list spares the creator alone"
    assert found.acls["deny", 3] == {2, 9}, "a co-host's list spares host, co-hosts and creator"
    assert 5 in found.acls["watch", 0]
    assert ("allow", 0) not in found.acls


def test_long_lists_are_not_copied() -> None:
    members = frozenset(range(100, 1_000))
    found = tables(LIVE, People(blocks={1: members}), Audience(), Limits())
    assert found is not None
    assert found.acls["deny", 1] is members


def test_the_snapshot_names_the_stage_and_nobody_else() -> None:
    profiles = {1: Profile(id=1, handle="host", name="Host")}
    people = People(blocks={1: frozenset({666_666})}, profiles=profiles)
    found = tables(LIVE, people, Audience(named=3, anonymous=2, guests=1), Limits())
    assert found is not None
    said = json.loads(found.snapshot)
    assert [person["account"] for person in said["stage"]] == ["1", "3", "2"]
    assert said["stage"][0]["handle"] == "host"
    assert said["stage"][1]["away"]
    assert said["audience"] == {"named": 3, "anonymous": 2, "guests": 1}
    text = found.snapshot.decode()
    assert "666666" not in text, "whom somebody blocks is nobody's business"
    assert '"8"' not in text, "neither is who was removed"
    assert "invites" not in text


def test_the_largest_snapshot_fits() -> None:
    worst = "\x00"
    space = Space(
        id=2**63 - 1,
        status=Status.LIVE,
        started_ms=1,
        title=worst * 70,
        description=worst * 400,
        topics=("x" * 64,) * 3,
        stage=tuple(Seat(seat=n, account=2**63 - n - 1, role=StageRole.SPEAKER, generation=1) for n in range(13)),
        posts={2**63 - n: 2**63 - 1 for n in range(1, 2_000)},
        polls={
            n: Poll(question=worst * 100, options=(worst * 100,) * 4, votes=(10**9,) * 4, by=1) for n in range(1, 50)
        },
    )
    profiles = {
        seat.account: Profile(id=seat.account, handle="x" * 15, name=worst * 500, picture=worst * 256)
        for seat in space.stage
    }
    found = tables(space, People(profiles=profiles), Audience(named=10**9), Limits())
    assert found is not None
    assert len(found.snapshot) <= MOST_STATE_BYTES
    assert [post["post"] for post in json.loads(found.snapshot)["posts"]][-1] == str(2**63 - 1_999), "the newest stay"


@given(st.lists(st.integers(-5_000, 5_000), max_size=300))
def test_ids_ascend_whatever_the_clock_does(moves: list[int]) -> None:
    class Wild:
        now = EPOCH_MS + 10_000_000

        def now_ms(self) -> int:
            return self.now

    clock = Wild()
    flakes = Snowflakes(clock, node=1023)
    made = [flakes.next()]
    for move in moves:
        clock.now += move
        made.append(flakes.next())
    assert made == sorted(set(made))
    assert all(0 < one < 2**63 and len(space_name(one)) <= 11 for one in made)


def test_more_ids_than_fit_a_millisecond_and_two_nodes() -> None:
    one, two = Snowflakes(ManualClock(), node=1), Snowflakes(ManualClock(), node=2)
    made = [flakes.next() for _ in range(10_000) for flakes in (one, two)]
    assert len(set(made)) == 20_000
    with pytest.raises(ValueError, match="node"):
        Snowflakes(ManualClock(), node=1024)
    with pytest.raises(OverflowError):
        Snowflakes(ManualClock(0)).next()
