"""Names in the object store: everything of a Space lies below `spaces/<id>/`.

source/   the segment log, each file encrypted; the name says which groups it tells of
replay/   the public copy: what the packager made, and `ready.json` when it is complete
clips/<n>/  a clip each
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["SourceName", "clip_prefix", "ready_name", "replay_prefix", "source_prefix", "space_prefix"]

_SOURCE = re.compile(r"(\d+)\.(\d+)\.(\d+)-(\d+)\.seg")


def space_prefix(space: int) -> str:
    """All that is kept of a Space."""
    return f"spaces/{space}"


def source_prefix(space: int) -> str:
    """The encrypted log."""
    return f"spaces/{space}/source"


def replay_prefix(space: int) -> str:
    """The public copy."""
    return f"spaces/{space}/replay"


def ready_name(space: int) -> str:
    """The object that is there when the replay is complete."""
    return f"spaces/{space}/replay/ready.json"


def clip_prefix(space: int, clip: int) -> str:
    """One clip."""
    return f"spaces/{space}/clips/{clip}"


class SourceName(NamedTuple):
    """A file of the log in the store."""

    part: int
    sequence: int
    first_group: int
    end_group: int
    """The group after the last one that it tells of."""

    def under(self, space: int) -> str:
        """The object's name; sorted, names are in the order of the log."""
        file = f"{self.part:04}.{self.sequence:08}.{self.first_group:010}-{self.end_group:010}.seg"
        return f"{source_prefix(space)}/{file}"

    @classmethod
    def parse(cls, name: str) -> SourceName | None:
        """The name's meaning; None for an object of another kind."""
        found = _SOURCE.fullmatch(name.rpartition("/")[2])
        return None if found is None else cls(*map(int, found.groups()))
