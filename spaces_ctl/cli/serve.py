"""`spaces serve`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaces_ctl.cli.configuration import Config, settings
from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.output import Json

if TYPE_CHECKING:
    from spaces_ctl.settings import Settings


def serve(
    config: Config = None,
    dev: Annotated[bool, typer.Option("--dev", help="A ready deployment with accounts, on this machine.")] = False,
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where --dev keeps its state.")] = Path(".spaces-dev"),
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="HTTP (TCP) and audio (UDP); 0 takes any.")
    ] = None,
    json: Json = False,
) -> None:
    """The server: page, API and audio.

    Ctrl-C or SIGTERM ends it gently, a second one at once; SIGHUP reads the certificates again.
    """
    read = settings(config)
    if port is not None:
        read = _on_port(read, port)
    if dev:
        from spaces_ctl.serve.dev import serve_development

        _running(lambda: serve_development(read, directory, json=json))
    else:
        from spaces_ctl.serve.composition import compose
        from spaces_ctl.serve.logs import configure
        from spaces_ctl.serve.run import serve as run

        configure(read.logging, node=read.node.name)
        _running(lambda: run(read, compose))


def _running(work: Callable[[], None]) -> None:
    from spaces_ctl.serve.errors import BadSettings, CannotStart, SchemaOutdated

    try:
        work()
    except BadSettings as error:
        raise Failure(str(error), Exit.USAGE) from error
    except SchemaOutdated as error:
        raise Failure(str(error), Exit.SCHEMA) from error
    except CannotStart as error:
        raise Failure(str(error), Exit.UNREACHABLE) from error


def _on_port(read: "Settings", port: int) -> "Settings":
    from msgspec.structs import replace

    return replace(read, http=replace(read.http, port=port), media=replace(read.media, port=port))
