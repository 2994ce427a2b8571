"""The API on a deployment in memory: real services on SQLite, a fake engine, credentials that name who asks.

All routers of `serve.composition` are mounted, on services that are made as there (`api_services`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from litestar import Litestar
from litestar.connection import ASGIConnection

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.app import ApiServices, create_app
from spaces_ctl.api.settings import ApiSettings, Rate
from spaces_ctl.engine import TokenSigner
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.authentication import GUEST
from spaces_ctl.service.captions import Captions
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.idempotency import IdempotencyKeys
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reading import Reading
from spaces_ctl.service.tokens import Tokens
from spaces_ctl.store import accounts as account_store
from spaces_ctl.store.bus import LocalBus
from spaces_ctl.store.database import Database
from tests.support.api_services import ROUTERS, Everything
from tests.support.databases import sqlite_with_tables
from tests.support.site import small_site
from tests.support.worlds import Flaky, World

HOST, ANN, BEN, CID, DAN, EVE = 1, 2, 3, 4, 5, 6
MODERATOR, OPERATOR = 90, 91
EVERYBODY = (HOST, ANN, BEN, CID, DAN, EVE, MODERATOR, OPERATOR, *range(20, 40))

SETTINGS = ApiSettings(
    public_url="http://127.0.0.1:1",
    rates={name: Rate(1_000_000, 1_000_000) for name in ApiSettings().rates},
)
"""Without limits on rates, which have tests of their own."""


def bearer(account: int | None, *, scopes: str = "*", app: str = "", moderator: bool | None = None) -> dict[str, str]:
    """Headers of somebody; None: a guest."""
    if account is None and not app:
        return {}
    is_moderator = account == MODERATOR if moderator is None else moderator
    flags = "m" * is_moderator + "o" * (account == OPERATOR)
    return {"authorization": f"Bearer test/{account or ''}/{scopes}/{app}/{flags}"}


async def authenticate(connection: ASGIConnection[Any, Any, Any, Any]) -> tuple[Principal, bool]:
    """Understands `bearer`, and the cookie `spaces_session=<account>`."""
    header = connection.headers.get("authorization")
    if header is None:
        cookie = connection.cookies.get("spaces_session")
        if cookie is None:
            return GUEST, False
        if not cookie.isdecimal():
            raise ServiceError("auth.session_revoked")
        return Principal(account=int(cookie), scopes=frozenset({"*"}), session=f"s{cookie}"), True
    kind, _, rest = header.removeprefix("Bearer ").partition("/")
    if kind == "expired":
        raise ServiceError("auth.token_expired")
    if kind == "revoked":
        raise ServiceError("auth.session_revoked")
    if kind != "test":
        raise ServiceError("auth.token_invalid")
    account, scopes, app, flags = rest.split("/")
    principal = Principal(
        account=int(account) if account else None,
        scopes=frozenset(scopes.split(",")),
        app=app or None,
        moderator="m" in flags,
        operator="o" in flags,
        session=f"s{account}" if account else None,
    )
    return principal, False


class ApiWorld(World):
    """A `World` with the API in front: `app`, made by `create_app`."""

    settings: ApiSettings
    app: Litestar
    db: Flaky
    """May be made to be down."""
    more: Everything
    """Services beyond those of Spaces."""
    opened: Database
    strangers: Iterator[AccountId]
    """Accounts of which nobody has heard yet."""

    @classmethod
    async def open(
        cls, directory: Path, *, settings: ApiSettings | None = None, limits: Limits | None = None, **app: Any
    ) -> ApiWorld:
        opened = await Database.open(await sqlite_with_tables(directory / "api.db"), synchronous="normal")
        db: Any = Flaky(opened)
        graph: Any = EmbeddedGraph(db=db)  # what a `World` says of its graph is said of the fake one
        limits = limits or Limits(reports_an_hour=1_000_000)
        world = cls(db, graph=graph, limits=limits)
        world.strangers = itertools.count(32)
        world.opened = opened
        world.bus = LocalBus()  # type: ignore[assignment]  # streams listen to it
        world.spaces._bus = world.bus
        world.settings = settings or SETTINGS
        await world.serve(**({"site": small_site(directory)} | app))
        return world

    async def serve(self, **app: Any) -> None:
        """Makes accounts and the application."""
        graph: Any = self.graph
        db: Any = self.db
        self.accounts = Accounts(db=db, graph=graph, clock=self.clock, next_id=self.ids.next, limits=self.limits)
        self.accounts.on_event(self.effects.react)

        def everybody(connection: sa.Connection) -> None:
            for account in EVERYBODY:
                name = f"User {account}"
                account_store.insert(connection, id=account, handle=f"user{account}", name=name, created_ms=1)

        await db.write(everybody)
        tokens = Tokens(db=db, engine=self.engine, signer=TokenSigner.generate(), clock=self.clock)
        self.joins = Joins(
            spaces=self.spaces,
            engine=self.engine,
            graph=graph,
            tokens=tokens,
            media_urls=("https://127.0.0.1:4433",),
            certificate_sha256=lambda: b"\1" * 32,
        )
        self.reading = Reading(spaces=self.spaces, db=db, graph=graph, engine=self.engine, clock=self.clock)
        self.keys = IdempotencyKeys(db=db, clock=self.clock)
        self.captions = Captions(db=db, spaces=self.spaces, engine=self.engine, clock=self.clock, languages=("en",))
        self.more = Everything(self, tokens)
        self.services = ApiServices(
            clock=self.clock,
            bus=self.bus,
            spaces=self.spaces,
            joins=self.joins,
            reading=self.reading,
            accounts=self.accounts,
            idempotency=self.keys,
            captions=self.captions,
            checks={"database": self.reading.head},
            more=self.more.injected(),
        )
        given: dict[str, Any] = {
            "authenticate": authenticate,
            "routers": ROUTERS,
            "root_routers": self.more.root_routers(),
        }
        self.app = create_app(self.services, self.settings, **(given | app))

    async def aclose(self) -> None:
        self.db.down = False
        await self.spaces.aclose()
        self.more.close()
        await self.opened.aclose()

    async def cohost(self, space: SpaceId, *accounts: int) -> None:
        """They speak and become co-hosts."""
        for account in accounts:
            await self.speaks(space, account)
            await self.do(HOST, space, c.AddCohost(account=account))
            await self.do(account, space, c.AcceptCohost())


def path(space: SpaceId, rest: str = "") -> str:
    """Of a Space on the API."""
    return f"/api/v1/spaces/{wire.space_text(space)}{rest}"
