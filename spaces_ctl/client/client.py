"""The client itself: one server, one account (or none), everything that our API can do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import httpx

from spaces_ctl.client.account_verbs import AccountVerbs
from spaces_ctl.client.stage_verbs import StageVerbs
from spaces_ctl.client.streams import Over, StreamEvent, stream
from spaces_ctl.client.talk_verbs import TalkVerbs
from spaces_ctl.client.transport import Retries, Transport

__all__ = ["Space", "SpacesClient"]


class Space(StageVerbs, TalkVerbs):
    """One Space: `client.space("9JqkZbCx3Gq")`. Nothing is asked before a method is called."""

    def events(self, *, after: int | None = None, over: Over = "sse") -> AsyncIterator[StreamEvent]:
        """What happens, as it happens, for good: a lost connection is made again and nothing is missed.

        `after` is the `position` of the last event that is known already. Raises Refused if one may not see the Space.
        """
        return stream(self._transport, f"{self.path}/events", after=after, over=over)


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
        self.me = AccountVerbs(self.transport)

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

    def space(self, space: str) -> Space:
        """One Space by its id."""
        return Space(self.transport, space)
