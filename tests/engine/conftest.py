"""A Space to test with, under both event loops."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import uvloop

from spaces_ctl.engine import Engine, EngineConfig, StageRow, TokenSigner, UpsertSpace, space_name
from tests.support.patience import PATIENCE_S

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]
SPACE = 1_234_567_890_123


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[Any]:
    """Runs a coroutine under the event loop of the parameter, for so long at most as nothing needs that works."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(main: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(3 * PATIENCE_S):
                return await main

        with asyncio.Runner(loop_factory=factory) as loop:
            return loop.run(bounded())

    return runner


@dataclass
class Stage:
    """An engine with one Space of three seats; account 100 + n sits on seat n."""

    engine: Engine
    signer: TokenSigner
    url: str

    @property
    def pin(self) -> bytes:
        return self.engine.certificate_sha256

    def token(self, seat: int) -> str:
        return self.signer.mint(account=100 + seat, sid=1_000 + seat)


@asynccontextmanager
async def a_stage(**table: Any) -> AsyncIterator[Stage]:
    signer = TokenSigner.generate()
    async with Engine(EngineConfig(signers=[signer])) as engine:
        rows = [StageRow(seat=seat, account=100 + seat, role="speaker") for seat in range(3)]
        await engine.apply(UpsertSpace(space=SPACE, version=1, stage=rows, **table))
        yield Stage(engine, signer, f"https://127.0.0.1:{engine.port}/spaces/{space_name(SPACE)}")


def voice(seconds: float) -> array[int]:
    """A tone that swells and glides, which no encoder takes for silence."""
    samples, phase = array("h"), 0.0
    for n in range(int(seconds * 48_000)):
        t = n / 48_000
        phase += (180 + 40 * math.sin(5 * t)) / 48_000 * math.tau
        loud = 0.55 + 0.45 * math.sin(12 * t)
        samples.append(int((math.sin(phase) + 0.5 * math.sin(2 * phase)) * loud * 8_000))
    return samples
