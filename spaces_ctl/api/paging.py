"""Opaque cursors for lists: the position as msgpack, with the list's name and a MAC, in base64url.

The MAC is no secret-keeping: it keeps a cursor of one list out of another one's query, and a made-up one out of all.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Annotated, Any

import msgspec
from litestar.params import QueryParameter

from spaces_ctl.service.errors import ServiceError

__all__ = ["CursorText", "Cursors", "Limit"]

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many at most.")]
CursorText = Annotated[str | None, QueryParameter(max_length=300, description="`next` of the page before.")]

_MAC_BYTES = 8


class Cursors:
    """Makes cursors and takes them back."""

    def __init__(self, key: bytes) -> None:
        """`key`: at least 16 bytes. Raises ValueError."""
        if len(key) < 16:
            raise ValueError("a key of at least 16 bytes is needed")
        self._key = key

    def make(self, name: str, position: Any) -> str:
        """A cursor of the list `name`."""
        raw = msgspec.msgpack.encode(position)
        return base64.urlsafe_b64encode(self._mac(name, raw) + raw).rstrip(b"=").decode()

    def read(self, name: str, cursor: str | None, kind: Any) -> Any:
        """The position in it, None for no cursor. Raises ServiceError (`request.cursor`)."""
        if cursor is None:
            return None
        try:
            whole = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            mac, raw = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(name, raw)):
                raise ServiceError("request.cursor")
            return msgspec.msgpack.decode(raw, type=kind)
        except (binascii.Error, UnicodeEncodeError, msgspec.MsgspecError) as error:
            raise ServiceError("request.cursor") from error

    def _mac(self, name: str, raw: bytes) -> bytes:
        return hmac.digest(self._key, name.encode() + b"\0" + raw, "sha256")[:_MAC_BYTES]
