"""`spaces serve` in a process of its own, as operators run it: a settings file, `spaces db migrate`, own ports.

The same directory and ports serve again after `kill` or `stop`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.commands import Ran, spaces
from tests.support.patience import PATIENCE_S

__all__ = ["RealServer", "real_server"]

_SETTINGS = """
[http]
port = {http}
[media]
port = {media}
[database]
url = "{database}"
[payments]
provider = "sandbox"
[node]
drain_seconds = 1
[logging]
format = "json"
"""


class RealServer:
    """A server in `directory`; started by `start`."""

    def __init__(self, directory: Path, *, database: str = "sqlite:///spaces.db", more: str = "") -> None:
        """`more`: further tables of the settings."""
        self.directory = directory
        self.more = more
        self.database = database
        self.url = ""
        self.ready: dict[str, Any] = {}
        """What the log says when it is ready: url, media, pid."""
        self._process: subprocess.Popen[bytes] | None = None
        self._configure(0, 0)

    def command(self, *arguments: str, given: str = "", **environment: str) -> Ran:
        """`spaces ARGUMENTS` on the server's machine: with its settings, and this server as the one that is asked."""
        return spaces(*arguments, cwd=self.directory, given=given, **({"SPACES_URL": self.url} | environment))

    def migrate(self) -> None:
        ran = self.command("db", "migrate")
        assert ran.code == 0, ran.err

    def start(self) -> None:
        """Returns when it is ready."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SPACES_")}
        environment = own | {"PYTHONPATH": str(Path(__file__).parents[2])}
        log = self.directory / "log"
        with log.open("ab") as output:
            begin = output.tell()
            command = [sys.executable, "-m", "spaces_ctl.cli", "serve"]
            self._process = subprocess.Popen(
                command, cwd=self.directory, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + PATIENCE_S
        while (found := _ready(log, begin)) is None:
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise AssertionError(f"the server did not start:\n{log.read_text()[begin:]}")
            time.sleep(0.02)
        self.ready, self.url = found, found["url"]
        ports = urlsplit(self.url).port, urlsplit(found["media"]).port
        assert None not in ports
        self._configure(*ports)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Ends it gently."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE_S) == 0, self.log()

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def _configure(self, http: int | None, media: int | None) -> None:
        text = _SETTINGS.format(http=http, media=media, database=self.database)
        (self.directory / "spaces.toml").write_text(text + self.more)


@contextmanager
def real_server(directory: Path, *, database: str = "sqlite:///spaces.db", more: str = "") -> Iterator[RealServer]:
    """One with tables, running; at the end it stops gently and has logged no error."""
    server = RealServer(directory, database=database, more=more)
    server.migrate()
    try:
        server.start()
        yield server
        server.stop()
        errors = [line for line in server.log().splitlines() if '"level": "error"' in line]
        assert errors == []
    finally:
        server.kill()


def _ready(log: Path, begin: int) -> dict[str, Any] | None:
    for line in log.read_bytes()[begin:].decode().splitlines():
        if '"message": "ready"' in line and line.endswith("}"):
            values: dict[str, Any] = json.loads(line)
            return values
    return None
