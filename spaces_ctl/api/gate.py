"""What every request passes before its handler: who is it, did our page send it, how often, how long.

One middleware for all of it, as each costs microseconds of every request. The order is that of the steps in `Gate`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from spaces_ctl.api.limits import RateLimiter, Verdict, callers
from spaces_ctl.api.security import CSRF_HEADER, SAFE_METHODS, CsrfTokens, check_not_foreign, check_same_site
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service import scopes
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal

__all__ = ["Authenticate", "Gate", "Gatekeeper", "principal_of"]

Connection = ASGIConnection[Any, Any, Any, Any]
Authenticate = Callable[[Connection], Awaitable[tuple[Principal, bool]]]
"""Who asks, by the request's credentials, and whether these were a cookie. Raises ServiceError (`auth.*`)."""


class Gatekeeper:
    """What the gate needs, once for all routes."""

    def __init__(
        self, *, settings: ApiSettings, authenticate: Authenticate, limiter: RateLimiter, csrf: CsrfTokens
    ) -> None:
        self.settings = settings
        self.authenticate = authenticate
        self.limiter = limiter
        self.csrf = csrf

    async def admit(self, connection: Connection, opt: dict[str, Any], method: str) -> Verdict:
        """Lets a request in, with its principal in `scope["state"]`. Raises ServiceError."""
        policy = opt.get("rate") or ("read" if method in SAFE_METHODS else "write")
        address = connection.client.host if connection.client else ""
        try:
            principal, by_cookie = await self.authenticate(connection)
        except ServiceError as refusal:
            # Guessing is counted too, by the only thing that is known.
            verdict = self._take(policy, _GUEST, address)
            if "authorization" in connection.headers or not (method in SAFE_METHODS or policy == "auth"):
                raise refusal
            # A page cannot delete a cookie that has become void: it may look around and log in again.
            connection.scope["state"]["principal"] = _GUEST
            return verdict
        connection.scope["state"]["principal"] = principal
        scopes.require(principal, scopes.needed(method, connection.scope["path"]))
        if by_cookie:
            self._check_page(connection, principal, method, opt)
        elif method not in SAFE_METHODS and "authorization" not in connection.headers:
            check_not_foreign(connection.headers, self.settings.origin, self.settings.cors_origins)
        return self._take(policy, principal, address)

    def _check_page(self, connection: Connection, principal: Principal, method: str, opt: dict[str, Any]) -> None:
        """A cookie says who, not whose page asked."""
        websocket = connection.scope["type"] == ScopeType.WEBSOCKET
        if method in SAFE_METHODS and not websocket:
            return
        check_same_site(connection.headers, self.settings.origin)
        if not websocket and not opt.get("csrf_exempt"):
            # A WebSocket cannot bear headers of our own; its Origin is sent by every browser.
            self.csrf.check(principal.session or "", connection.headers.get(CSRF_HEADER))

    def _take(self, policy: str, principal: Principal, address: str) -> Verdict:
        whom = callers(principal.account, principal.app, address, self.settings.address_factor)
        verdict = self.limiter.take(policy, whom)
        if not verdict.allowed:
            raise RateLimited(verdict)
        return verdict


class RateLimited(ServiceError):
    """`rate.limited`, with what the bucket says."""

    def __init__(self, verdict: Verdict) -> None:
        self.headers = {name.decode(): value.decode() for name, value in verdict.headers()}
        super().__init__("rate.limited", retry_after_s=verdict.reset_s)


class Gate:
    """The middleware. `opt` of a route: `open=True` (nobody is asked), `rate=CLASS`, `stream=True` (no time limit)."""

    def __init__(self, app: ASGIApp, keeper: Gatekeeper) -> None:
        self.app = app
        self.keeper = keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admits, then passes on with limits on time."""
        opt = scope["route_handler"].opt
        if opt.get("open"):
            await self.app(scope, receive, send)
            return
        connection: Connection = ASGIConnection(scope, receive, send)
        if scope["type"] == ScopeType.WEBSOCKET:
            # Its handler answers a refusal: only an accepted socket can say why.
            try:
                await self.keeper.admit(connection, opt, "GET")
            except ServiceError as refusal:
                scope["state"]["refusal"] = refusal
            await self.app(scope, receive, send)
            return
        verdict = await self.keeper.admit(connection, opt, str(scope["method"]))
        answer = _Answer(send, verdict)
        settings = self.keeper.settings
        incoming = _Incoming(receive, settings.body_timeout_s)
        if opt.get("stream"):
            await self.app(scope, incoming, answer)
            return
        try:
            async with asyncio.timeout(settings.request_timeout_s):
                await self.app(scope, incoming, answer)
        except TimeoutError as error:
            if answer.started:
                raise
            raise ServiceError("node.timeout") from error


class _Answer:
    """Adds the rate limit's headers."""

    __slots__ = ("headers", "send", "started")

    def __init__(self, send: Send, verdict: Verdict) -> None:
        self.send = send
        self.headers = verdict.headers()
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message["headers"], *self.headers]
        await self.send(message)


class _Incoming:
    """Bounds how long a body may take to arrive."""

    __slots__ = ("complete", "receive", "seconds")

    def __init__(self, receive: Receive, seconds: float) -> None:
        self.receive = receive
        self.seconds = seconds
        self.complete = False

    async def __call__(self) -> Any:
        if self.complete:
            return await self.receive()  # waits for the peer to disconnect
        try:
            async with asyncio.timeout(self.seconds):
                message = await self.receive()
        except TimeoutError as error:
            raise ServiceError("request.timeout") from error
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message


def principal_of(scope: Scope) -> Principal:
    """For the dependency `principal`: a guest where nobody was asked."""
    found: Principal = scope.get("state", {}).get("principal") or _GUEST
    return found


_GUEST = Principal(scopes=frozenset({"*"}))
