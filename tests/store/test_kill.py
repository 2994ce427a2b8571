"""SIGKILL in the middle of appends: what was acknowledged is there, whole and in order. On both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from spaces_ctl.store import event_log
from spaces_ctl.store.database import Database

_SCRIPT = Path(__file__).with_name("appending_process.py")


async def test_every_acknowledged_append_survives_the_process(database_url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, _SCRIPT, database_url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout as output:
        told = [output.readline() for _ in range(400)]
        process.kill()
        told += output.readlines()  # what the pipe still held was acknowledged, too
    process.wait()
    # The last line may be cut off by the kill.
    acknowledged = [tuple(map(int, line.split())) for line in told if line.endswith("\n")]
    assert len(acknowledged) >= 400

    database = await Database.open(database_url)
    for space in range(1, 9):
        versions = [r.version for r in await database.read(partial(event_log.read, space=space))]
        assert versions == list(range(1, len(versions) + 1))
        last = max((version for of, version in acknowledged if of == space), default=0)
        assert len(versions) in (last, last + 1), "what was acknowledged, and at most the one under way"
    head = await database.read(event_log.head)
    log = await database.read(lambda c: event_log.read_all(c, 0, head + 1))
    assert [r.sequence for r in log] == list(range(1, head + 1))
    await database.aclose()
