"""What was recorded of a Space, wherever it lies now: in the spool, the open file included, or in the store."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.layout import SourceName, source_prefix
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.sealing import CannotUnseal, unseal
from spaces_ctl.media.spool import Entry, Spool
from spaces_ctl.segments import Contents

__all__ = ["LATE_GROUPS", "Archive", "Keys"]

_log = logging.getLogger(__name__)


LATE_GROUPS = 25
"""By so many groups, half a second, a packet of the mix may stand behind its time in the log: in the next file."""


class Keys:
    """The Spaces' keys, as far as the worker was told."""

    def __init__(self) -> None:
        self._keys: dict[int, bytes] = {}

    def learn(self, space: int, key: bytes) -> None:
        """From now on this is the Space's."""
        self._keys[space] = key

    def forget(self, space: int) -> None:
        """What is encrypted with it cannot be read any more."""
        self._keys.pop(space, None)

    def of(self, space: int) -> bytes:
        """The Space's key. Raises KeyError."""
        return self._keys[space]


class Archive:
    """Reads what was recorded. Clips, trims, exports and reviews read through it."""

    def __init__(self, *, spool: Spool, objects: Objects, keys: Keys) -> None:
        self._spool = spool
        self._objects = objects
        self._keys = keys

    async def contents(self, space: int, from_group: int, to_group: int) -> AsyncGenerator[Contents, None]:
        """Every file that may tell of a group in `from_group <= group < to_group`, whole, in order.

        Choose from it by the groups of packets: those of the mix may stand in a file after their own.

        Nothing was recorded: nothing comes. Raises MediaError (`source.key`), StoreUnavailable.
        """
        spooled = {entry.key: entry for entry in self._spool.entries(space)}
        stored = {(name.part, name.sequence): name for name in await self._stored(space)}
        for key in sorted(spooled.keys() | stored.keys()):
            name = stored.get(key)
            if name is not None and not _tells(name.first_group, name.end_group, from_group, to_group):
                continue
            contents = await self._read(space, spooled.get(key), name)
            if contents is not None and _tells(contents.first_group, contents.last_group + 1, from_group, to_group):
                yield contents

    async def _stored(self, space: int) -> list[SourceName]:
        found = await self._objects.list(source_prefix(space))
        return [name for path, _ in found if (name := SourceName.parse(path)) is not None]

    async def _read(self, space: int, entry: Entry | None, name: SourceName | None) -> Contents | None:
        # The spool first: it is nearer. A file that went to the store meanwhile is there.
        data = self._spool.load(entry) if entry is not None else None
        if data is None and name is None and entry is not None:
            name = next((one for one in await self._stored(space) if (one.part, one.sequence) == entry.key), None)
        if data is None and name is not None:
            data = await self.source(space, name)
        if data is None:
            return None
        try:
            return self._spool.read(data)
        except ValueError as error:
            _log.error("a part of the recording of %d is unreadable: %s", space, error)
            return None

    async def source(self, space: int, name: SourceName) -> bytes:
        """A file of the log from the store. Raises MediaError (`source.key`), NoObject, StoreUnavailable."""
        path = name.under(space)
        sealed = await self._objects.get(path)
        try:
            return unseal(self._keys.of(space), path, sealed)
        except (CannotUnseal, KeyError) as error:
            raise MediaError("source.key", str(error)) from error


def _tells(first: int, end: int, from_group: int, to_group: int) -> bool:
    return first < to_group + LATE_GROUPS and end > from_group
