"""How handlers name what the application gives them: `accounts: Injected[Accounts]`."""

from __future__ import annotations

from typing import TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

__all__ = ["Injected"]

T = TypeVar("T")

Injected = NamedDependency[SkipValidation[T]]
"""A dependency, passed as it is: it may be a protocol's, and looking at its type costs time in every request."""
