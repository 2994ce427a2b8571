"""Links by e-mail: to verify an address, and to choose a new password. Nothing here tells who has an account."""

from __future__ import annotations

import logging

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service import secret as secrets
from spaces_ctl.service.answering import AnsweringDatabase
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.ports import Mailer
from spaces_ctl.service.secret import Kind
from spaces_ctl.service.sessions import Sessions
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.store import accounts as account_store
from spaces_ctl.store import sessions as store
from spaces_ctl.store.database import Database

__all__ = ["EmailLinks"]

_log = logging.getLogger(__name__)

_HOUR_MS = 3_600_000
_VERIFY_MS = 48 * _HOUR_MS
_RESET_MS = _HOUR_MS
_PER_ADDRESS = Window(3, _HOUR_MS)
"""E-mails to one address."""


class EmailLinks:
    """Sends links and takes them back, each good once."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        mailer: Mailer,
        sessions: Sessions,
        passwords: Passwords,
        windows: Windows,
        public_url: str,
    ) -> None:
        """Links lead to `public_url`/verify and /reset."""
        self._db = AnsweringDatabase(db)
        self._clock = clock
        self._mailer = mailer
        self._sessions = sessions
        self._passwords = passwords
        self._windows = windows
        self._url = public_url.rstrip("/")

    async def send_verification(self, account: AccountId, email: str) -> None:
        """Sends a link with which `account` shows that the address is its own."""
        link = await self._link(account, "verify", email, _VERIFY_MS)
        if link is not None:
            await self._send(email, "Verify your e-mail address", f"Open this link to verify your address:\n\n{link}\n")

    async def verify(self, secret: str) -> AccountId:
        """The link was opened. Raises ServiceError `auth.token_invalid`, `account.exists` (another's by now)."""
        digest, now = secrets.digest(secret), self._clock.now_ms()
        row = await self._db.write(lambda c: store.take_link(c, digest, "verify", now))
        if row is None:
            raise ServiceError("auth.token_invalid", "The link is not valid any more.")
        owner = await self._db.read(lambda c: account_store.by_email(c, row.email))
        if owner is not None and owner.id != row.account:
            raise ServiceError("account.exists", "The address belongs to another account.")
        await self._db.write(lambda c: account_store.update(c, row.account, email=row.email, email_verified=True))
        account: AccountId = row.account
        return account

    async def send_reset(self, email: str) -> None:
        """Sends a link to choose a new password, if the (verified) address is known; tells nobody whether it is."""
        email = email.strip().lower()
        row = await self._db.read(lambda c: account_store.by_email(c, email))
        link = await self._link(row.id, "reset", email, _RESET_MS) if row is not None else None
        if link is not None:
            text = (
                f"Open this link within an hour to choose a new password:\n\n{link}\n\nNot you? Nothing has changed.\n"
            )
            await self._send(email, "Choose a new password", text)

    async def reset(self, secret: str, password: str) -> None:
        """Sets the new password and ends every session. Raises ServiceError `auth.token_invalid`, `request.invalid`."""
        self._passwords.check(password)  # before the link is used up
        digest, now = secrets.digest(secret), self._clock.now_ms()
        row = await self._db.write(lambda c: store.take_link(c, digest, "reset", now))
        if row is None:
            raise ServiceError("auth.token_invalid", "The link is not valid any more.")
        await self._sessions.set_password(row.account, password)

    async def _link(self, account: AccountId, purpose: str, email: str, life_ms: int) -> str | None:
        if not self._windows.take(("e-mail", email), _PER_ADDRESS).allowed:
            return None
        secret, now = secrets.make(Kind.LINK), self._clock.now_ms()
        values = {
            "digest": secrets.digest(secret),
            "account": account,
            "purpose": purpose,
            "email": email,
            "expires_ms": now + life_ms,
        }
        await self._db.write(lambda c: store.add_link(c, **values))
        return f"{self._url}/{purpose}?token={secret}"

    async def _send(self, to: str, subject: str, text: str) -> None:
        try:
            await self._mailer.send(to, subject, text)
        except OSError as error:
            _log.warning("an e-mail could not be sent: %s", error)
