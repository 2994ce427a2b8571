"""The client itself: one server, one account (or none), everything that our API can do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from types import NoneType, TracebackType
from typing import Self

import httpx

from spaces_ctl.client.account_verbs import AccountVerbs
from spaces_ctl.client.executing import API
from spaces_ctl.client.moderation import Moderation
from spaces_ctl.client.space import Space, Spaces
from spaces_ctl.client.streams import Over, StreamEvent, stream
from spaces_ctl.client.transport import Retries, Transport
from spaces_ctl.client.views import Login, Own

__all__ = ["SpacesClient"]


class Me(AccountVerbs):
    """What the signed-in account does, is and hears: `client.me`."""

    async def get(self) -> Own:
        """Who one is. Raises Unauthorized if nobody."""
        return await self._transport.request("GET", f"{API}/me", Own)

    def events(self, *, after: int | None = None, over: Over = "sse") -> AsyncGenerator[StreamEvent]:
        """What one is named in, in any Space; `after` is the `position` of the last event that is known."""
        return stream(self._transport, f"{API}/me", after=after, over=over)


class SpacesClient:
    """A server's API, typed.

        async with SpacesClient("https://spaces.example", token=token) as client:
            space = await client.spaces.create(title="Tea")
            await client.space(space.id).start()

    Refusals are exceptions (`client.errors`). What can be repeated without harm is tried again when the connection is
    lost or the server asks for patience.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 15.0,
        retries: Retries | None = None,
        verify: ssl.SSLContext | bool = True,
        handler: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`token`: of a session, an OAuth app or a service key; None: logged out. `handler`: not the network."""
        self.transport = Transport(
            url, token=token, retries=retries or Retries(), timeout_s=timeout_s, verify=verify, handler=handler
        )
        self.spaces = Spaces(self.transport)
        self.me = Me(self.transport)
        self.moderation = Moderation(self.transport)

    async def __aenter__(self) -> Self:
        """Nothing is sent yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.transport.aclose()

    async def register(self, handle: str, password: str, *, name: str = "", email: str | None = None) -> Login:
        """Makes an account and is it from now on. Raises Refused."""
        body = {"handle": handle, "password": password, "name": name, "email": email, "session": "bearer"}
        return await self._begin("register", body)

    async def login(self, name: str, password: str) -> Login:
        """Logs in by handle or e-mail address and is that account from now on. Raises Unauthorized, RateLimited."""
        return await self._begin("login", {"name": name, "password": password, "session": "bearer"})

    async def logout(self) -> None:
        """Ends the session, its connections to Spaces included."""
        await self.transport.request("POST", f"{API}/auth/logout", NoneType)
        self.transport.token = None

    async def _begin(self, how: str, body: dict[str, str | None]) -> Login:
        login = await self.transport.request("POST", f"{API}/auth/{how}", Login, body=body)
        self.transport.token = login.token
        return login

    def space(self, space: str) -> Space:
        """One Space by its id."""
        return Space(self.transport, space)
