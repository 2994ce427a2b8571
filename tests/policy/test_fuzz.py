"""Whatever comes in, in whatever state: an answer, the same one each time, and never an exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import Actor, ClientClass, CommunityRole
from spaces_ctl.policy import (
    PRESETS,
    RULES,
    AccountFacts,
    Denied,
    Facts,
    Limits,
    Space,
    decide,
    evolve,
    needs,
    role_of,
    timers,
)
from spaces_ctl.policy.accounts import Appealed, PlatformFacts, decide_account
from spaces_ctl.policy.codes import CODES
from tests.policy.strategies import ACCOUNTS, of

PAIRS = st.frozensets(st.tuples(ACCOUNTS, ACCOUNTS), max_size=8)
ACTORS = st.builds(
    Actor,
    account=st.none() | ACCOUNTS,
    anonymous=st.booleans(),
    moderator=st.booleans(),
    system=st.booleans(),
    client=st.sampled_from(ClientClass),
)
STANDING = st.builds(
    AccountFacts,
    exists=st.booleans(),
    protected=st.booleans(),
    live_banned=st.booleans(),
    followers=st.integers(0, 5),
    present=st.booleans(),
    anonymous=st.booleans(),
)
FACTS = st.builds(
    Facts,
    accounts=st.dictionaries(ACCOUNTS, STANDING, max_size=9),
    blocks=PAIRS,
    follows=PAIRS,
    community_role=st.sampled_from(CommunityRole),
    live_elsewhere=st.booleans(),
    scheduled=st.integers(0, 11),
    has_ticket=st.booleans(),
    tickets_sold=st.integers(0, 5),
    subscribed=st.booleans(),
    post_exists=st.booleans(),
    voted=st.booleans(),
)
PRESET = st.sampled_from([PRESETS[name] for name in sorted(PRESETS)])
NOW = st.sampled_from([0, 1, 1_700_000_000_000, 2_000_000_000_000])


def folded(events: list[ev.SpaceEvent]) -> Space:
    """A state that no log may have: any events in any order."""
    state = Space(id=1)
    for at_ms, event in enumerate(events):
        before = state.version
        state = evolve(state, event, at_ms)
        assert state.version == before + 1
    return state


@settings(max_examples=600)
@given(st.lists(of(ev.SpaceEvent), max_size=25), of(c.SpaceCommand), ACTORS, FACTS, PRESET, NOW)
def test_any_command_in_any_state_gets_an_answer(
    events: list[ev.SpaceEvent], command: c.SpaceCommand, actor: Actor, facts: Facts, limits: Limits, now_ms: int
) -> None:
    state = folded(events)
    needs(state, command, actor, limits)
    role_of(state, actor, facts)
    timers(state, limits)
    answer = decide(state, command, actor, facts, limits, now_ms)
    assert answer == decide(state, command, actor, facts, limits, now_ms)
    if isinstance(answer, Denied):
        assert answer.code in CODES
    else:
        folded([*events, *answer])
        assert {(type(event), getattr(event, "how", None)) for event in answer} <= RULES[type(command)].outcomes


@settings(max_examples=300)
@given(
    of(c.AccountCommand),
    ACTORS,
    st.builds(
        PlatformFacts,
        actor=STANDING,
        target=STANDING,
        blocks=st.booleans(),
        blocked=st.booleans(),
        follows=st.booleans(),
        followed=st.booleans(),
        decided_ms=st.none() | NOW,
        created_space=st.booleans(),
        appealed=st.booleans(),
        appeal=st.none() | st.builds(Appealed, account=ACCOUNTS, resolved=st.booleans()),
    ),
    PRESET,
    NOW,
)
def test_any_account_command_gets_an_answer(
    command: c.AccountCommand, actor: Actor, facts: PlatformFacts, limits: Limits, now_ms: int
) -> None:
    answer = decide_account(command, actor, facts, limits, now_ms)
    assert not isinstance(answer, Denied) or answer.code in CODES
