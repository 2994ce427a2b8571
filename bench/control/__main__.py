"""What a large audience costs the Python side: event-loop lag, CPU of the loop's thread, and events, phase by phase.

The audience is injected into the engine's threads, below QUIC: there are no sockets, but admission, counting, the
roster, the watch list and reactions work as for real sessions. The whole control plane runs on the loop: log on SQLite,
presence, counters, timers, the `state` snapshot; a task beside it sleeps 1 ms at a time and notes how much later it
wakes. Those on the watch list were invited to speak, so their coming and going becomes events in the log.
With `--pin` the engine has the first cores and Python the last one. When others use the machine the lag is theirs as
well: compare with `idle`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from spaces_ctl import commands as c
from spaces_ctl.engine import Engine, EngineConfig, Event, TokenSigner
from spaces_ctl.model import Actor
from spaces_ctl.service.fake_graph import FakeGraph
from spaces_ctl.service.services import Services, open_services
from spaces_ctl.store.database import Database

HOST = Actor(account=1)
FIRST = 1 << 40
PROBE_S = 0.001


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase. Lag: how much later than asked for a sleeping task wakes."""

    name: str
    seconds: float
    audience: int
    """People at its end."""
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    python_cpu: float
    """Of the loop's thread, in cores."""
    engine_cpu: float
    """Of the engine's threads, in cores."""
    events: dict[str, int]


class CountedEngine(Engine):
    """Counts the events that the control plane takes."""

    taken: Counter[str]

    async def events(self) -> AsyncIterator[list[Event]]:
        """As the engine's."""
        async for batch in super().events():
            self.taken.update(type(event).__name__ for event in batch)
            yield batch


@dataclass(slots=True)
class Watch:
    """Measures the loop."""

    engine: CountedEngine
    space: int
    lags: list[float] = field(default_factory=list)

    async def probe(self) -> None:
        """Notes the lag of the loop."""
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(PROBE_S)
            self.lags.append(time.perf_counter() - asked - PROBE_S)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Probing, while inside."""
        task = asyncio.create_task(self.probe())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def people(self) -> int:
        """In the Space now."""
        counts = await self.engine.counts(self.space)
        return 0 if counts is None else counts.named + counts.anonymous + counts.guests

    async def phase(self, name: str, seconds: float, *, until: int | None = None) -> Phase:
        """Measures for `seconds`, or until so many people are there (and then `seconds` is the longest wait)."""
        self.lags.clear()
        self.engine.taken.clear()
        began, cpu, engine = time.perf_counter(), time.thread_time(), (await self.engine.stats()).cpu_seconds
        while (passed := time.perf_counter() - began) < seconds:
            await asyncio.sleep(min(0.2, seconds - passed))
            if until is not None and await self.people() == until:
                break
        passed = time.perf_counter() - began
        used, lags = time.thread_time() - cpu, sorted(self.lags)
        spent = (await self.engine.stats()).cpu_seconds - engine
        return Phase(
            name=name,
            seconds=round(passed, 2),
            audience=await self.people(),
            lag_p50_ms=round(lags[len(lags) // 2] * 1e3, 3),
            lag_p99_ms=round(lags[len(lags) * 99 // 100] * 1e3, 3),
            lag_max_ms=round(lags[-1] * 1e3, 3),
            python_cpu=round(used / passed, 4),
            engine_cpu=round(spent / passed, 4),
            events=dict(self.engine.taken),
        )


async def roster(engine: Engine, space: int) -> dict[str, float]:
    """Pages through everybody; times one page of 10,000 and one of 100."""
    began = time.perf_counter()
    await engine.roster(space, limit=100)
    small = time.perf_counter() - began
    after: int | None = 0
    slowest, people = 0.0, 0
    while after is not None:
        began = time.perf_counter()
        page = await engine.roster(space, after=after, limit=10_000)
        slowest = max(slowest, time.perf_counter() - began)
        people, after = people + len(page.listeners), page.next
    return {"people": people, "page_100_ms": round(small * 1e3, 3), "page_10000_ms": round(slowest * 1e3, 3)}


@asynccontextmanager
async def control_plane(directory: Path, shards: int, pins: list[int]) -> AsyncIterator[tuple[CountedEngine, Services]]:
    """Everything that `spaces serve` runs, without HTTP in front of it."""
    url = f"sqlite:///{directory / 'spaces.db'}"
    db = await Database.open(url)
    await db.create_tables()
    await db.aclose()
    signer = TokenSigner.generate()
    engine = CountedEngine(EngineConfig(shards=shards, pin_to=pins, signers=[signer]))
    engine.taken = Counter()
    async with (
        engine,
        open_services(
            database_url=url,
            engine=engine,
            attached=False,
            signer=signer,
            media_urls=[f"https://127.0.0.1:{engine.port}"],
            certificate_sha256=lambda: engine.certificate_sha256,
            directory=directory,
            public_url="https://bench.test",
            graph=lambda db: FakeGraph(),
        ) as services,
    ):
        yield engine, services


async def live_space(services: Services, watched: int) -> int:
    """A live Space whose host has invited the first of those who will come."""
    spaces = services.spaces
    space = (await spaces.create(HOST, c.Create(title="bench"))).space.id
    await spaces.execute(HOST, space, c.Start())
    for account in range(FIRST, FIRST + watched):
        await spaces.execute(HOST, space, c.Invite(account=account))
    return space


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All phases."""
    audience, rates = options.audience, (options.joins, options.churn, options.reactions)
    pins = list(range(options.shards)) if options.pin else []
    with tempfile.TemporaryDirectory() as directory:
        async with control_plane(Path(directory), options.shards, pins) as (engine, services):
            space = await live_space(services, options.watched)
            watch = Watch(engine, space)
            async with watch.running():
                phases = [await watch.phase("idle", options.seconds)]
                parts = {"named": audience * 7 // 10, "anonymous": audience * 2 // 10, "guests": audience // 10}
                await engine.inject(
                    space,
                    **parts,
                    first_account=FIRST,
                    joins_per_second=rates[0],
                    churn_per_second=rates[1],
                    reactions_per_second=rates[2],
                )
                total = sum(parts.values())
                phases.append(await watch.phase("join storm", 60 + 2 * audience / rates[0], until=total))
                phases.append(await watch.phase("churn and reactions", options.seconds))
                pages = await roster(engine, space)
                await engine.inject(space, joins_per_second=rates[0])
                phases.append(await watch.phase("leaving", 60 + 2 * audience / rates[0], until=0))
                phases.append(await watch.phase("after", options.seconds))
    return {
        "audience": audience,
        "joins_per_second": rates[0],
        "churn_per_second": rates[1],
        "reactions_per_second": rates[2],
        "watched": options.watched,
        "shards": options.shards,
        "cores": os.cpu_count(),
        "roster": pages,
        "phases": [asdict(phase) for phase in phases],
    }


def main() -> int:
    """Measures, prints a table and the JSON; 1 if the lag is over the budget."""
    parser = argparse.ArgumentParser(prog="python -m bench.control", description=__doc__)
    parser.add_argument("--audience", type=int, default=100_000)
    parser.add_argument("--joins", type=int, default=10_000, help="a second")
    parser.add_argument("--churn", type=int, default=1_000, help="leaves and joins a second")
    parser.add_argument("--reactions", type=int, default=5_000, help="a second")
    parser.add_argument("--watched", type=int, default=20, help="people of the audience on the watch list")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase that is not over by itself")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--pin", action="store_true", help="engine on core 0 and up, Python on the last core")
    parser.add_argument("--budget-ms", type=float, default=5.0, help="lag p99 allowed in any phase")
    options = parser.parse_args()
    if options.pin:
        os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(measure(options))
    phases = [Phase(**phase) for phase in report["phases"]]
    print(f"{'phase':20} {'people':>8} {'lag p50':>8} {'p99':>8} {'max':>8}  {'Python':>7} {'engine':>7}  events/s")
    for row in phases:
        rate = {name: round(count / row.seconds, 1) for name, count in row.events.items()}
        print(
            f"{row.name:20} {row.audience:8} {row.lag_p50_ms:8.3f} {row.lag_p99_ms:8.3f} {row.lag_max_ms:8.2f}"
            f"  {row.python_cpu:7.1%} {row.engine_cpu:7.1%}  {rate}"
        )
    print(json.dumps(report))
    return int(any(row.lag_p99_ms > options.budget_ms for row in phases))


if __name__ == "__main__":
    sys.exit(main())
