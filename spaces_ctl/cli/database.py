"""`spaces db`: the tables and the backups of the settings' database."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from spaces_ctl.cli.configuration import Config, settings
from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.local import store_refusals
from spaces_ctl.cli.output import Json, lines, print_json

if TYPE_CHECKING:
    from spaces_ctl.store.backup import Report

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="The database that the settings name.")


@app.command()
def migrate(config: Config = None, json: Json = False) -> None:
    """Makes the tables, or brings them to this version. Stop the servers of the database first."""
    from spaces_ctl.store import migrate as schema

    url = settings(config).database.full_url
    before = _run(schema.current(url))
    after = _run(schema.upgrade(url))
    if json:
        print_json({"before": before, "after": after})
    else:
        lines(f"{after}: nothing to do" if before == after else f"{before or 'empty'} -> {after}")


@app.command()
def status(config: Config = None, json: Json = False) -> None:
    """Shows which version the tables have; exit code 4 if it is not the one that is needed."""
    from spaces_ctl.store import migrate as schema

    revision, needed = _run(schema.current(settings(config).database.full_url)), schema.head()
    if json:
        print_json({"revision": revision, "needed": needed, "ok": revision == needed})
    else:
        lines(f"{revision or 'no tables'}: " + ("all right" if revision == needed else f"{needed} is needed"))
    if revision != needed:
        raise typer.Exit(Exit.SCHEMA)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; it holds secrets.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Writes everything in the database into one file, while the servers run."""
    from spaces_ctl.store import backup as backups

    _report(_run(backups.backup(settings(config).database.full_url, file)), file, json)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Fills an empty database from a backup: all of it or nothing."""
    from spaces_ctl.store import backup as backups

    _report(_run(backups.restore(settings(config).database.full_url, file)), file, json)


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        with store_refusals():
            return asyncio.run(work)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{name}{error.strerror or error}", Exit.USAGE) from error


def _report(report: "Report", file: Path, json: bool) -> None:
    from spaces_ctl.api.wire import timestamp

    if json:
        at = timestamp(report.created_ms)
        print_json({"file": file, "revision": report.revision, "created": at, "rows": report.rows})
    else:
        lines(f"{file}: {sum(report.rows.values())} rows of {len(report.rows)} tables, {report.revision}")
