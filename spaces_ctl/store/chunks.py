"""Long lists in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

__all__ = ["chunks"]

T = TypeVar("T")


def chunks(items: Iterable[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Cuts a list so that one statement's parameters stay within what both databases take."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
