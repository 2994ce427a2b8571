"""Appends to the event log with and without group commit, in one run on one disk: `python -m bench.store`.

Each appender has a Space of its own and appends one event after the other, waiting for each. "Alone" is the same writer
with one unit to a transaction. The ratio is what counts; absolute figures are those of this machine and disk. With
`--postgresql URL` (an empty database) appends to PostgreSQL are measured besides, where transactions are the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from spaces_ctl import events as ev
from spaces_ctl.model import SYSTEM
from spaces_ctl.store import event_log, writer
from spaces_ctl.store.database import Database, Synchronous

GROUPED, ALONE = writer._MOST_UNITS, 1


@dataclass(frozen=True, slots=True)
class Row:
    """One run."""

    appends_per_s: float
    units_per_commit: float
    cpu_us_per_append: float


async def run(url: str, synchronous: Synchronous, appenders: int, seconds: float) -> Row:
    """Appends for `seconds`."""
    database = await Database.open(url, synchronous=synchronous)
    await database.create_tables()
    units, commits = database.units, database.commits
    until, cpu = time.monotonic() + seconds, time.process_time()

    async def append(space: int) -> int:
        version = 0
        while time.monotonic() < until:
            events = [ev.Muted(account=7, how=ev.MutedHow.SELF)]
            await database.write(
                partial(
                    event_log.append, space=space, expected_version=version, events=events, actor=SYSTEM, at_ms=version
                )
            )
            version += 1
        return version

    began = time.monotonic()
    total = sum(await asyncio.gather(*(append(space) for space in range(1, appenders + 1))))
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    row = Row(
        appends_per_s=round(total / took, 1),
        units_per_commit=round((database.units - units) / (database.commits - commits), 2),
        cpu_us_per_append=round(cpu / total * 1e6, 1),
    )
    await database.aclose()
    return row


def measure(appenders: int, seconds: float, rounds: int, directory: Path) -> dict[str, object]:
    """Both ways of SQLite, in turns; medians."""
    result: dict[str, object] = {}
    modes: tuple[Synchronous, ...] = ("full", "normal")
    for synchronous in modes:
        rows: dict[str, list[Row]] = {"grouped": [], "alone": []}
        for number in range(rounds):
            for name, most in (("grouped", GROUPED), ("alone", ALONE)):
                writer._MOST_UNITS = most
                url = f"sqlite:///{directory / f'{synchronous}-{name}-{number}.db'}"
                rows[name].append(asyncio.run(run(url, synchronous, appenders, seconds)))
        rates = {name: statistics.median(row.appends_per_s for row in of) for name, of in rows.items()}
        result[f"sqlite synchronous={synchronous}"] = {
            "appends_per_s": rates,
            "ratio": round(rates["grouped"] / rates["alone"], 2),
            "rounds": {name: [asdict(row) for row in of] for name, of in rows.items()},
        }
    return result


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--appenders", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=3, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help="on the disk to be measured; default: a temporary one")
    parser.add_argument("--postgresql", metavar="URL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        result = measure(options.appenders, options.seconds, options.rounds, Path(directory))
    if options.postgresql:
        row = asyncio.run(run(options.postgresql, "full", options.appenders, options.seconds))
        result["postgresql"] = asdict(row)
    result["appenders"], result["cores"] = options.appenders, os.cpu_count()
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
