"""The walk is worth something: rules taken out one by one are missed by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from spaces_ctl import events as ev
from spaces_ctl.policy import case, cohosts, door, fold_stage, leaving, life, seats, stage
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space
from tests.policy.scenes import cohost, drops, live
from tests.policy.walk import Walk

Patch = pytest.MonkeyPatch


def no_purge(patch: Patch) -> None:
    """Whoever becomes host leaves those alone whom they block (section 6, 1 and 3)."""
    for module in (door, cohosts, life, leaving):
        patch.setattr(module, "purge", lambda case, owner: None)


def no_reserved_seat(patch: Patch) -> None:
    """The absent creator's seat is given away (section 6, 2)."""

    def unreserved(kept: Callable[..., Any]) -> Callable[..., Any]:
        return lambda state, *rest: kept(replace(state, reserved=None), *rest)

    for module in (stage, cohosts):
        patch.setattr(module, "free_seat", unreserved(seats.free_seat))
    patch.setattr(stage, "room_for_speaker", unreserved(seats.room_for_speaker))
    patch.setattr(cohosts, "room_for_cohost", unreserved(seats.room_for_cohost))


def unmuted_return(patch: Patch) -> None:
    """A connection that is back opens the mic."""

    def back(state: Space, account: int) -> dict[str, Any]:
        away = fold_stage.without(state.away_until, account)
        return {"away_until": away, **fold_stage.seat_changed(state, account, away=False, muted=False)}

    patch.setattr(fold_stage, "back", back)


def stage_without_limit(patch: Patch) -> None:
    """Speakers as many as there are seats."""
    patch.setattr(stage, "room_for_speaker", lambda state, limits, account: len(state.stage) < Limits().max_stage)
    patch.setattr(stage, "free_seat", lambda state, limits, account: any_free_seat(state))


def any_free_seat(state: Space) -> int:
    """Any seat that nobody holds."""
    return min(set(range(13)) - {seat.seat for seat in state.stage})


def forgotten_deny_set(patch: Patch) -> None:
    """A co-host who goes leaves the block list behind."""
    emit = case.Case.emit

    def selective(self: case.Case, event: ev.SpaceEvent) -> None:
        if not isinstance(event, ev.DenySetDetached):
            emit(self, event)

    patch.setattr(case.Case, "emit", selective)


@pytest.mark.parametrize(
    "mutate",
    [no_reserved_seat, unmuted_return, stage_without_limit, forgotten_deny_set],
    ids=lambda mutate: str(mutate.__name__),
)
def test_the_walk_finds_a_missing_rule(mutate: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Walk,
            settings=settings(
                max_examples=1500,
                stateful_step_count=80,
                derandomize=True,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate,),
            ),
        )


def test_without_the_purge_a_returning_creator_hosts_whom_they_block(monkeypatch: Patch) -> None:
    """The walk needs many steps to get here, so this one is shown by its shortest way."""
    no_purge(monkeypatch)
    world = live()
    cohost(world, 2)
    drops(world, 1)
    world.block(1, 2)
    world.come(1)
    with pytest.raises(AssertionError, match="blocked by the host, and inside"):
        world.check()
