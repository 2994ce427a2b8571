"""Hypothesis strategies for any command or event, made from their types, with small values that meet each other."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from hypothesis import strategies as st

ACCOUNTS = st.integers(1, 9)
_TEXTS = st.sampled_from(["", "abuse", "wave", "joy", "x", "y", "z" * 500])
_TIMES = st.sampled_from([0, 1, 20_000, 1_700_000_000_000, 1_700_003_600_000, 1_800_000_000_000])
_NUMBERS = st.one_of(st.integers(-2, 4), st.sampled_from([30_000, 2**63]))


def of(union: Any) -> st.SearchStrategy[Any]:
    """Any member of a tagged union of structs."""
    info: Any = msgspec.inspect.type_info(union)
    return st.sampled_from([member.cls for member in info.types]).flatmap(of_struct)


def of_struct(struct: type) -> st.SearchStrategy[Any]:
    """One struct, all its fields."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return st.builds(struct, **{field.name: _field(field.name, field.type) for field in info.fields})


def _field(name: str, kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case msgspec.inspect.IntType():
            if name in ("account", "by", "creator", "owner"):
                return ACCOUNTS
            return _TIMES if name.endswith("_ms") else _NUMBERS
        case msgspec.inspect.StrType():
            return _TEXTS
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.EnumType():
            assert issubclass(kind.cls, Enum)
            return st.sampled_from(list(kind.cls))
        case msgspec.inspect.UnionType():
            return st.one_of([_field(name, member) for member in kind.types])
        case msgspec.inspect.VarTupleType():
            return st.lists(_field(name, kind.item_type), max_size=5).map(tuple)
        case msgspec.inspect.StructType():
            return of_struct(kind.cls)
        case _:
            raise NotImplementedError(kind)


def plain(struct: type) -> Any:
    """One struct with dull values."""
    dull: dict[type, Any] = {msgspec.inspect.IntType: 1, msgspec.inspect.StrType: "x", msgspec.inspect.BoolType: True}
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    values: dict[str, Any] = {}
    for field in info.fields:
        if not field.required:
            continue
        if isinstance(field.type, msgspec.inspect.EnumType):
            values[field.name] = next(iter(field.type.cls))
        elif isinstance(field.type, msgspec.inspect.VarTupleType):
            values[field.name] = ("x", "y")
        else:
            values[field.name] = dull[type(field.type)]
    return struct(**values)
