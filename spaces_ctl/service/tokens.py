"""Join tokens: minted seldom, kept meanwhile; sessions that were signed out come in no more.

A token names the account and the session, never a role, so one is good for every Space until it expires. All guests
share one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import NamedTuple

from spaces_ctl.clock import Clock
from spaces_ctl.engine import SetRevoked, TokenSigner
from spaces_ctl.model import AccountId
from spaces_ctl.service.ports import MediaEngine
from spaces_ctl.store import joins as store
from spaces_ctl.store.database import Database

__all__ = ["GUEST_SID", "Token", "Tokens", "sid_of"]

GUEST_SID = 0
"""Nobody's session: connections with it do not supersede each other."""

_MOST_KEPT = 100_000


def sid_of(session: str) -> int:
    """The engine's id of a login session: 63 bits, never `GUEST_SID`."""
    return int.from_bytes(hashlib.blake2b(session.encode(), digest_size=8).digest()) >> 1 or 1


class Token(NamedTuple):
    """A minted token."""

    token: str
    sid: int
    expires_ms: int


class Tokens:
    """Mints and revokes. Revoked sessions are kept in the database until their last token has expired."""

    def __init__(
        self,
        *,
        signer: TokenSigner,
        engine: MediaEngine,
        clock: Clock,
        db: Database,
        version_base: int = 0,
        lifetime_s: float = 3600.0,
    ) -> None:
        """`version_base` is `lease epoch << 40`; `lifetime_s` limits admission only: who is in stays."""
        self._signer = signer
        self._engine = engine
        self._clock = clock
        self._db = db
        self._version = version_base
        self._lifetime_ms = round(lifetime_s * 1000)
        self._kept: OrderedDict[tuple[AccountId | None, int, bool], Token] = OrderedDict()
        self._out: dict[int, int] = {}

    def guest(self) -> Token:
        """For anybody without an account; the same one for about half of its life."""
        return self._get(None, GUEST_SID, anonymous=False)

    def account(self, account: AccountId, session: str | None, *, anonymous: bool = False) -> Token:
        """For an account in a login session; without one (service keys) the token stands for itself."""
        sid = sid_of(session) if session is not None else secrets.randbits(62) + 1
        return self._get(account, sid, anonymous=anonymous)

    async def sign_out(self, session: str) -> None:
        """No connection of this session is there or comes, in any Space, when this returns.

        Raises Unavailable if the database is down: it holds then, but not over a restart.
        """
        sid = sid_of(session)
        until_ms = self._clock.now_ms() + self._lifetime_ms
        for key in [key for key in self._kept if key[1] == sid]:
            del self._kept[key]
        self._out[sid] = until_ms
        await self._tell()
        await self._db.write(lambda c: store.revoke(c, sid, until_ms))

    async def boot(self) -> None:
        """Tells the engine who was signed out before this process began."""
        now_ms = self._clock.now_ms()
        self._out = await self._db.read(lambda c: store.current(c, now_ms))
        await self._tell()

    async def forget_expired(self) -> int:
        """Forgets sessions of which no token is valid any more; returns how many."""
        now_ms = self._clock.now_ms()
        return await self._db.write(lambda c: store.forget(c, now_ms))

    async def _tell(self) -> None:
        now_ms = self._clock.now_ms()
        self._out = {sid: until_ms for sid, until_ms in self._out.items() if until_ms > now_ms}
        self._version += 1
        await self._engine.apply(SetRevoked(version=self._version, sids=tuple(self._out)))

    def _get(self, account: AccountId | None, sid: int, *, anonymous: bool) -> Token:
        now_ms = self._clock.now_ms()
        key = (account, sid, anonymous)
        kept = self._kept.get(key)
        if kept is None or kept.expires_ms - now_ms < self._lifetime_ms // 2:
            expires_ms = now_ms + self._lifetime_ms
            text = self._signer.mint(account=account, sid=sid, expires_at=expires_ms // 1000, anonymous=anonymous)
            kept = Token(text, sid, expires_ms)
            self._kept[key] = kept
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return kept
