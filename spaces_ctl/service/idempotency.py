"""Requests that are carried out once, however often they are sent: the answer is kept beside the client's key.

    async with keys.once(owner, key, fingerprint) as once:
        if once.answer is None:
            ...  # carry it out
            once.finish(answer)

Who comes second waits until the first is done. If the first's process died, the second takes over when the first's
time is up; whether the first had carried the request out nobody knows then, so what is behind a key has to be safe to
repeat.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from spaces_ctl.clock import Clock
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.store import idempotency as store
from spaces_ctl.store.database import Database

__all__ = ["IdempotencyKeys", "Once"]

_POLL_S = 0.05
"""How often a process looks whether another one is done."""


class Once:
    """One request under its key."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        """What was answered before; None: carry it out."""
        self.to_store: bytes | None = None

    def finish(self, answer: bytes) -> None:
        """Keeps the answer for those who ask again."""
        self.to_store = answer


class IdempotencyKeys:
    """All keys of the deployment."""

    def __init__(self, *, db: Database, clock: Clock, hours: float = 24, hold_s: float = 60) -> None:
        """Answers are kept for `hours`; a request is given up for lost after `hold_s`."""
        self._db = db
        self._clock = clock
        self._keep_ms = round(hours * 3_600_000)
        self._hold_ms = round(hold_s * 1000)
        self._here: dict[tuple[bytes, str], asyncio.Event] = {}

    @asynccontextmanager
    async def once(self, owner: bytes, key: str, fingerprint: bytes) -> AsyncIterator[Once]:
        """Waits for others with the same key. `owner` and `fingerprint` are digests of 32 bytes.

        Leaving the block without `finish` gives the key up. Raises ServiceError (`idempotency.conflict`) if the key
        stands for another request.
        """
        at = (owner, key)
        while (busy := self._here.get(at)) is not None:
            await busy.wait()
        mine = self._here[at] = asyncio.Event()
        try:
            holder = secrets.token_bytes(16)
            once = await self._hold(owner, key, fingerprint, holder)
            if once.answer is not None:
                yield once
                return
            try:
                yield once
            finally:
                # Shielded: a caller who hangs up leaves the key in order.
                await asyncio.shield(self._settle(owner, key, holder, once.to_store))
        finally:
            del self._here[at]
            mine.set()

    async def _hold(self, owner: bytes, key: str, fingerprint: bytes, holder: bytes) -> Once:
        while True:
            held = await self._try(owner, key, fingerprint, holder)
            if held.mine:
                return Once()
            if held.fingerprint != fingerprint:
                raise ServiceError("idempotency.conflict")
            if held.answer is not None:
                return Once(held.answer)
            await asyncio.sleep(_POLL_S)

    async def _try(self, owner: bytes, key: str, fingerprint: bytes, holder: bytes) -> store.Held:
        now = self._clock.now_ms()
        until, expires = now + self._hold_ms, now + self._keep_ms
        return await self._db.write(lambda c: store.hold(c, owner, key, fingerprint, holder, now, until, expires))

    async def _settle(self, owner: bytes, key: str, holder: bytes, answer: bytes | None) -> None:
        if answer is None:
            with suppress(ServiceError):
                await self._db.write(lambda c: store.release(c, owner, key, holder))
        else:
            await self._db.write(lambda c: store.finish(c, owner, key, holder, answer))

    async def forget_expired(self) -> int:
        """Deletes keys whose time is over; returns how many. To be called now and then."""
        now = self._clock.now_ms()
        return await self._db.write(lambda c: store.delete_expired(c, now))
