"""What services ask of the media worker (`media.remote.RemoteWorker`), and its refusals as codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import msgspec

from spaces_ctl.media.errors import MediaError, WorkerGone
from spaces_ctl.service.errors import ServiceError

__all__ = ["MediaAsker", "NoWorker", "media_refusals"]

T = TypeVar("T")


class MediaAsker(Protocol):
    """The media worker."""

    async def ask(self, operation: str, request: msgspec.Struct, answer: type[T], *, timeout_s: float = 30.0) -> T:
        """Has an operation carried out. Raises MediaError."""
        ...


class NoWorker:
    """Nothing is recorded here."""

    async def ask(self, operation: str, request: msgspec.Struct, answer: type[T], *, timeout_s: float = 30.0) -> T:
        """See `MediaAsker`."""
        raise WorkerGone("gone", "recordings are switched off")


@contextmanager
def media_refusals(gone: str) -> Iterator[None]:
    """The worker's refusals as ServiceError: `gone` for what is not there, `media.unavailable` for all else."""
    try:
        yield
    except MediaError as error:
        if error.code == "source.gone":
            raise ServiceError(gone) from error
        raise ServiceError("media.unavailable", retry_after_s=5) from error
