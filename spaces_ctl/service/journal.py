"""What was decided while the database was down: a small file that is added to and synced, until the log has it all.

A record is `length u32 | crc32 u32 | msgpack`. A record that was cut off by a crash, and what follows it, is dropped
when the file is opened: its command has not been answered.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from io import FileIO
from pathlib import Path
from typing import Self

import msgspec

from spaces_ctl.commands import SpaceCommand
from spaces_ctl.events import SpaceEvent
from spaces_ctl.model import AccountId, Actor, SpaceId

__all__ = ["BlockEntry", "Entry", "Journal", "SpaceEntry"]

_HEAD = struct.Struct("<II")


class SpaceEntry(msgspec.Struct, frozen=True, kw_only=True, tag="space"):
    """A decision about a Space that is in force in the engine and not in the log."""

    space: SpaceId
    base: int
    """The Space's version before it."""
    at_ms: int
    actor: Actor
    command: SpaceCommand
    events: tuple[SpaceEvent, ...]


class BlockEntry(msgspec.Struct, frozen=True, kw_only=True, tag="block"):
    """`by` has blocked `account`; the graph does not know it yet."""

    by: AccountId
    account: AccountId
    at_ms: int


Entry = SpaceEntry | BlockEntry


class Journal:
    """Entries in the order in which they were made. Made by `open`."""

    def __init__(self, path: Path, file: FileIO, entries: list[Entry]) -> None:
        """Use `open`."""
        self._path = path
        self._file = file
        self._entries = entries
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Opens or makes the file. Raises OSError."""

        def read() -> tuple[FileIO, list[Entry]]:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b", buffering=0)
            entries, good = _parse(path.read_bytes())
            file.truncate(good)
            _sync_directory(path.parent)
            return file, entries

        return cls(path, *await asyncio.to_thread(read))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Those that are not settled."""
        return tuple(self._entries)

    async def append(self, entry: Entry) -> None:
        """On the disk when this returns. Raises OSError."""
        body = msgspec.msgpack.encode(entry)
        async with self._lock:
            await asyncio.to_thread(self._write, _HEAD.pack(len(body), zlib.crc32(body)) + body)
            self._entries.append(entry)

    async def settled(self, entry: Entry) -> None:
        """The log has it. The file is emptied when nothing is left: settling again what is settled does no harm."""
        async with self._lock:
            self._entries = [other for other in self._entries if other is not entry]
            if not self._entries:
                await asyncio.to_thread(self._clear)

    async def aclose(self) -> None:
        """Closes the file; what is not settled stays in it."""
        async with self._lock:
            self._file.close()

    def _write(self, record: bytes) -> None:
        before = os.fstat(self._file.fileno()).st_size
        try:
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            # Half a record would hide those that follow.
            self._file.truncate(before)
            raise

    def _clear(self) -> None:
        self._file.truncate(0)
        os.fsync(self._file.fileno())


def _parse(content: bytes) -> tuple[list[Entry], int]:
    """The whole entries, and where they end."""
    entries: list[Entry] = []
    at = 0
    while at + _HEAD.size <= len(content):
        length, crc = _HEAD.unpack_from(content, at)
        body = content[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) < length or zlib.crc32(body) != crc:
            break
        entries.append(msgspec.msgpack.decode(body, type=Entry))
        at += _HEAD.size + length
    return entries, at


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
