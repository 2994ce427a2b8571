"""The identity services and their HTTP routers as one small application, without Spaces: enough for their own tests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import uvicorn
from argon2 import PasswordHasher
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.types import Scope

from spaces_ctl.api.account import HANDLERS as OWN_HANDLERS
from spaces_ctl.api.body import StrictBody
from spaces_ctl.api.credentials import authenticate_by
from spaces_ctl.api.errors import EXCEPTION_HANDLERS
from spaces_ctl.api.gate import Gate, Gatekeeper, principal_of
from spaces_ctl.api.identity import ROOT_ROUTERS, ROUTERS, XAPI_ROUTERS, identity_services
from spaces_ctl.api.limits import RateLimiter
from spaces_ctl.api.paging import Cursors
from spaces_ctl.api.security import CsrfTokens, SecurityHeaders
from spaces_ctl.api.settings import ApiSettings, Rate
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.email_links import EmailLinks
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.oauth import OAuth
from spaces_ctl.service.oauth_apps import OAuthApps
from spaces_ctl.service.oidc import Oidc, OidcProvider
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.service_keys import ServiceKeys
from spaces_ctl.service.sessions import Sessions
from spaces_ctl.service.snowflake import Snowflakes
from spaces_ctl.service.windows import Windows
from spaces_ctl.store.database import Database

__all__ = ["Identity", "Outbox", "serving"]

_EASY = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Outbox:
    """A mailer whose mails can be read."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))


class Identity:
    """All services of identity on one database and clock."""

    def __init__(self, db: Database, clock: Any, public_url: str, oidc_providers: Sequence[OidcProvider] = ()) -> None:
        self.db, self.clock, self.url = db, clock, public_url
        self.windows = Windows(clock)
        self.passwords = Passwords(_EASY)
        self.graph = EmbeddedGraph(db=db)
        self.accounts = Accounts(db=db, graph=self.graph, clock=clock, next_id=Snowflakes(clock).next, limits=Limits())
        self.sessions = Sessions(db=db, clock=clock, passwords=self.passwords, windows=self.windows)
        self.oauth = OAuth(db=db, clock=clock, apps=OAuthApps(db=db, clock=clock), issuer=public_url)
        self.service_keys = ServiceKeys(
            db=db,
            clock=clock,
            accounts=self.accounts,
            oauth=self.oauth,
            windows=self.windows,
            audience=[public_url, f"{public_url}/2/oauth2/token"],
        )
        self.authentication = Authentication(sessions=self.sessions, oauth=self.oauth, service_keys=self.service_keys)
        self.outbox = Outbox()
        self.email_links = EmailLinks(
            db=db,
            clock=clock,
            mailer=self.outbox,
            sessions=self.sessions,
            passwords=self.passwords,
            windows=self.windows,
            public_url=public_url,
        )
        self.oidc = Oidc(db=db, clock=clock, accounts=self.accounts, providers=oidc_providers, public_url=public_url)
        self.x_rates = XRates(self.windows)
        self.rates = {name: Rate(10_000, 10_000) for name in ApiSettings().rates}

    async def person(self, handle: str, password: str = "correct horse", **more: Any) -> int:
        """An account that can log in."""
        made = await self.accounts.create(handle=handle, password_hash=await self.passwords.hash(password), **more)
        return made.id

    def app(self, **more: Any) -> Litestar:
        """The application; `more` are further dependencies (`joins`, `xapi`, `invalidations`)."""
        settings = ApiSettings(public_url=self.url, rates=self.rates)
        csrf = CsrfTokens(b"0123456789abcdef")
        keeper = Gatekeeper(
            settings=settings,
            authenticate=authenticate_by(self.authentication, settings),
            limiter=RateLimiter(self.clock, settings.rates),
            csrf=csrf,
        )
        given: dict[str, Any] = {
            **identity_services(
                authentication=self.authentication,
                sessions=self.sessions,
                passwords=self.passwords,
                graph=self.graph,
                oauth=self.oauth,
                oidc=self.oidc,
                service_keys=self.service_keys,
                xapi=cast("Any", None),
                x_rates=self.x_rates,
                email_links=self.email_links,
            ),
            "accounts": self.accounts,
            "clock": self.clock,
            "csrf": csrf,
            "cursors": Cursors(b"0123456789abcdef"),
            "joins": None,
            "settings": settings,
            "spaces": _NoSpaces(),
            **more,
        }
        return Litestar(
            route_handlers=[
                Router(path="/api/v1", route_handlers=[*OWN_HANDLERS, *ROUTERS]),
                *ROOT_ROUTERS,
                *XAPI_ROUTERS,
            ],
            dependencies={
                "principal": Provide(_principal),
                **{name: Provide(_giving(value), sync_to_thread=False) for name, value in given.items()},
            },
            middleware=[DefineMiddleware(Gate, keeper=keeper)],
            exception_handlers=EXCEPTION_HANDLERS,
            dto=StrictBody,
            return_dto=None,
            before_send=[SecurityHeaders(settings)],
            openapi_config=None,
        )

    def close(self) -> None:
        """Stops the password threads."""
        self.passwords.close()


class _NoSpaces:
    """Nothing is live."""

    live: ClassVar[dict[int, Any]] = {}


async def _principal(scope: Scope) -> Principal:
    return principal_of(scope)


def _giving(value: Any) -> Any:
    return lambda: value


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serves an application on an open loopback socket by uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning", ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()
