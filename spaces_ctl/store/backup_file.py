"""The backup file: a gzip stream of msgpack records, each after its length, with a checksum over all at the end.

    Header, Rows, Rows, ..., End

It knows tables, columns and plain values, no database: what one kind wrote, the other reads.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from spaces_ctl.store.errors import BadBackup

__all__ = ["End", "Header", "Reader", "Record", "Rows", "Writer", "reading", "writing"]

_FORMAT = 1
_LENGTH = struct.Struct(">I")
_LARGEST_RECORD = 1 << 30


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="record", forbid_unknown_fields=True):
    pass


class Header(_Record, frozen=True, kw_only=True, tag="spaces-backup"):
    """What is in the file. Columns and numbers of rows by table, in the order in which they come."""

    format: int = _FORMAT
    revision: str
    created_ms: int
    columns: dict[str, list[str]]
    rows: dict[str, int]


class Rows(_Record, frozen=True, kw_only=True):
    """Some rows of a table; values in the order of its columns."""

    table: str
    rows: list[list[Any]]


class End(_Record, frozen=True, kw_only=True):
    """The last record."""

    sha256: bytes
    """Of all bytes before this record."""


Record = Header | Rows | End


class Writer:
    """Call order: `write` any number of times; `end`."""

    def __init__(self, stream: BinaryIO) -> None:
        """On an open (compressing) stream."""
        self._stream = stream
        self._digest = hashlib.sha256()

    def write(self, record: Record) -> None:
        """Appends a record."""
        encoded = msgspec.msgpack.encode(record)
        framed = _LENGTH.pack(len(encoded)) + encoded
        self._digest.update(framed)
        self._stream.write(framed)

    def end(self) -> None:
        """Writes the checksum."""
        self.write(End(sha256=self._digest.digest()))


class Reader:
    """Call order: `header`; `rows` to its end, only then is what was read known to be whole."""

    def __init__(self, stream: BinaryIO) -> None:
        """On an open (decompressing) stream."""
        self._stream = stream
        self._digest = hashlib.sha256()
        self._decode = msgspec.msgpack.Decoder(Record).decode

    def header(self) -> Header:
        """The first record. Raises BadBackup."""
        record = self._next()
        if not isinstance(record, Header):
            raise BadBackup("the file is no backup of Spaces")
        if record.format != _FORMAT:
            raise BadBackup(f"the backup is of format {record.format}, this version reads {_FORMAT}")
        return record

    def rows(self) -> Iterator[Rows]:
        """All rows; checks the file to its end. Raises BadBackup."""
        while True:
            digest = self._digest.digest()
            record = self._next()
            if isinstance(record, End):
                if record.sha256 != digest or self._read(1):
                    raise BadBackup("the backup is damaged: its checksum does not agree")
                return
            if not isinstance(record, Rows):
                raise BadBackup("the backup is damaged: a second header")
            yield record

    def _next(self) -> Record:
        prefix = self._read(_LENGTH.size)
        if len(prefix) < _LENGTH.size:
            raise BadBackup("the backup is cut off")
        (length,) = _LENGTH.unpack(prefix)
        if length > _LARGEST_RECORD:
            raise BadBackup("the backup is damaged: a record has no plausible length")
        encoded = self._read(length)
        if len(encoded) < length:
            raise BadBackup("the backup is cut off")
        self._digest.update(prefix + encoded)
        try:
            record: Record = self._decode(encoded)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise BadBackup("the backup is damaged: a record cannot be read") from None
        return record

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise BadBackup(f"the file is no backup of Spaces, or damaged: {error}") from None


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A new backup at `path`, readable by its owner alone, there when it is whole. Raises FileExistsError, OSError."""
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, filename="", mtime=0) as stream:
                writer = Writer(cast("BinaryIO", stream))
                yield writer
                writer.end()
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename, not over a file that has come meanwhile
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """A backup to be read. Raises OSError."""
    with gzip.open(path, "rb") as stream:
        yield Reader(cast("BinaryIO", stream))
