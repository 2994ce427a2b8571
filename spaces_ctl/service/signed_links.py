"""Links that work without credentials for a while: who it is for, until when, and a MAC over both and the path.

A directory as object store cannot sign links (S3 can), and the store shall not be reachable from outside anyway.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal

__all__ = ["SignedLinks"]

_MAC_BYTES = 20


class SignedLinks:
    """Makes links and checks them. Nothing is stored: another key makes all of them void."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        """`key`: at least 16 bytes. Raises ValueError."""
        if len(key) < 16:
            raise ValueError("a key of at least 16 bytes is needed")
        self._key = key
        self._clock = clock

    def query(self, path: str, account: AccountId | None, expires_ms: int) -> str:
        """What has to follow `path` and `?`; `account` None is an operator without an account."""
        who = 0 if account is None else account
        return f"for={who}&expires={expires_ms}&signature={self._signature(path, who, expires_ms)}"

    def check(self, path: str, account: AccountId, expires_ms: int, signature: str, asker: Principal) -> None:
        """Whether the link is ours and still good.

        Raises ServiceError link.invalid (not ours, or sent with the credentials of somebody else than it is for),
        link.expired.
        """
        try:
            given = base64.urlsafe_b64decode(signature.encode("ascii") + b"=" * (-len(signature) % 4))
        except (binascii.Error, UnicodeEncodeError):
            given = b""
        if not hmac.compare_digest(given, self._mac(path, account, expires_ms)):
            raise ServiceError("link.invalid")
        if asker.account is not None and asker.account != account:
            raise ServiceError("link.invalid", "The link is for another account.")
        if self._clock.now_ms() >= expires_ms:
            raise ServiceError("link.expired")

    def _signature(self, path: str, account: AccountId, expires_ms: int) -> str:
        return base64.urlsafe_b64encode(self._mac(path, account, expires_ms)).rstrip(b"=").decode()

    def _mac(self, path: str, account: AccountId, expires_ms: int) -> bytes:
        return hmac.digest(self._key, f"link\0{path}\0{account}\0{expires_ms}".encode(), "sha256")[:_MAC_BYTES]
