"""What a replay's maker knows of the segments it has made, kept in the store beside them: so it outlives a restart."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from spaces_ctl.media.objects import NoObject, Objects
from spaces_ctl.media.segment_maker import Measured
from spaces_ctl.media.timeline import Given, Missing

__all__ = ["Entry", "Ledger"]

Number = TypeVar("Number", bound=np.generic)

_AT_ONCE = 16


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A segment, and what was learnt while it was made."""

    measured: Measured
    started_at_ms: int
    given: tuple[Given, ...] = ()
    missing: tuple[Missing, ...] = ()


class Ledger:
    """All entries of a recording, in order. An entry is in the store after the segment that it tells of."""

    def __init__(self, objects: Objects, prefix: str) -> None:
        """Empty; see `load`. `prefix` is the replay's."""
        self._objects = objects
        self._prefix = prefix
        self.entries: list[Entry] = []

    @classmethod
    async def load(cls, objects: Objects, prefix: str) -> Ledger:
        """What the store has. Raises StoreUnavailable."""
        ledger = cls(objects, prefix)
        try:
            ledger.entries = msgspec.msgpack.decode(await objects.get(ledger._whole), type=list[Entry])
        except NoObject:
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(name: str) -> Entry:
                async with slots:
                    return msgspec.msgpack.decode(await objects.get(name), type=Entry)

            found = await asyncio.gather(*(one(name) for name, _ in await objects.list(ledger._parts)))
            for entry in sorted(found, key=lambda entry: entry.measured.number):
                if entry.measured.number != len(ledger.entries):
                    break
                ledger.entries.append(entry)
        return ledger

    @property
    def segments(self) -> list[Measured]:
        """All of them."""
        return [entry.measured for entry in self.entries]

    @property
    def given(self) -> set[Given]:
        """Whose the seats were."""
        return {given for entry in self.entries for given in entry.given}

    @property
    def missing(self) -> set[Missing]:
        """What was not recorded."""
        return {missing for entry in self.entries for missing in entry.missing}

    async def append(self, entry: Entry) -> None:
        """The next one. Raises StoreUnavailable: then it is not there."""
        await self._objects.put(f"{self._parts}/{entry.measured.number:06}.msgpack", msgspec.msgpack.encode(entry))
        self.entries.append(entry)

    async def bind(self) -> None:
        """Nothing follows: one object instead of many. Raises StoreUnavailable."""
        await self._objects.put(self._whole, msgspec.msgpack.encode(self.entries))
        await self._objects.delete(self._parts)

    def groups(self, field: str, kind: type[Number], start_group: int) -> npt.NDArray[Number]:
        """`powers`, `low`, `high` or `speaking` of every group from one on."""
        kept = [one for one in self.segments if one.end > start_group]
        if not kept:
            return np.zeros(0, kind)
        whole = np.concatenate([np.frombuffer(getattr(one, field), kind) for one in kept])
        return whole[start_group - kept[0].group :]

    @property
    def _parts(self) -> str:
        return f"{self._prefix}/work/index"

    @property
    def _whole(self) -> str:
        return f"{self._prefix}/work/index.msgpack"
