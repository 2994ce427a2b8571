"""What a call from Python into the engine costs: `make bench-boundary`.

No packet crosses this boundary, so these are the costs of commands, counters and lists, each by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spaces_ctl.engine import Engine, EngineConfig, StageRow, TokenSigner, UpsertSpace, frame_hash, space_id, space_name

SPACE = 1_000_000
BEGAN_MS = 1_700_000_000_000
STAGE = [StageRow(seat=seat, account=seat + 1, role="host" if seat == 0 else "speaker") for seat in range(13)]


class Running:
    """An engine with one Space, called from outside its event loop."""

    def __init__(self) -> None:
        self.signer = TokenSigner.generate()
        self.loop = asyncio.new_event_loop()
        self.version = 1
        self.engine = Engine(EngineConfig(signers=[self.signer]))
        self.loop.run_until_complete(self.engine.__aenter__())
        self.upsert()

    def upsert(self) -> None:
        """The same stage under the next version."""
        self.loop.run_until_complete(
            self.engine.apply(UpsertSpace(space=SPACE, version=self.version, started_at_ms=BEGAN_MS, stage=STAGE))
        )
        self.version += 1

    def close(self) -> None:
        """Stops it."""
        self.loop.run_until_complete(self.engine.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One engine for all."""
    running = Running()
    yield running
    running.close()


def test_a_command_applied_by_every_shard(benchmark: BenchmarkFixture, running: Running) -> None:
    """A stage of 13 seats, whole."""
    benchmark(running.upsert)


def test_statistics(benchmark: BenchmarkFixture, running: Running) -> None:
    """All counters of all shards."""
    benchmark(lambda: running.loop.run_until_complete(running.engine.stats()))


def test_a_token(benchmark: BenchmarkFixture, running: Running) -> None:
    """An Ed25519 signature."""
    assert benchmark(lambda: running.signer.mint(account=7, sid=7, expires_at=2_000_000_000))


def test_a_name_there_and_back(benchmark: BenchmarkFixture) -> None:
    """A Space's number as text and back: the least that a call can cost."""
    assert benchmark(lambda: space_id(space_name(SPACE))) == SPACE


def test_a_hash_of_a_frame(benchmark: BenchmarkFixture) -> None:
    """80 bytes across the boundary."""
    packet = bytes(80)
    assert benchmark(lambda: frame_hash(3, packet)) == frame_hash(3, packet)
