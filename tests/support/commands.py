"""The `spaces` command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.patience import PATIENCE_S


class Ran(NamedTuple):
    """How it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def spaces(*arguments: str, cwd: Path, given: str = "", **environment: str) -> Ran:
    """Runs `spaces ARGUMENTS`; nothing of the developer's own settings or logins is seen."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SPACES_")}
    root = str(Path(__file__).parents[2])
    clean = own | {"XDG_CONFIG_HOME": str(cwd / "config"), "HOME": str(cwd), "PYTHONPATH": root, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "spaces_ctl.cli", *arguments],
        cwd=cwd,
        env=clean | environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
