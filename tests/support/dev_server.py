"""`spaces serve --dev` in a process of its own, on ports of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.patience import PATIENCE_S


class DevServer(NamedTuple):
    """A running one."""

    url: str
    tokens: dict[str, str]
    ids: dict[str, int]
    report: dict[str, Any]
    directory: Path
    process: subprocess.Popen[str]
    seconds: float
    """From the start of the process, seen from outside, until it said that it is ready."""


@contextmanager
def dev_server(directory: Path, *arguments: str) -> Iterator[DevServer]:
    """Runs until the block ends, then asks it to stop; it must do so with exit code 0."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SPACES_")}
    root = str(Path(__file__).parents[2])
    began = time.monotonic()
    command = [sys.executable, "-m", "spaces_ctl.cli", "serve", "--dev", "--port", "0", "--json", *arguments]
    with (directory / "stderr").open("a+") as log:
        process = subprocess.Popen(
            command, cwd=directory, env=own | {"PYTHONPATH": root}, stdout=subprocess.PIPE, stderr=log, text=True
        )
        # Ends the wait below if it neither starts nor fails.
        watch = threading.Timer(PATIENCE_S, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.monotonic() - began
            watch.cancel()
            assert line, (directory / "stderr").read_text()
            report = json.loads(line)
            tokens = {one["handle"]: one["token"] for one in report["accounts"]}
            ids = {one["handle"]: int(one["id"]) for one in report["accounts"]}
            yield DevServer(report["url"], tokens, ids, report, directory / ".spaces-dev", process, seconds)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait() == 0, (directory / "stderr").read_text()
        finally:
            watch.cancel()
            if process.poll() is None:
                process.kill()
            process.communicate()
