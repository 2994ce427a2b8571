"""Where recordings are kept: a directory by default, or anything that speaks S3. A thin face of obstore."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

__all__ = ["About", "BadStoreUrl", "Deleted", "NoObject", "Objects", "StoreUnavailable"]


class StoreUnavailable(OSError):
    """The store did not do what was asked, after its own retries. Nothing is known of what it did."""


class NoObject(LookupError):
    """There is no object of this name."""


class BadStoreUrl(ValueError):
    """Not a place where objects can be kept."""


class Deleted(NamedTuple):
    """What was deleted."""

    objects: int
    bytes: int


class About(NamedTuple):
    """What is known of an object."""

    size: int
    """In bytes."""
    tag: str
    """Another one whenever the object is written."""


_CHUNK = 256 * 1024
_PART_BYTES = 8 * 1024 * 1024
"""S3 takes 10,000 parts: 80 GB."""
_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=30)


class Objects:
    """Objects by name (`spaces/<id>/replay/main.m3u8`); names use slashes and never start with one."""

    def __init__(self, store: ObjectStore, *, local: Path | None = None) -> None:
        """Use `open` or `memory`."""
        self._store = store
        self.local = local
        """The directory, if it is one."""

    @classmethod
    def open(cls, url: str, *, access_key_id: str = "", secret_access_key: str = "") -> Objects:
        """A directory (path or `file:` URL, made if missing) or `s3://bucket/prefix?region=…&endpoint=…`.

        S3 credentials that are not given come from the environment (`AWS_ACCESS_KEY_ID`, ...). Raises BadStoreUrl.
        """
        parts = urlsplit(url)
        if parts.scheme in ("", "file"):
            directory = Path(parts.path if parts.scheme else url).absolute()
            try:
                directory.mkdir(parents=True, exist_ok=True)
                return cls(LocalStore(prefix=directory, automatic_cleanup=True), local=directory)
            except (OSError, BaseError) as error:
                raise BadStoreUrl(f"cannot use {directory}: {error}") from error
        if parts.scheme != "s3" or not parts.netloc:
            raise BadStoreUrl(f"{parts.scheme or url}: only a directory or s3://bucket/prefix can keep recordings")
        try:
            # `S3Config`'s keys, as the operator wrote them: obstore checks them when it is given them.
            options: Any = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            if access_key_id:
                options |= {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
            plain = options.get("endpoint", "").startswith("http:")
            return cls(
                S3Store(
                    parts.netloc,
                    prefix=parts.path.strip("/") or None,
                    client_options={"allow_http": plain, "timeout": _ANSWER, "connect_timeout": _CONNECT},
                    # Few and short: those who can wait do so by `patience`, the others want to know.
                    retry_config={"max_retries": 2, "retry_timeout": _ANSWER},
                    **options,
                )
            )
        except (BaseError, TypeError, ValueError) as error:
            raise BadStoreUrl(str(error)) from error

    @classmethod
    def memory(cls) -> Objects:
        """In this process's memory, for tests."""
        return cls(MemoryStore())

    async def put(self, name: str, data: bytes) -> None:
        """Writes an object whole; nobody ever sees a half of it. Raises StoreUnavailable."""
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        attributes = None if self.local is not None else {"Content-Type": kind}
        try:
            await obstore.put_async(self._store, name, data, attributes=attributes)
        except BaseError as error:
            raise StoreUnavailable(str(error)) from error

    async def put_stream(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Writes an object piece by piece; nobody sees it before it is whole. Raises StoreUnavailable, and whatever
        `pieces` raises: then there is no object.
        """
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        attributes = None if self.local is not None else {"Content-Type": kind}
        failures: list[BaseException] = []

        async def watched() -> AsyncIterator[bytes]:
            try:
                async for piece in pieces:
                    yield piece
            except BaseException as error:
                failures.append(error)
                raise

        try:
            await obstore.put_async(
                self._store, name, watched(), attributes=attributes, chunk_size=_PART_BYTES, max_concurrency=2
            )
        except BaseException as error:
            if failures:
                raise failures[0] from None
            if isinstance(error, BaseError):
                raise StoreUnavailable(str(error)) from error
            raise

    async def make_durable(self, name: str) -> None:
        """Returns when a power loss cannot take the object any more; a store elsewhere sees to that in `put`.

        Raises OSError of the disk.
        """
        if self.local is not None:
            with suppress(FileNotFoundError):  # deleted in the meantime
                await asyncio.to_thread(_sync, self.local / name)

    async def get(self, name: str) -> bytes:
        """Reads an object whole. Raises NoObject, StoreUnavailable."""
        try:
            return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            raise NoObject(name) from error
        except BaseError as error:
            raise StoreUnavailable(str(error)) from error

    async def size(self, name: str) -> int:
        """Length of an object in bytes. Raises NoObject, StoreUnavailable."""
        try:
            return int((await obstore.head_async(self._store, name))["size"])
        except (NotFoundError, FileNotFoundError) as error:
            raise NoObject(name) from error
        except BaseError as error:
            raise StoreUnavailable(str(error)) from error

    async def about(self, name: str) -> About:
        """What is known of an object without reading it. Raises NoObject, StoreUnavailable."""
        try:
            meta = await obstore.head_async(self._store, name)
        except (NotFoundError, FileNotFoundError) as error:
            raise NoObject(name) from error
        except BaseError as error:
            raise StoreUnavailable(str(error)) from error
        tag = (meta["e_tag"] or f"{meta['last_modified'].timestamp():.6f}-{meta['size']}").strip('"')
        return About(int(meta["size"]), tag)

    async def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive), in pieces. Raises NoObject, StoreUnavailable."""
        while start < end:
            until = min(start + _CHUNK, end)
            try:
                piece = bytes(await obstore.get_range_async(self._store, name, start=start, end=until))
            except (NotFoundError, FileNotFoundError) as error:
                raise NoObject(name) from error
            except BaseError as error:
                raise StoreUnavailable(str(error)) from error
            yield piece
            start = until

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """Name and size of every object below `prefix` (a whole path element), ascending. Raises StoreUnavailable."""
        found: list[tuple[str, int]] = []
        try:
            async for batch in obstore.list(self._store, prefix):
                found += [(meta["path"], int(meta["size"])) for meta in batch]
        except BaseError as error:
            raise StoreUnavailable(str(error)) from error
        return sorted(found)

    async def delete(self, prefix: str) -> Deleted:
        """Deletes everything below `prefix`, or the one object of that name; nothing there is no error.

        In a directory also what interrupted writes left, which `list` does not tell of.
        Raises StoreUnavailable: then some may be left; ask again.
        """
        found = await self.list(prefix)
        with suppress(NoObject):
            found.append((prefix, await self.size(prefix)))
        try:
            if found:
                await obstore.delete_async(self._store, [name for name, _ in found])
        except (NotFoundError, FileNotFoundError):
            return await self.delete(prefix)
        except BaseError as error:
            raise StoreUnavailable(str(error)) from error
        if self.local is not None:
            try:
                await asyncio.to_thread(_remove_tree, self.local / prefix)
            except OSError as error:
                raise StoreUnavailable(str(error)) from error
        return Deleted(len(found), sum(size for _, size in found))


def _remove_tree(directory: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        shutil.rmtree(directory)


def _sync(path: Path) -> None:
    """The file, and its name in the directory."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
