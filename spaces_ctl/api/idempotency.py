"""`Idempotency-Key` on POST (draft-ietf-httpapi-idempotency-key-header-07): the same request twice is carried out once.

The second gets the first's answer, with `Idempotency-Replayed: ?1`. Answers that say "not now" (5xx, 429) or "who are
you" (401) are not kept: the request may be sent again under its key. Nor is anything kept of routes whose answers hold
secrets (`opt={"secret": True}`, and the class `auth`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from spaces_ctl.api.errors import FieldError, InvalidRequest
from spaces_ctl.api.gate import principal_of
from spaces_ctl.service.idempotency import IdempotencyKeys
from spaces_ctl.service.ports import Principal

__all__ = ["HEADER", "Idempotent", "is_secret"]

HEADER = "idempotency-key"
_KEY = re.compile(r'"?[\x21\x23-\x7e]{1,255}"?')
_MOST_BYTES = 64 * 1024
_NOT_KEPT = frozenset({401, 408, 429})
_KEPT_HEADERS = (b"content-type", b"location")


class _Stored(msgspec.Struct, array_like=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Idempotent:
    """The middleware, behind the gate: it has to know who asks."""

    def __init__(self, app: ASGIApp, keys: IdempotencyKeys) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what has no key."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST" or is_secret(scope["route_handler"].opt):
            await self.app(scope, receive, send)
            return
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        key = request.headers.get(HEADER)
        if key is None:
            await self.app(scope, receive, send)
            return
        if not _KEY.fullmatch(key):
            raise InvalidRequest(
                [FieldError(where="header", pointer=f"/{HEADER}", detail="Expected 1 to 255 visible ASCII characters")]
            )
        target = scope["raw_path"] + b"?" + scope["query_string"]
        fingerprint = hashlib.sha256(target + b"\0" + await request.body()).digest()
        async with self.keys.once(_owner(principal_of(scope), request), key, fingerprint) as once:
            if once.answer is not None:
                await _replay(once.answer, send)
                return
            answer = _Recorder(send)
            await self.app(scope, receive, answer)
            if (stored := answer.stored()) is not None:
                once.finish(msgspec.msgpack.encode(stored))


def is_secret(opt: Mapping[str, Any]) -> bool:
    """Whether a route's answers are never kept, so that its `Idempotency-Key` is not looked at."""
    return bool(opt.get("open") or opt.get("secret")) or opt.get("rate") == "auth"


def _owner(principal: Principal, request: Request[Any, Any, Any]) -> bytes:
    """Keys of one caller are nobody else's. Guests are told apart by address only."""
    who = (principal.account, principal.app)
    if who == (None, None):
        who = (None, f"ip:{request.client.host if request.client else ''}")
    return hashlib.sha256(repr(who).encode()).digest()


async def _replay(answer: bytes, send: Send) -> None:
    stored = msgspec.msgpack.decode(answer, type=_Stored)
    headers = [
        *stored.headers,
        (b"content-length", str(len(stored.body)).encode()),
        (b"idempotency-replayed", b"?1"),
    ]
    await send({"type": "http.response.start", "status": stored.status, "headers": headers})
    await send({"type": "http.response.body", "body": stored.body, "more_body": False})


class _Recorder:
    """Passes an answer on and keeps it, if it is small."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name, value) for name, value in message["headers"] if name.lower() in _KEPT_HEADERS]
        elif message["type"] == "http.response.body":
            self._bytes += len(message["body"])
            if self._bytes <= _MOST_BYTES:
                self._body.append(message["body"])
        await self._send(message)

    def stored(self) -> _Stored | None:
        if not self._status or self._status >= 500 or self._status in _NOT_KEPT or self._bytes > _MOST_BYTES:
            return None
        return _Stored(self._status, self._headers, b"".join(self._body))
