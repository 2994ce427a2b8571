"""The services of who people are, put together once for the server and for the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from spaces_ctl.clock import Clock
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.graph import EmbeddedGraph, WritableGraph
from spaces_ctl.service.oauth import OAuth, OAuthRules
from spaces_ctl.service.oauth_apps import OAuthApps
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.service_keys import ServiceKeys
from spaces_ctl.service.sessions import SessionRules, Sessions
from spaces_ctl.service.windows import Windows
from spaces_ctl.settings.model import Settings
from spaces_ctl.store.database import Database

__all__ = ["Identity", "identity", "social_graph"]


class Identity(NamedTuple):
    """Accounts and every kind of credential."""

    accounts: Accounts
    sessions: Sessions
    passwords: Passwords
    windows: Windows
    oauth: OAuth
    service_keys: ServiceKeys
    authentication: Authentication


@asynccontextmanager
async def identity(
    settings: Settings, *, db: Database, graph: WritableGraph, clock: Clock, next_id: Callable[[], int], issuer: str
) -> AsyncIterator[Identity]:
    """On an open database. `issuer` is our public URL without a trailing slash."""
    auth, passwords, windows = settings.auth, Passwords(), Windows(clock)
    accounts = Accounts(db=db, graph=graph, clock=clock, next_id=next_id, limits=settings.limits.resolve())
    sessions = Sessions(
        db=db, clock=clock, passwords=passwords, windows=windows, rules=SessionRules(idle_days=auth.session_days)
    )
    oauth = OAuth(
        db=db,
        clock=clock,
        apps=OAuthApps(db=db, clock=clock),
        issuer=issuer,
        rules=OAuthRules(access_ms=auth.access_token_minutes * 60_000),
    )
    keys = ServiceKeys(
        db=db,
        clock=clock,
        accounts=accounts,
        oauth=oauth,
        windows=windows,
        audience=[issuer, f"{issuer}/2/oauth2/token"],
    )
    authentication = Authentication(sessions=sessions, oauth=oauth, service_keys=keys)
    try:
        yield Identity(accounts, sessions, passwords, windows, oauth, keys, authentication)
    finally:
        passwords.close()


@asynccontextmanager
async def social_graph(settings: Settings, *, db: Database, clock: Clock) -> AsyncIterator[WritableGraph]:
    """The embedded graph, or the deployment's own over HTTP."""
    chosen = settings.graph
    if chosen.mode == "embedded":
        yield EmbeddedGraph(db=db)
        return
    from spaces_ctl.service.graph_http import HttpGraph

    graph = HttpGraph(url=chosen.url, key=chosen.key.encode(), db=db, clock=clock, timeout_s=chosen.timeout_ms / 1000)
    try:
        yield graph
    finally:
        await graph.aclose()
