"""What commands print and read: JSON for programs, tables for people; times."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from spaces_ctl.cli.exits import Exit, Failure, as_json

__all__ = ["Json", "fields", "lines", "milliseconds", "print_json", "table"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.", callback=as_json, is_eager=True)]


def print_json(value: Any) -> None:
    """One JSON document."""
    text = msgspec.json.encode(value, enc_hook=_hook)
    sys.stdout.write(msgspec.json.format(text, indent=2).decode() + "\n")


def lines(*text: str) -> None:
    """Plain lines: paths, tokens and links stay whole."""
    sys.stdout.write("".join(f"{line}\n" for line in text))


def fields(values: Mapping[str, Any]) -> None:
    """Names and values, one a line."""
    width = max((len(name) for name in values), default=0)
    lines(*(f"{name:{width}}  {_cell(value)}" for name, value in values.items()))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as they need to be; nothing is cut, so that a line can be copied."""
    cells = [list(columns), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
    lines(*("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells))


def milliseconds(option: str, text: str) -> int:
    """A time of the command line, local if it names no zone. Raises Failure."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"{option}: not a time: {text!r} (2026-01-31T18:00)", Exit.USAGE) from None
    return round(at.astimezone(UTC).timestamp() * 1000)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _hook(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))
