"""The whole policy under a random walk: all presets, all commands, all kinds of people, moving time.

`World` checks after every step what must always hold. At the end every event with every cause, and every refusal that
the policy can give, must have been reached: a walk that never gets there proves nothing.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from spaces_ctl import commands as c
from spaces_ctl.model import Status
from spaces_ctl.policy import RULES
from tests.policy.walk import ENGINES_OWN, Walk
from tests.policy.walk_doors import SEEN
from tests.policy.world import Seen, all_causes

RUNS = int(os.environ.get("POLICY_RUNS", "1200"))
SEEDS = 4
MOST_SEEDS = 20
"""Hypothesis draws differently when other modules are imported: no seed promises the rarest pair, more walks do."""
STEPS = 80

NOT_WITH_A_TRUE_ENGINE = {(c.AddCohost, "participant.removed"), (c.Approve, "participant.removed")}
"""Whoever is barred is neither inside nor asking; the guards stand for an engine that is late (test_stage)."""


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What many walks reached. Several seeds: examples that grow from one seed resemble each other."""
    for number in range(MOST_SEEDS):
        if number >= SEEDS and not never_reached(SEEN):
            break
        walk = get_state_machine_test(
            Walk,
            settings=settings(
                max_examples=RUNS // SEEDS,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink),
            ),
        )
        seed(number)(walk)()
    return SEEN


def never_reached(seen: Seen) -> list[str]:
    """Events by cause, and codes of guards, that no walk has come to yet."""
    causes = [f"{kind.__name__}: {how}" for kind, how in all_causes() - set(seen.caused)]
    codes = {guard.code for rule in RULES.values() for guard in rule.guards} - {code for _, code in seen.denied}
    return sorted([*causes, *codes])


def test_random_walks_hold_every_invariant(seen: Seen) -> None:
    assert seen.worlds >= RUNS >= 1_000
    assert seen.steps >= RUNS * STEPS / 2


def test_every_event_with_every_cause_and_every_refusal_was_reached(seen: Seen) -> None:
    assert never_reached(seen) == []


def test_nearly_every_guard_refused_its_command(seen: Seen) -> None:
    """Of all pairs of a command and a code; the few that a walk may miss are examples in the other files."""
    guarded = {(command, guard.code) for command, rule in RULES.items() for guard in rule.guards}
    missing = guarded - set(seen.denied) - NOT_WITH_A_TRUE_ENGINE
    assert len(missing) <= len(guarded) // 20, sorted(f"{command.__name__}: {code}" for command, code in missing)


def test_every_state_and_missing_role_refused(seen: Seen) -> None:
    codes = {code for _, code in seen.denied}
    states = {f"state.{status}" for status in Status if status is not Status.NEW}
    assert not {"role.forbidden", "space.not_found", *states} - codes


def test_every_command_was_carried_out_and_every_request_refused(seen: Seen) -> None:
    made = {command for command, _, _ in seen.by_command}
    silent = {kind for kind, rule in RULES.items() if not rule.outcomes}
    assert set(RULES) - made == silent
    assert set(RULES) - {command for command, _ in seen.denied} <= set(ENGINES_OWN)
