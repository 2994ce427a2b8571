"""Where each microsecond goes: `make bench-profile`.

One round of `spaces bench` with perf beside it. Samples are sorted by what the work is for (`categories.py`), and the
server's own processor time is divided by the packets that came to listeners. Prints a table in Markdown; `--json FILE`
writes the same.

perf adds about 2 µs a sample, 2,000 times a second: half a per cent. On a machine without hardware counters it samples
by a timer that does not fire while the kernel has interrupts off: within the kernel, what is charged to a function may
have been spent shortly before it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from bench.profile.categories import CATEGORIES, functions, spread
from bench.profile.recording import read, recording
from spaces_ctl.bench.errors import BenchFailed, Missing
from spaces_ctl.bench.load import Linear
from spaces_ctl.bench.measuring import Round, measure
from spaces_ctl.bench.rows import Measurement, Tier
from spaces_ctl.bench.servers import LOAD_CORE, Tools

_FUNCTIONS = 40
_TICKS = {"stage": 1, "mix": 3}
"""Frames of 20 ms in a packet, of each speaker (of the mix, which is one)."""


@dataclass(frozen=True, slots=True)
class Share:
    """One category."""

    category: str
    percent: float
    us_per_packet: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What was found."""

    at: str
    machine: str
    commit: str
    tier: str
    listeners: int
    speakers: int
    seconds: int
    packets: int
    loss: float
    server_cpu_seconds: float
    us_per_packet: float
    samples: int
    shares: list[Share]
    functions: list[tuple[str, str, float]]
    """Category, function and µs per packet of the innermost functions with most samples."""

    def markdown(self) -> str:
        """The table."""
        lines = [
            f"{self.listeners} listeners on `{self.tier}`, {self.speakers} speakers, {self.seconds} s: "
            f"{self.packets} packets, {self.server_cpu_seconds:.2f} s of the server's processor, "
            f"**{self.us_per_packet:.2f} µs a packet** "
            f"(loss {self.loss:.4%}, {self.samples} samples)",
            *(
                ["", "**Compare nothing with this: a round with loss measures the load, or the machine.**"]
                if self.loss > 0.01
                else []
            ),
            "",
            "| where | % | µs a packet |",
            "|---|---|---|",
        ]
        lines += [f"| {share.category} | {share.percent:.1f} | {share.us_per_packet:.3f} |" for share in self.shares]
        return "\n".join(lines)


def _profile(what: Round, found: Measurement, recorded: Path, engine: Path) -> Profile:
    samples = read(recorded, engine)
    if not samples:
        raise BenchFailed("perf took no samples")
    payloads = found.delivered // _TICKS[what.tier]
    packets = payloads // (what.speakers if what.tier == "stage" else 1)
    each = found.server_cpu_seconds / max(1, packets) * 1e6
    counted = spread(samples)
    shares = [
        Share(name, 100 * counted[name] / len(samples), each * counted[name] / len(samples))
        for name in CATEGORIES
        if counted[name]
    ]
    return Profile(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=platform.platform(),
        commit=found.commit,
        tier=what.tier,
        listeners=what.listeners,
        speakers=what.speakers,
        seconds=what.seconds,
        packets=packets,
        loss=1 - found.delivered / max(1, found.expected),
        server_cpu_seconds=found.server_cpu_seconds,
        us_per_packet=each,
        samples=len(samples),
        shares=sorted(shares, key=lambda share: -share.percent),
        functions=[
            (name, function, each * count / len(samples)) for name, function, count in functions(samples, _FUNCTIONS)
        ],
    )


async def _run(what: Round, tools: Tools, engine: Path) -> Profile:
    with tempfile.TemporaryDirectory(prefix="spaces-profile-") as directory:
        recorded = Path(directory) / "perf.data"

        @asynccontextmanager
        async def beside(pid: int) -> AsyncIterator[None]:
            async with recording(pid, recorded, (LOAD_CORE,)):
                yield

        found = await measure(what, tools, beside)
        return _profile(what, found, recorded, engine)


def main(words: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--listeners", type=int, default=1_500)
    parser.add_argument("--speakers", type=int, default=1)
    parser.add_argument("--tier", choices=get_args(Tier), default="stage")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--programs", type=Path, default=Path("target/release"), help="where `load` and `speakers` are")
    parser.add_argument(
        "--engine",
        type=Path,
        default=Path("target/bench/profiled"),
        help="directory with a build of spaces_ctl, not stripped",
    )
    parser.add_argument("--json", type=Path, help="write it there as well")
    parser.add_argument("--functions", action="store_true", help="print the functions with most samples, too")
    options = parser.parse_args(words)
    what = Round(
        scenario="profile",
        listeners=options.listeners,
        speakers=options.speakers,
        tier=options.tier,
        seconds=options.seconds,
        curve=Linear(500.0),
    )
    engine = options.engine.absolute()
    tools = Tools(programs=options.programs, peers=Path("target/bench/peers"), engine=engine)
    try:
        profile = asyncio.run(_run(what, tools, engine / "spaces_ctl" / "_engine.abi3.so"))
    except (BenchFailed, Missing) as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    print(profile.markdown())
    if options.functions:
        for name, function, us in profile.functions:
            print(f"{us:8.3f} µs  {function}  [{name}]")
    if options.json:
        options.json.write_text(json.dumps(asdict(profile), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
