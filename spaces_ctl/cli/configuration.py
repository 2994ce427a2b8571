"""Which settings a command works with: `--config`, SPACES_CONFIG, ./spaces.toml, /etc/spaces/spaces.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaces_ctl.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from spaces_ctl.settings import Loaded, Settings

__all__ = ["Config", "find", "read", "settings"]

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", envvar="SPACES_CONFIG", help="Settings; ./spaces.toml if it is there."),
]
_USUAL = (Path("spaces.toml"), Path("/etc/spaces/spaces.toml"))


def find(given: Path | None) -> Path | None:
    """The file to read; None: defaults and environment alone."""
    return given or next((file for file in _USUAL if file.is_file()), None)


def read(given: Path | None) -> Loaded:
    """The settings with their problems."""
    from spaces_ctl.settings import load

    return load(find(given), os.environ)


def settings(given: Path | None) -> Settings:
    """The settings. Raises Failure with all problems, one a line."""
    loaded = read(given)
    if loaded.problems:
        raise Failure("\n        ".join(map(str, loaded.problems)), Exit.USAGE)
    return loaded.settings
