"""What can go wrong with the database, as types. Errors of a unit's own statements pass as SQLAlchemy raises them."""

from __future__ import annotations

from spaces_ctl.model import SpaceId

__all__ = ["BadBackup", "BadUrl", "Conflict", "NotEmpty", "StoreError", "Unavailable", "Unreachable", "WrongSchema"]


class StoreError(Exception):
    """Any of the below. The text is one line for people and never holds a password."""


class BadUrl(StoreError):
    """The database URL cannot be understood."""


class Unreachable(StoreError):
    """The database could not be opened: no such server, file, database or user."""


class Unavailable(StoreError):
    """An open database did not answer: connection lost, disk full, too busy. Try again later.

    A write that ended so may have been committed if `uncertain`; otherwise it was not.
    """

    def __init__(self, message: str, *, uncertain: bool = False) -> None:
        """`uncertain`: the connection was lost while the commit was under way."""
        self.uncertain = uncertain
        super().__init__(message)


class Conflict(StoreError):
    """Somebody else appended to the Space's log first."""

    def __init__(self, space: SpaceId, expected: int, actual: int) -> None:
        """The log of `space` is at version `actual`, not at `expected`."""
        self.space = space
        self.expected = expected
        self.actual = actual
        super().__init__(f"the log of Space {space} is at version {actual}, not {expected}")


class WrongSchema(StoreError):
    """The database's schema is not the one of this version of Spaces."""


class NotEmpty(StoreError):
    """A backup is restored into an empty database only."""


class BadBackup(StoreError):
    """The file is no backup, is damaged, or comes from another version of the schema."""
