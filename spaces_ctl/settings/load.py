"""Reads settings: the file, the environment over it, the secrets' files. Every problem is found, not the first only.

A variable is `SPACES_`, the section, two underscores, the key: `SPACES_DATABASE__URL`. Names without two underscores
are left alone: they are the command line's (SPACES_TOKEN), or Kubernetes' (SPACES_PORT=tcp://…).
Paths in the file, and those that are defaults, are relative to the file; paths in the environment to where the server
is started.
"""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from spaces_ctl.settings.checks import together
from spaces_ctl.settings.model import Settings
from spaces_ctl.settings.tree import FILE_SUFFIX, Entry, convert, entries, from_text, names, nearest

__all__ = ["Loaded", "Problem", "SettingsError", "load"]

_PREFIX = "SPACES_"
_SQLITE = "sqlite:///"
_SECRET_BYTES = 64 * 1024


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong."""

    path: str
    """`section.key`, or empty for the file as a whole."""
    message: str
    where: str = ""
    """`FILE:LINE`, or the variable's name."""

    def __str__(self) -> str:
        """One line."""
        head = f"{self.path}: {self.message}" if self.path else self.message
        return f"{head} ({self.where})" if self.where else head


class SettingsError(Exception):
    """The settings cannot be used; `problems` has all that is wrong."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was read."""

    values: Settings
    """With defaults in the place of whatever is wrong."""
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    """Where each value that is not a default came from, by path."""
    file: Path | None

    @property
    def settings(self) -> Settings:
        """The settings. Raises SettingsError if there is any problem."""
        if self.problems:
            raise SettingsError(self.problems)
        return self.values


def load(file: Path | None, environment: Mapping[str, str]) -> Loaded:
    """Reads `file` (None: no file) and the environment's `SPACES_*__*`."""
    reader = _Reader(file)
    tree = reader.parse()
    reader.overlay(tree, environment)
    values = reader.anchored(reader.section(Settings, tree, ""))
    problems = reader.problems
    if not problems:
        problems += [
            Problem(path=path, message=message, where=reader.where(path)) for path, message in together(values)
        ]
    return Loaded(values=values, problems=tuple(problems), sources=reader.sources, file=file)


class _Value(msgspec.Struct, frozen=True):
    """A value of the environment, read already."""

    value: Any


class _Reader:
    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._base = Path() if file is None else file.parent
        self._lines: dict[str, int] = {}
        self._variables: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.sources: dict[str, str] = {}

    def parse(self) -> dict[str, Any]:
        """The file as a tree; empty if it cannot be read."""
        if self._file is None:
            return {}
        try:
            text = self._file.read_text(encoding="utf-8")
        except OSError as error:
            self.problems.append(Problem(path="", message=f"cannot read {self._file}: {error.strerror}"))
            return {}
        except UnicodeDecodeError:
            self.problems.append(Problem(path="", message=f"cannot read {self._file}: not UTF-8 text"))
            return {}
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.problems.append(Problem(path="", message=f"{self._file} is not valid TOML: {error}"))
            return {}
        self._lines = _lines(text)
        return tree

    def overlay(self, tree: dict[str, Any], environment: Mapping[str, str]) -> None:
        """Puts the environment's values into the tree."""
        for variable in sorted(environment):
            if not variable.startswith(_PREFIX) or "__" not in variable:
                continue
            path = [part.lower() for part in variable.removeprefix(_PREFIX).split("__")]
            entry = self._find(path, variable)
            if entry is None:
                continue
            dotted = ".".join(path)
            self._variables[dotted] = variable
            kind = str if entry.secret else entry.type
            try:
                value = from_text(environment[variable], kind)
            except msgspec.ValidationError as error:
                self._wrong(dotted, error, environment[variable], entry)
                continue
            table = tree
            for part in path[:-1]:
                below = table.setdefault(part, {})
                if not isinstance(below, dict):
                    break  # The file has no table there: that is told when the file's value is read.
                table = below
            else:
                if entry.secret:
                    # The environment's secret replaces the file's, in whichever of the two ways each is given.
                    plain = entry.name.removesuffix(FILE_SUFFIX)
                    table.pop(plain, None)
                    table.pop(plain + FILE_SUFFIX, None)
                table[path[-1]] = _Value(value)

    def section(self, kind: type[msgspec.Struct], tree: Any, path: str) -> Any:
        """A section of the tree, with defaults where something is wrong."""
        values = self._fields(kind, tree, path)
        for name, entry in entries(kind).items():
            if name in values:
                continue
            if entry.required:
                return None
            if isinstance(entry.default, Path):
                values[name] = self._base / entry.default
        return kind(**values)

    def anchored(self, values: Settings) -> Settings:
        """A relative SQLite path counts from the file as other paths do."""
        url = values.database.url
        if "database.url" in self._variables or not url.startswith(_SQLITE) or url.startswith(f"{_SQLITE}/"):
            return values
        path = self._base / url.removeprefix(_SQLITE)
        database = msgspec.structs.replace(values.database, url=f"{_SQLITE}{path}")
        return msgspec.structs.replace(values, database=database)

    def where(self, path: str) -> str:
        """Where a value was given, or else where its table begins."""
        for name in (path, path + FILE_SUFFIX, path.rpartition(".")[0]):
            if name in self._variables:
                return self._variables[name]
            if name in self._lines:
                return f"{self._file}:{self._lines[name]}"
        return ""

    def _fields(self, kind: type[msgspec.Struct], tree: Any, path: str) -> dict[str, Any]:
        if not isinstance(tree, dict):
            self._add(path, f"expected a table, got {_short(tree)}")
            return {}
        known = entries(kind)
        secret_files = {name + FILE_SUFFIX: entry for name, entry in known.items() if entry.secret}
        values: dict[str, Any] = {}
        for key, value in tree.items():
            below = f"{path}.{key}" if path else key
            if key in known:
                if f"{key}{FILE_SUFFIX}" in tree and known[key].secret:
                    self._add(below, f"give this or {key}{FILE_SUFFIX}, not both")
                self._take(values, known[key], value, below)
            elif key in secret_files:
                self._take_secret(values, secret_files[key], value, below)
            else:
                self._unknown(below, key, kind)
        for name, entry in known.items():
            if entry.required and name not in tree and f"{name}{FILE_SUFFIX}" not in tree:
                self._add(f"{path}.{name}", "is needed")
        return values

    def _take(self, values: dict[str, Any], entry: Entry, value: Any, path: str) -> None:
        if isinstance(value, _Value):
            values[entry.name] = value.value
            self.sources[path] = self.where(path)
        elif entry.free and entry.table is not None:
            values[entry.name] = self._fields(entry.table, value, path)
        elif entry.table is not None:
            values[entry.name] = self.section(entry.table, value, path)
        elif entry.rows is not None and isinstance(value, list):
            self.sources[path] = self.where(path)
            rows = [self.section(entry.rows, row, f"{path}[{n}]") for n, row in enumerate(value)]
            values[entry.name] = tuple(row for row in rows if row is not None)
        else:
            try:
                converted = convert(value, entry.type)
            except msgspec.ValidationError as error:
                self._wrong(path, error, value, entry)
                return
            values[entry.name] = self._base / converted if isinstance(converted, Path) else converted
            self.sources[path] = self.where(path)

    def _take_secret(self, values: dict[str, Any], entry: Entry, value: Any, path: str) -> None:
        name = value.value if isinstance(value, _Value) else value
        if not isinstance(name, str):
            self._add(path, f"expected the path of a file, got {_short(name)}")
            return
        file = Path(name) if isinstance(value, _Value) else self._base / name
        plain = path.removesuffix(FILE_SUFFIX)
        try:
            with file.open(encoding="utf-8") as handle:
                secret = handle.read(_SECRET_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self._add(path, f"cannot read {file}: {reason}")
            return
        if not secret.strip():
            self._add(path, f"{file} is empty")
            return
        values[entry.name] = secret.strip()
        self.sources[plain] = f"{file} by {self.where(path)}"

    def _find(self, path: list[str], variable: str) -> Entry | None:
        """The field that a variable names."""
        section: type[msgspec.Struct] = Settings
        for depth, part in enumerate(path):
            known = entries(section)
            entry = known.get(part) or known.get(part.removesuffix(FILE_SUFFIX))
            if entry is None or (entry.name != part and not entry.secret):
                self._unknown_variable(variable, path[:depth], part, section)
                return None
            last = depth == len(path) - 1
            if last and entry.table is None:
                return entry._replace(name=part)
            if last or entry.table is None:
                self.problems.append(
                    Problem(path=".".join(path), message="a section cannot be a variable", where=variable)
                    if last
                    else Problem(path=".".join(path), message=f"{entry.name} has nothing below it", where=variable)
                )
                return None
            section = entry.table
        return None

    def _unknown_variable(self, variable: str, above: list[str], part: str, section: type[msgspec.Struct]) -> None:
        near = nearest(part, names(section))
        meant = "" if near is None else _PREFIX + "__".join([*above, near]).upper()
        hint = f"; did you mean {meant}?" if meant else ""
        self.problems.append(Problem(path=".".join([*above, part]), message=f"unknown{hint}", where=variable))

    def _unknown(self, path: str, key: str, section: type[msgspec.Struct]) -> None:
        near = nearest(key, names(section))
        above = path.removesuffix(key)
        hint = f"; did you mean {above}{near}?" if near else ""
        self._add(path, f"unknown{hint}")

    def _wrong(self, path: str, error: msgspec.ValidationError, value: Any, entry: Entry) -> None:
        message, _, inner = str(error).partition(" - at `$")
        if choices := typing.get_args(entry.type) if message.startswith("Invalid enum value") else ():
            message = f"Expected {', '.join(choices[:-1])} or {choices[-1]}"
        got = "" if entry.secret or ", got " in message else f", got {_short(value)}"
        text = message.replace("`", "")
        self._add(path, f"{text[0].lower()}{text[1:]}{got}", inner.rstrip("`"))

    def _add(self, path: str, message: str, inner: str = "") -> None:
        self.problems.append(Problem(path=path + inner, message=message, where=self.where(path)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_TABLE = re.compile(r"^\s*\[(?P<many>\[?)\s*(?P<name>[^\[\]]+?)\s*\]?\]\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*(?P<name>[A-Za-z0-9_.\"'-]+)\s*=")


def _lines(text: str) -> dict[str, int]:
    """Line of each table and key. tomllib tells none; a key inside a multi-line string may get a line of its own."""
    found: dict[str, int] = {}
    table = ""
    rows: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = _bare(header["name"])
            if header["many"]:
                rows[table] = rows.get(table, -1) + 1
                found.setdefault(table, number)
                table = f"{table}[{rows[table]}]"
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _bare(key["name"])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def _bare(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
