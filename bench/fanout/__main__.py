"""Fan-out side by side: our engine and a plain quinn server, on the same core, under the same listeners, in one run.

The server alone has core 0; listeners and speakers have core 1. What counts is the server's own CPU time (user and
system), so that a slow load does not flatter or hide it. Rounds alternate between the servers; the table shows
medians, the JSON every round. Compare only rows with little loss and p99 <= 40 ms: beyond its capacity a server
coalesces, and its figure means nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
BINARIES = ROOT / "target" / "release"
# The wheel as users install it, built like the servers beside it: not the checkout's build for tests.
WHEEL = ROOT / "target" / "bench" / "python"
OUR_SERVER = ROOT / "bench" / "fanout" / "server.py"
SERVER_CORE, LOAD_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Row:
    """One server under one load."""

    server: str
    listeners: int
    speakers: int
    delivered: int
    loss: float
    p50_ms: float
    p99_ms: float
    server_cpu_seconds: float
    frames_per_core_second: float
    kib_per_listener: float


@contextmanager
def process(core: int, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A child on one core, killed at the end."""
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=BINARIES,
        env={**os.environ, "PYTHONPATH": str(WHEEL)},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stdout:
            child.stdout.close()


def line(child: subprocess.Popen[str]) -> str:
    """The next line that a child prints. Raises RuntimeError if it ends instead."""
    out: IO[str] | None = child.stdout
    text = out.readline() if out else ""
    if not text:
        raise RuntimeError(f"{child.args!r} ended with {child.wait()}")
    return text.strip()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid: int) -> int:
    """Resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmRSS:"))


def measure(name: str, pid: int, listeners: int, speakers: int, seconds: int, *load: str) -> Row:
    """Drives the listeners against a running server."""
    before = resident_kib(pid)
    command = (str(BINARIES / "listeners"), *load[:2], str(listeners), str(speakers), str(seconds), *load[2:])
    with process(LOAD_CORE, *command) as child:
        while line(child) != "begin":
            pass
        memory, start = resident_kib(pid), cpu_seconds(pid)
        while line(child) != "end":
            pass
        cpu = cpu_seconds(pid) - start
        report = json.loads(line(child))
    return Row(
        server=name,
        listeners=listeners,
        speakers=speakers,
        delivered=report["delivered"],
        loss=report["loss"],
        p50_ms=report["p50_ms"],
        p99_ms=report["p99_ms"],
        server_cpu_seconds=round(cpu, 3),
        frames_per_core_second=round(report["delivered"] / max(cpu, 1 / TICKS)),
        kib_per_listener=round((memory - before) / listeners, 1),
    )


def plain_quinn(listeners: int, speakers: int, seconds: int) -> Row:
    """The baseline."""
    with process(SERVER_CORE, str(BINARIES / "plain-quinn"), "127.0.0.1:0") as server:
        address = line(server)
        return measure("plain quinn", server.pid, listeners, speakers, seconds, "plain", address)


def spaces(listeners: int, speakers: int, seconds: int) -> Row:
    """Our engine, as users run it: inside a Python process."""
    with process(SERVER_CORE, sys.executable, str(OUR_SERVER), str(SERVER_CORE), str(speakers)) as server:
        at = json.loads(line(server))
        with process(LOAD_CORE, str(BINARIES / "speakers"), at["url"], at["certificate"], *at["tokens"]) as speaking:
            line(speaking)
            time.sleep(0.5)
            return measure("spaces", server.pid, listeners, speakers, seconds, "moqt", at["address"], at["space"])


def median(rows: list[Row], field: Callable[[Row], float]) -> float:
    """The median of one column."""
    return statistics.median(field(row) for row in rows)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--listeners", type=int, nargs="+", default=[200, 600])
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None, help="write every round here")
    options = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        print("two cores are needed: one for the server, one for the load", file=sys.stderr)
        return 1

    rows: list[Row] = []
    print(f"{'server':12} {'listeners':>9} {'speakers':>8} {'frames/core-s':>13} {'ratio':>6} {'loss':>8}", end=" ")
    print(f"{'p50 ms':>7} {'p99 ms':>7} {'KiB each':>8}", flush=True)
    for speakers in options.speakers:
        for listeners in options.listeners:
            base: list[Row] = []
            ours: list[Row] = []
            for _ in range(options.rounds):
                base.append(plain_quinn(listeners, speakers, options.seconds))
                ours.append(spaces(listeners, speakers, options.seconds))
            reference = median(base, lambda row: row.frames_per_core_second)
            for group in (base, ours):
                speed = median(group, lambda row: row.frames_per_core_second)
                print(
                    f"{group[0].server:12} {listeners:9} {speakers:8} {speed:13.0f} {speed / reference:6.2f}", end=" "
                )
                print(
                    f"{median(group, lambda row: row.loss):8.4f} {median(group, lambda row: row.p50_ms):7.1f}", end=" "
                )
                print(f"{median(group, lambda row: row.p99_ms):7.1f}", end=" ")
                print(f"{median(group, lambda row: row.kib_per_listener):8.1f}", flush=True)
            rows += base + ours
    result = json.dumps([asdict(row) for row in rows])
    if options.json:
        options.json.write_text(result)
    else:
        print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
