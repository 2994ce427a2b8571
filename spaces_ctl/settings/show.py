"""Settings for people: the commented example, and the values in force with where they came from."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from spaces_ctl.settings import model
from spaces_ctl.settings.load import Loaded
from spaces_ctl.settings.model import Settings
from spaces_ctl.settings.tree import FILE_SUFFIX, Entry, entries

MASK = "********"


class Shown(NamedTuple):
    """One value in force."""

    path: str
    value: Any
    """As JSON has it; a secret is masked."""
    source: str


def shown(loaded: Loaded) -> Iterator[Shown]:
    """Every value in the order of the file."""
    for section, part in entries(Settings).items():
        assert part.table is not None
        values = getattr(loaded.values, section)
        for name, entry in entries(part.table).items():
            path = f"{section}.{name}"
            value = getattr(values, name)
            if entry.free:
                for key, single in value.items():
                    yield Shown(f"{path}.{key}", _plain(single), loaded.sources.get(f"{path}.{key}", "default"))
            else:
                yield Shown(path, _masked(entry, value), loaded.sources.get(path, "default"))


def example() -> str:
    """A file with every key at its default, each with its comment."""
    lines = [
        "# Settings of a Spaces server. Every value here is the default: keep only what you change.",
        "# A variable wins over this file: SPACES_DATABASE__URL is database.url.",
        '# Paths are relative to this file. A secret may stand in a file of its own: password_file = "…".',
    ]
    for section, part in entries(Settings).items():
        assert part.table is not None
        lines += ["", *_comment(inspect.getdoc(part.table) or ""), f"[{section}]"]
        docs = _docs()[part.table.__name__]
        for name, entry in entries(part.table).items():
            lines += _comment(docs[name])
            if entry.free:
                lines.append(f"# [{section}.{name}]")
            elif entry.rows is not None:
                lines += _rows(f"{section}.{name}", entry.rows)
            elif entry.secret:
                lines.append(f'# {name}{FILE_SUFFIX} = "{name.replace("_", "-")}.txt"')
            elif entry.default is None:
                lines.append(f'# {name} = ""')
            else:
                lines.append(f"{name} = {_toml(entry.default)}")
    return "\n".join(lines) + "\n"


def _rows(path: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    docs = _docs()[kind.__name__]
    yield f"# [[{path}]]"
    for name, entry in entries(kind).items():
        for line in _comment(docs[name]):
            yield f"# {line}"
        value = "…" if entry.required else entry.default
        yield f"# {name} = {_toml(value)}" if not entry.secret else f'# {name}{FILE_SUFFIX} = "{name}.txt"'


def _comment(text: str) -> list[str]:
    return [f"# {line}" for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, 110)]


def _toml(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays are TOML's too.
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=lambda other: str(other) if isinstance(other, Path) else other)


def _masked(entry: Entry, value: Any) -> Any:
    if entry.secret:
        return MASK if value else ""
    if entry.rows is not None:
        inner = entries(entry.rows)
        return [{name: _masked(inner[name], getattr(row, name)) for name in inner} for row in value]
    if entry.name == "url" and isinstance(value, str) and (password := urlsplit(value).password):
        return value.replace(f":{password}@", f":{MASK}@")
    return _plain(value)


@cache
def _docs() -> dict[str, dict[str, str]]:
    """The text below each field, by class. Python keeps it in the source alone."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(model)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        texts: dict[str, str] = {}
        for field, text in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                texts[field.target.id] = inspect.cleandoc(str(text.value.value))
        found[node.name] = texts
    return found
