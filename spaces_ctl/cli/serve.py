"""`spaces serve`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaces_ctl.cli.configuration import Config, settings
from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.output import Json

if TYPE_CHECKING:
    from spaces_ctl.settings import Settings

_Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="HTTP (TCP) and audio (UDP); 0 takes any.")]


def serve(
    config: Config = None,
    dev: Annotated[bool, typer.Option("--dev", help="A ready deployment with accounts, on this machine.")] = False,
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where --dev keeps its state.")] = Path(".spaces-dev"),
    port: _Port = None,
    json: Json = False,
) -> None:
    """The server: page, API and audio. Ctrl-C (SIGTERM) ends it gently, a second one at once; SIGHUP reads
    certificates again.
    """
    read = settings(config)
    if port is not None:
        read = _on_port(read, port)
    if dev:
        _development(read, directory, json)
    else:
        _run(read)


def _run(read: "Settings") -> None:
    from spaces_ctl.serve.composition import compose
    from spaces_ctl.serve.logs import configure
    from spaces_ctl.serve.run import serve as run

    configure(read.logging, node=read.node.name)
    _started(lambda: run(read, compose))
