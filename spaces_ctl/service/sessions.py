"""Login sessions: browsers by cookie, everything else by a bearer secret; both the same underneath."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service import secret as secrets
from spaces_ctl.service.answering import AnsweringDatabase
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.secret import Kind
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.store import accounts as account_store
from spaces_ctl.store import oidc as oidc_store
from spaces_ctl.store import sessions as store
from spaces_ctl.store.database import Database

__all__ = ["Login", "Session", "SessionKind", "SessionRules", "Sessions"]

_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


class SessionKind(StrEnum):
    """How the secret travels. A cookie's secret is refused as a bearer, and the other way round."""

    COOKIE = "cookie"
    BEARER = "bearer"


class SessionRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long sessions live and how often somebody may guess."""

    idle_days: float = 30
    """Over when unused for so long."""
    longest_days: float = 365
    """Over in any case."""
    rotate_ms: int = _DAY_MS
    """A browser's secret is replaced when it is older."""
    grace_ms: int = _MINUTE_MS
    """The replaced secret works for so long: requests may be under way."""
    per_account: Window = Window(10, 15 * _MINUTE_MS)
    """Wrong passwords for one name."""
    per_address: Window = Window(100, 15 * _MINUTE_MS)
    """Wrong passwords from one address."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account is logged in."""

    id: str
    kind: SessionKind
    device: str
    created_ms: int
    seen_ms: int
    current: bool = False


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun, and its secret, told once."""

    account: AccountId
    session: str
    secret: str
    expires_ms: int
    """Unless it is used again before."""


class Sessions:
    """Begins, knows and ends sessions."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        passwords: Passwords,
        windows: Windows,
        rules: SessionRules | None = None,
    ) -> None:
        """`windows` counts wrong passwords, in this process."""
        self._db = AnsweringDatabase(db)
        self._clock = clock
        self._passwords = passwords
        self._windows = windows
        self._rules = rules or SessionRules()
        self._ended: list[Callable[[str], Awaitable[None]]] = []

    def on_end(self, reaction: Callable[[str], Awaitable[None]]) -> None:
        """Adds somebody who is told of each session that somebody ends, before the end is answered."""
        self._ended.append(reaction)

    async def login(self, name: str, password: str, *, address: str, device: str, kind: SessionKind) -> Login:
        """Begins a session for a handle or verified e-mail address.

        Raises ServiceError `auth.credentials`, the same and as late whether the name or the password is wrong;
        `rate.limited` after too many of them, whether or not there is such an account.
        """
        name = name.strip().lower()
        keys = ((("login", name), self._rules.per_account), (("address", address), self._rules.per_address))
        for key, window in keys:
            # Counted before the password is looked at: many guesses at once find no gap.
            standing = self._windows.take(key, window)
            if not standing.allowed:
                wait = standing.retry_after_s(self._clock.now_ms())
                raise ServiceError("rate.limited", "Too many attempts to log in.", retry_after_s=wait)
        row = await self._db.read(lambda c: store.password_of(c, name))
        if not await self._passwords.verify(row.password if row else None, password) or row is None:
            raise ServiceError("auth.credentials")
        self._windows.clear(("login", name))
        if self._passwords.outdated(row.password):
            fresh = await self._passwords.hash(password)
            await self._db.write(lambda c: account_store.update(c, row.id, password=fresh))
        return await self.open(row.id, device=device, kind=kind)

    async def open(self, account: AccountId, *, device: str, kind: SessionKind) -> Login:
        """Begins a session for somebody who has shown who they are."""
        now = self._clock.now_ms()
        secret = secrets.make(Kind.SESSION)
        values = {
            "id": secrets.identifier(),
            "digest": secrets.digest(secret),
            "account": account,
            "kind": kind.value,
            "device": device[:200],
            "created_ms": now,
            "rotated_ms": now,
            "seen_ms": now,
        }
        await self._db.write(lambda c: store.insert(c, **values))
        return Login(account=account, session=str(values["id"]), secret=secret, expires_ms=self._over(now, now))

    async def authenticate(self, secret: str, kind: SessionKind) -> Principal:
        """Who has this secret. Raises ServiceError `auth.token_invalid`, `auth.token_expired`."""
        row = await self._find(secret, kind)
        return Principal(
            account=row.account,
            moderator=row.moderator,
            operator=row.operator,
            scopes=frozenset({"*"}),
            session=row.id,
        )

    async def rotated(self, secret: str) -> Login | None:
        """A new secret for a browser's session, when it is time for one; None otherwise."""
        row = await self._find(secret, SessionKind.COOKIE)
        now, old = self._clock.now_ms(), secrets.digest(secret)
        if now - row.rotated_ms < self._rules.rotate_ms or row.digest != old:
            return None
        fresh = secrets.make(Kind.SESSION)
        if not await self._db.write(lambda c: store.rotate(c, row.id, old, secrets.digest(fresh), now)):
            return None
        return Login(account=row.account, session=row.id, secret=fresh, expires_ms=self._over(row.created_ms, now))

    async def listed(self, principal: Principal) -> list[Session]:
        """Where the account is logged in, the latest used first."""
        account = principal.account
        if account is None:
            raise ServiceError("auth.token_missing")
        rows = await self._db.read(lambda c: store.listed(c, account))
        now = self._clock.now_ms()
        return [
            Session(
                id=row.id,
                kind=SessionKind(row.kind),
                device=row.device,
                created_ms=row.created_ms,
                seen_ms=row.seen_ms,
                current=row.id == principal.session,
            )
            for row in rows
            if self._over(row.created_ms, row.seen_ms) > now
        ]

    def expires_ms(self, session: Session) -> int:
        """When a session is over, unless it is used again before."""
        return self._over(session.created_ms, session.seen_ms)

    async def end(self, account: AccountId, session: str) -> None:
        """Ends one session at once. Raises ServiceError `resource.not_found`."""
        if not await self._db.write(lambda c: store.delete(c, account, session)):
            raise ServiceError("resource.not_found")
        await self._react([session])

    async def end_all(self, account: AccountId, *, but: str | None = None) -> int:
        """Ends all sessions of the account, but for one; returns how many."""
        ended = await self._db.write(lambda c: store.delete_all(c, account, but))
        await self._react(ended)
        return len(ended)

    async def forget_expired(self) -> int:
        """Deletes what is over: sessions, links sent by e-mail, logins at other providers that were given up."""
        now = self._clock.now_ms()
        idle, longest = round(self._rules.idle_days * _DAY_MS), round(self._rules.longest_days * _DAY_MS)

        def write(c: sa.Connection) -> int:
            under_way = store.delete_expired_links(c, now) + oidc_store.delete_expired_states(c, now)
            return under_way + store.delete_expired(c, now - idle, now - longest)

        return await self._db.write(write)

    async def change_password(self, principal: Principal, old: str, new: str) -> None:
        """Sets another password and ends all other sessions. An account without one needs no old one.

        Raises ServiceError `auth.credentials`, `request.invalid`, `rate.limited`.
        """
        account = principal.account
        if account is None:
            raise ServiceError("auth.token_missing")
        row = await self._db.read(lambda c: account_store.one(c, account))
        if row is None:
            raise ServiceError("account.not_found")
        standing = self._windows.take(("password", account), self._rules.per_account)
        if not standing.allowed:
            wait = standing.retry_after_s(self._clock.now_ms())
            raise ServiceError("rate.limited", retry_after_s=wait)
        if row.password is not None and not await self._passwords.verify(row.password, old):
            raise ServiceError("auth.credentials")
        await self.set_password(account, new, but=principal.session)

    async def set_password(self, account: AccountId, new: str, *, but: str | None = None) -> None:
        """Sets another password and ends all sessions, but for one. For those who have shown that they may."""
        fresh = await self._passwords.hash(new)

        def write(c: sa.Connection) -> list[str]:
            account_store.update(c, account, password=fresh)
            return store.delete_all(c, account, but)

        await self._react(await self._db.write(write))

    async def _find(self, secret: str, kind: SessionKind) -> sa.Row[Any]:
        digest, now = secrets.digest(secret), self._clock.now_ms()
        row = await self._db.read(lambda c: store.by_digest(c, digest))
        if row is None or row.kind != kind.value:
            raise ServiceError("auth.token_invalid")
        if self._over(row.created_ms, row.seen_ms) <= now:
            raise ServiceError("auth.token_expired")
        if row.digest != digest and now - row.rotated_ms > self._rules.grace_ms:
            # The old secret turned up late: somebody has a copy of the cookie. Nobody keeps this session.
            await self._db.write(lambda c: store.delete(c, row.account, row.id))
            await self._react([row.id])
            raise ServiceError("auth.session_revoked")
        if now - row.seen_ms > 5 * _MINUTE_MS:
            await self._db.write(lambda c: store.touch(c, row.id, now))
        return row

    async def _react(self, ended: Iterable[str]) -> None:
        for session in ended:
            for reaction in self._ended:
                await reaction(session)

    def _over(self, created_ms: int, seen_ms: int) -> int:
        idle, longest = self._rules.idle_days * _DAY_MS, self._rules.longest_days * _DAY_MS
        return round(min(seen_ms + idle, created_ms + longest))
