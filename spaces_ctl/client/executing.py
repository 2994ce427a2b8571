"""How a command becomes a request: method and path from `spaces_ctl.routes`, the body from `spaces_ctl.api.wire`."""

from __future__ import annotations

from types import NoneType

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.client.transport import Transport
from spaces_ctl.client.views import Done
from spaces_ctl.routes import ACCOUNT_ROUTES, SPACE_ROUTES

__all__ = ["API", "AccountCommands", "SpaceCommands"]

API = "/api/v1"


class SpaceCommands:
    """Commands to one Space."""

    def __init__(self, transport: Transport, space: str) -> None:
        """`space` in base62, as the API and links have it."""
        self._transport = transport
        self.id = space

    @property
    def path(self) -> str:
        """Below the server's address."""
        return f"{API}/spaces/{self.id}"

    async def execute(self, command: c.SpaceCommand) -> Done:
        """Carries a command out, if the account may. Raises Refused; TypeError for a command that is not for people."""
        route = SPACE_ROUTES.get(type(command))
        if route is None:
            raise TypeError(f"{type(command).__name__} is not given over the API")
        return await self._transport.request(
            route.method, self.path + wire.path_of(command), Done, body=wire.body_of(command)
        )


class AccountCommands:
    """Commands of the signed-in account, and moderators' about accounts."""

    def __init__(self, transport: Transport) -> None:
        """One server, one set of credentials."""
        self._transport = transport

    async def execute(self, command: c.AccountCommand) -> None:
        """Carries a command out, if the account may. Raises Refused."""
        route = ACCOUNT_ROUTES[type(command)]
        await self._transport.request(route.method, API + wire.path_of(command), NoneType, body=wire.body_of(command))
