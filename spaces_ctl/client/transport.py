"""HTTP below the client: credentials, retries that are safe, answers as values or exceptions."""

from __future__ import annotations

import asyncio
import email.utils
import os
import random
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
import msgspec

from spaces_ctl.client.backoff import Backoff
from spaces_ctl.client.errors import SpacesError, UnexpectedAnswer, Unreachable, refusal

__all__ = ["Retries", "Transport"]

T = TypeVar("T")
Query = Mapping[str, str | int | bool | None]

_RETRIED = frozenset({408, 429, 502, 503, 504})
_KEYED = frozenset({"POST", "PATCH"})
"""Not idempotent by themselves (RFC 9110 §9.2.2): an Idempotency-Key lets a repetition do nothing twice."""


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is tried again, and with which time and chance."""

    attempts: int = 4
    """In all; 1 never tries again."""
    patience_s: float = 30.0
    """A server that asks for a longer wait (Retry-After) gets its refusal told at once."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    now_s: Callable[[], float] = time.time
    """Seconds since 1970, for Retry-After given as a date."""
    key: Callable[[], str] = lambda: str(uuid.uuid4())
    """Makes Idempotency-Keys."""


class Transport:
    """Requests to one server with one set of credentials."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        retries: Retries,
        timeout_s: float,
        verify: ssl.SSLContext | bool,
        handler: httpx.AsyncBaseTransport | None,
    ) -> None:
        """`verify`: how the server's certificate is checked; `handler` instead of the network."""
        self.token = token
        self.timeout_s = timeout_s
        self._verify = verify
        self.retries = retries
        self.http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=timeout_s,
            verify=verify,
            transport=handler,
            headers={"User-Agent": "spaces-client"},
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.http.aclose()

    @property
    def tls(self) -> ssl.SSLContext | None:
        """For what is not HTTP; None without TLS."""
        if self.http.base_url.scheme != "https":
            return None
        return self._verify if isinstance(self._verify, ssl.SSLContext) else httpx.create_ssl_context(self._verify)

    def headers(self) -> dict[str, str]:
        """The credentials."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    async def request(
        self, method: str, path: str, answer: type[T], *, body: object = None, query: Query | None = None
    ) -> T:
        """Asks and reads the answer (`NoneType`: none). Raises SpacesError.

        Tried again after a lost connection, 408, 429, 502, 503 and 504.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = self.headers()
        if content is not None:
            headers["Content-Type"] = "application/json"
        if method in _KEYED:
            headers["Idempotency-Key"] = self.retries.key()
        response = await self._tried(method, path, headers=headers, content=content, params=_given(query))
        return decode(response.content, answer)

    async def _tried(self, method: str, path: str, **request: Any) -> httpx.Response:
        backoff = Backoff(chance=self.retries.chance)
        for attempt in range(1, self.retries.attempts + 1):
            last = attempt == self.retries.attempts
            try:
                response = await self.http.request(method, path, **request)
            except httpx.TransportError as error:
                if last or isinstance(error, httpx.UnsupportedProtocol | httpx.ProtocolError | httpx.ProxyError):
                    raise unreachable(self.http.base_url, error) from error
                await self.retries.sleep(backoff.next_s())
                continue
            if response.status_code < 400:
                return response
            after_s = retry_after(response.headers.get("Retry-After"), self.retries.now_s())
            too_long = after_s is not None and after_s > self.retries.patience_s
            if last or too_long or response.status_code not in _RETRIED:
                raise refusal(response.status_code, response.content, after_s)
            await self.retries.sleep(backoff.next_s(after_s))
        raise AssertionError("attempts is at least 1")


def decode(content: bytes, answer: type[T]) -> T:
    """An answer's body. Raises UnexpectedAnswer."""
    if answer is type(None):
        return None
    try:
        # Not strict: ids are decimal strings on the wire and numbers here.
        return msgspec.json.decode(content, type=answer, strict=False)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(f"not the answer of this API: {error}") from error


def unreachable(url: object, error: Exception) -> SpacesError:
    """One line that says which server and why."""
    reason = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
            # asyncio's own words name the address once more, and not what is wrong with it.
            reason = os.strerror(cause.errno)
        elif isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return Unreachable(f"{str(url).rstrip('/')} does not answer: {reason}")


def retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds to wait by RFC 9110 §10.2.3: a number, or a date."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except ValueError:
        return None


def _given(query: Query | None) -> dict[str, str]:
    def text(value: str | int | bool) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {} if query is None else {name: text(value) for name, value in query.items() if value is not None}
