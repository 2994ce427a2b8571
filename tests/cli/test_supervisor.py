"""The control loop dies and lives again; the engine does not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from spaces_ctl.engine import Engine, EngineConfig, UpsertSpace
from spaces_ctl.serve.supervisor import MOST_FAILURES, ControlFailed, Lives, supervise


@pytest.fixture
def seconds() -> Iterator[Callable[[], float]]:
    return iter(range(1000)).__next__  # type: ignore[return-value]


def test_a_regular_end_is_the_end(seconds: Callable[[], float]) -> None:
    seen: list[int] = []

    async def control(lives: Lives) -> None:
        seen.append(lives.number)

    supervise(control, pause=lambda _: None, now=seconds)
    assert seen == [0]


def test_what_cannot_start_is_not_tried_again(seconds: Callable[[], float]) -> None:
    seen: list[int] = []

    async def control(lives: Lives) -> None:
        seen.append(lives.number)
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        supervise(control, pause=lambda _: None, now=seconds)
    assert seen == [0]


def test_it_gives_up_after_failures_in_a_row(seconds: Callable[[], float]) -> None:
    seen: list[int] = []
    pauses: list[float] = []

    async def control(lives: Lives) -> None:
        lives.served = True
        seen.append(lives.number)
        raise RuntimeError("bug")

    with pytest.raises(ControlFailed, match=f"{MOST_FAILURES + 1} times in a row: bug"):
        supervise(control, pause=pauses.append, now=seconds)
    assert seen == list(range(MOST_FAILURES + 1))
    assert pauses == sorted(pauses)
    assert len(pauses) == MOST_FAILURES


def test_a_long_life_forgives_earlier_failures() -> None:
    clock = [0.0]
    seen: list[int] = []

    async def control(lives: Lives) -> None:
        lives.served = True
        seen.append(lives.number)
        clock[0] += 3600
        if lives.number < 3 * MOST_FAILURES:
            raise RuntimeError("bug")

    supervise(control, pause=lambda _: None, now=lambda: clock[0])
    assert seen == list(range(3 * MOST_FAILURES + 1))


def test_the_engine_lives_through_the_death_of_its_loop(seconds: Callable[[], float]) -> None:
    ports: list[int] = []

    async def control(lives: Lives) -> None:
        engine = Engine(EngineConfig(), name="supervised") if lives.number == 0 else Engine.attach("supervised")
        async with engine:
            ports.append(engine.port)
            lives.served = True
            if lives.number == 0:
                await engine.apply(UpsertSpace(space=5, version=1))
                # A task that nobody awaits must not keep the loop from dying.
                keep = asyncio.create_task(asyncio.sleep(3600))
                raise RuntimeError(f"the loop dies beside {keep.get_name()}")
            assert await engine.counts(5) is not None
            await engine.aclose()

    supervise(control, pause=lambda _: None, now=seconds)
    assert len(ports) == 2
    assert ports[0] == ports[1]
