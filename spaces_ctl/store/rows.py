"""From a row to a struct with the same names."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

__all__ = ["struct_of"]

T = TypeVar("T")


def struct_of(row: sa.Row[Any], kind: type[T]) -> T:
    """Converts by column name; columns that `kind` does not have are left out. Raises msgspec.ValidationError."""
    # SQLAlchemy's names may be a subclass of str, which msgspec does not take as a key.
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, kind)
