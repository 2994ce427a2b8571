"""The database as services see it that answer people: when it does not answer, they say so by a code.

The API does the same for whatever gets past the services (`SILENT`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy as sa

from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.space_log import StoreDown
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable

__all__ = ["SILENT", "AnsweringDatabase", "answering"]

T = TypeVar("T")

SILENT: tuple[type[Exception], ...] = (Unavailable, StoreDown)
"""What it looks like when the database does not answer: `store.unavailable` to whoever asked."""


@contextmanager
def answering() -> Iterator[None]:
    """Turns `SILENT` into ServiceError `store.unavailable`."""
    try:
        yield
    except SILENT as error:
        raise ServiceError("store.unavailable") from error


class AnsweringDatabase:
    """An open database whose units raise ServiceError `store.unavailable` instead of `Unavailable`."""

    def __init__(self, db: Database) -> None:
        """The database belongs to the caller."""
        self._db = db

    async def read(self, unit: Callable[[sa.Connection], T]) -> T:
        """As `Database.read`."""
        with answering():
            return await self._db.read(unit)

    async def write(self, unit: Callable[[sa.Connection], T]) -> T:
        """As `Database.write`."""
        with answering():
            return await self._db.write(unit)
