"""Life, replay and retention: every state with every step, written out."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest

from spaces_ctl.model import Status
from spaces_ctl.policy.lifecycle import LIFECYCLE, LifeStep, next_status
from spaces_ctl.policy.replay import REPLAY, ReplayStatus, ReplayStep, next_replay
from spaces_ctl.policy.retention import RETENTION, Retention, RetentionStep, next_retention

# rows: states; columns: steps; "." is what does not happen
LIFE = """
            create    schedule  start     end       cancel
new         lobby     scheduled .         .         .
lobby       .         .         live      .         canceled
scheduled   .         .         live      .         canceled
live        .         .         .         ended     .
ended       .         .         .         .         .
canceled    .         .         .         .         .
"""

REPLAYS = """
            record     stop       ready      violation  cleared    delete     purge
none        recording  .          .          .          .          .          .
recording   .          processing .          .          .          .          .
processing  .          .          available  .          .          deleted    deleted
available   .          .          .          withheld   .          deleted    deleted
withheld    .          .          .          .          available  deleted    deleted
deleted     .          .          .          .          .          .          .
"""

RETENTIONS = """
            keep      violation cleared   purge
none        audit_30  .         .         .
audit_30    .         held_120  .         purged
held_120    .         .         audit_30  purged
purged      .         .         .         .
"""


def snapshot(
    states: type[StrEnum], steps: type[StrEnum], table: dict[tuple[Any, Any], Any], after: Callable[[Any, Any], Any]
) -> list[list[str]]:
    """The whole product, as words."""
    rows = [[step.value for step in steps]]
    for state in states:
        reached = []
        for step in steps:
            known = table.get((state, step))
            assert after(state, step) is (state if known is None else known)
            reached.append("." if known is None else str(known))
        rows.append([state.value, *reached])
    return rows


@pytest.mark.parametrize(
    ("written", "states", "steps", "table", "after"),
    [
        pytest.param(LIFE, Status, LifeStep, LIFECYCLE, next_status, id="life"),
        pytest.param(REPLAYS, ReplayStatus, ReplayStep, REPLAY, next_replay, id="replay"),
        pytest.param(RETENTIONS, Retention, RetentionStep, RETENTION, next_retention, id="retention"),
    ],
)
def test_every_state_with_every_step(
    written: str, states: type[StrEnum], steps: type[StrEnum], table: Any, after: Any
) -> None:
    assert snapshot(states, steps, table, after) == [line.split() for line in written.strip().splitlines()]
