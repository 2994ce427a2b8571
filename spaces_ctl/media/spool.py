"""The spool: what the engine's recorder has written and nobody has put away yet. The one place that looks into it.

Closed files never change. An open one grows until the recorder closes it, or is what a killed process left.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from spaces_ctl.segments import Contents

__all__ = ["Entry", "LogFiles", "Spool", "SpoolFile", "spool_of"]


class SpoolFile(Protocol):
    """One file of a Space's log (`segments.LogFile`)."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def part(self) -> int:
        """A part begins with each process, from 1."""
        ...

    @property
    def sequence(self) -> int:
        """Which file of the part, from 0."""
        ...

    @property
    def closed(self) -> bool:
        """The recorder has ended it."""
        ...


class LogFiles(Protocol):
    """How log files are found and read: the module `spaces_ctl.segments`, or what a test puts in its place."""

    def files(self, directory: Path, space: int) -> Sequence[SpoolFile]:
        """A Space's files in order. Raises OSError."""
        ...

    def read(self, data: bytes) -> Contents:
        """What a file holds; torn and damaged ones as far as they go. Raises ValueError (`segments.BadLog`)."""
        ...


def spool_of(directory: Path, space: int) -> Path:
    """Where the recorder writes a Space's log, in the directory of recordings."""
    return directory / str(space)


class Entry(NamedTuple):
    """A file in the spool."""

    path: Path
    part: int
    sequence: int
    settled: bool
    """It will not change any more: closed, or a later one is there."""

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the log."""
        return self.part, self.sequence


class Spool:
    """A directory with a directory for each Space."""

    def __init__(self, directory: Path, files: LogFiles) -> None:
        self.directory = directory
        self._files = files

    def spaces(self) -> list[int]:
        """Of which something is there."""
        found: list[int] = []
        with suppress(FileNotFoundError):
            for entry in self.directory.iterdir():
                space = int(entry.name) if entry.name.isdecimal() else -1
                if entry == spool_of(self.directory, space) and space >= 0:
                    found.append(space)
        return sorted(found)

    def entries(self, space: int) -> list[Entry]:
        """A Space's files in order."""
        try:
            found = self._files.files(self.directory, space)
        except FileNotFoundError:
            return []
        last = len(found) - 1
        return [Entry(file.path, file.part, file.sequence, file.closed or n < last) for n, file in enumerate(found)]

    def load(self, entry: Entry) -> bytes | None:
        """A file's bytes; None if it is gone."""
        try:
            return entry.path.read_bytes()
        except FileNotFoundError:
            return None

    def read(self, data: bytes) -> Contents:
        """What a file holds. Raises ValueError: it is no log."""
        return self._files.read(data)

    def remove(self, entry: Entry) -> None:
        """Deletes a file."""
        entry.path.unlink(missing_ok=True)

    def clear(self, space: int) -> None:
        """Deletes everything of a Space."""
        shutil.rmtree(spool_of(self.directory, space), ignore_errors=True)

    def size(self) -> int:
        """Bytes of all Spaces."""
        return sum(_size(spool_of(self.directory, space)) for space in self.spaces())

    def free(self) -> int:
        """Bytes that still fit on the disk."""
        with suppress(FileNotFoundError):
            return shutil.disk_usage(self.directory).free
        return 0


def _size(directory: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):
        for file in directory.iterdir():
            with suppress(FileNotFoundError):
                total += file.stat().st_size
    return total
