"""The settings as a tree of names: what a table may hold, what is near to a misspelt name, how a value is read."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

FILE_SUFFIX = "_file"


class Entry(NamedTuple):
    """One field of a section."""

    name: str
    type: Any
    secret: bool
    required: bool
    default: Any
    table: type[msgspec.Struct] | None
    """The value is a table of these fields."""
    rows: type[msgspec.Struct] | None
    """The value is an array of such tables."""
    free: bool
    """The table keeps only what was given (`limits.override`)."""


def entries(section: type[msgspec.Struct]) -> dict[str, Entry]:
    """The fields of a section in order."""
    return {entry.name: entry for entry in map(_entry, msgspec.structs.fields(section))}


def names(section: type[msgspec.Struct]) -> list[str]:
    """All keys that a section takes, `*_file` of secrets included."""
    fields = entries(section).values()
    return [entry.name for entry in fields] + [entry.name + FILE_SUFFIX for entry in fields if entry.secret]


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    found = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def convert(value: Any, kind: Any) -> Any:
    """A value of the file as its type. Raises msgspec.ValidationError."""
    return msgspec.convert(value, kind, dec_hook=_hook)


def from_text(text: str, kind: Any) -> Any:
    """A value of the environment as its type: lists by commas or as JSON. Raises msgspec.ValidationError."""
    plain: Any = text
    if _is_many(kind):
        if text.lstrip().startswith(("[", "{")):
            try:
                plain = json.loads(text)
            except json.JSONDecodeError as error:
                raise msgspec.ValidationError(f"Expected JSON or values with commas between: {error}") from None
        else:
            plain = [part.strip() for part in text.split(",") if part.strip()]
    return msgspec.convert(plain, kind, strict=False, dec_hook=_hook)


def _entry(field: msgspec.structs.FieldInfo) -> Entry:
    extra = {}
    kind = field.type
    if typing.get_origin(kind) is typing.Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta):
                extra.update(meta.extra or {})
        inner = kind.__origin__
    else:
        inner = kind
    table = extra.get("fields_of") or (inner if _is_struct(inner) else None)
    arguments = typing.get_args(inner)
    rows = arguments[0] if typing.get_origin(inner) is tuple and _is_struct(arguments[0]) else None
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return Entry(
        field.name, kind, bool(extra.get("secret")), field.required, default, table, rows, "fields_of" in extra
    )


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_many(kind: Any) -> bool:
    if typing.get_origin(kind) is typing.Annotated:
        kind = kind.__origin__
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return any(_is_many(part) for part in typing.get_args(kind))
    return typing.get_origin(kind) in (tuple, list, frozenset, set)


def _hook(kind: type, value: Any) -> Any:
    if kind is Path:
        if isinstance(value, str):
            return Path(value)
        raise msgspec.ValidationError(f"Expected `str` (a path), got `{type(value).__name__}`")
    raise NotImplementedError(kind)
