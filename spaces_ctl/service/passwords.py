"""Passwords: argon2id (RFC 9106) off the event loop, a few at a time, equally slow for accounts that do not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from spaces_ctl.service.errors import ServiceError

__all__ = ["MAX_LENGTH", "MIN_LENGTH", "Passwords"]

T = TypeVar("T")

MIN_LENGTH = 8
"""NIST SP 800-63B section 3.1.1.2."""
MAX_LENGTH = 256


class Passwords:
    """Hashes and verifies. Close it with `close`."""

    def __init__(self, hasher: PasswordHasher | None = None, *, at_once: int = 2, waiting: int = 64) -> None:
        """At most `at_once` hashes are computed together (64 MiB each); beyond `waiting` more, `rate.limited`."""
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="spaces-password")
        self._room = at_once + waiting
        # Meanwhile the server starts: a hash takes a tenth of a second.
        self._nobody = self._pool.submit(self._hasher.hash, "nobody's password")

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown()

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ServiceError `request.invalid` for one too short or too long."""
        self.check(password)
        return await self._run(lambda: self._hasher.hash(password))

    def check(self, password: str) -> None:
        """Raises ServiceError `request.invalid` for a password too short or too long."""
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
            raise ServiceError("request.invalid", f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is right. Takes as long when there is none to compare with (`stored` None)."""
        if len(password) > MAX_LENGTH:
            password = ""  # costs the same and is never right

        def run() -> bool:
            try:
                return self._hasher.verify(stored or self._nobody.result(), password)
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(run) and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._room == 0:
            raise ServiceError("rate.limited", "Too many people are logging in.", retry_after_s=1)
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._room += 1
