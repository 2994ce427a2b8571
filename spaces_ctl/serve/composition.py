"""The whole deployment put together from its settings: database, services, application, and what runs beside them.

The order of entering is the order of recovery: database, services, live Spaces into the engine, then the application.
What runs beside (presence, timers, upkeep) ends before the database is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from litestar.types import ControllerRouterHandler

from spaces_ctl.api import app as application
from spaces_ctl.api.auth import embedding, logins, profiles, providers
from spaces_ctl.api.auth.logins import AuthRules
from spaces_ctl.api.oauth import apps, authorize
from spaces_ctl.api.oauth import tokens as oauth_tokens
from spaces_ctl.api.security import CsrfTokens
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.clock import Clock, SystemClock
from spaces_ctl.events import AccountBlocked
from spaces_ctl.model import Actor
from spaces_ctl.serve.errors import BadSettings, DatabaseUnreachable, SchemaOutdated
from spaces_ctl.serve.identity import Identity, identity, social_graph
from spaces_ctl.serve.run import Running
from spaces_ctl.serve.secrets import derived
from spaces_ctl.service.counters import Counters
from spaces_ctl.service.email_links import EmailLinks
from spaces_ctl.service.graph import WritableGraph
from spaces_ctl.service.idempotency import IdempotencyKeys
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.journal import BlockEntry, Journal
from spaces_ctl.service.oidc import Oidc
from spaces_ctl.service.oidc import OidcProvider as Provider
from spaces_ctl.service.ports import EventBus
from spaces_ctl.service.presence import Presence
from spaces_ctl.service.programming import EPOCH_SHIFT
from spaces_ctl.service.reading import Reading
from spaces_ctl.service.recovery import boot
from spaces_ctl.service.side_effects import SideEffects
from spaces_ctl.service.snowflake import Snowflakes
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.service.timers import TimerLoop
from spaces_ctl.service.tokens import Tokens
from spaces_ctl.service.upkeep import Upkeep
from spaces_ctl.settings.model import Settings
from spaces_ctl.store.bus import LocalBus
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import BadUrl, Unavailable, Unreachable, WrongSchema
from spaces_ctl.store.migrate import check

__all__ = ["Deployment", "compose", "database_refusals", "opened"]

_JOURNAL = "journal"
_FORGET_S = 3600.0


_PROFILES = [
    profiles.edit,
    profiles.blocks,
    profiles.mutes,
    profiles.following,
    profiles.followers,
    profiles.account,
    profiles.by_handle,
]
"""All but `GET /me`, which the API answers itself, with where one is wanted now."""


class Deployment:
    """The services of one life of the control loop, and their application."""

    def __init__(self, *, db: Database, spaces: Spaces, identity: Identity) -> None:
        self.db = db
        self.spaces = spaces
        self.identity = identity
        self.app: Any = None
        """ASGI."""
        self._beside: list[asyncio.Task[None]] = []
        self._draining = False

    def beside(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs something until `aclose`."""
        self._beside.append(asyncio.create_task(work, name=f"spaces-{name}"))

    async def failed(self) -> None:
        """Waits; raises what a task beside died of."""
        done, _ = await asyncio.wait(self._beside, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
            raise RuntimeError(f"{task.get_name()} has ended")

    def draining(self) -> None:
        """Not ready for anything new."""
        self._draining = True

    async def check_draining(self) -> None:
        """For `/readyz`. Raises RuntimeError."""
        if self._draining:
            raise RuntimeError("the server is stopping")

    async def aclose(self) -> None:
        """Ends what runs beside."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)


@asynccontextmanager
async def compose(settings: Settings, running: Running) -> AsyncIterator[Deployment]:
    """Everything open and live Spaces in the engine. Raises CannotStart."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(opened(settings))
        graph = await stack.enter_async_context(social_graph(settings, db=db, clock=clock))
        ids = Snowflakes(clock, settings.node.id)
        who = await stack.enter_async_context(
            identity(settings, db=db, graph=graph, clock=clock, next_id=ids.next, issuer=running.place.public_url)
        )
        bus = await stack.enter_async_context(_bus(db))
        journal = await _journal(settings, stack)
        spaces = Spaces(
            db=db,
            engine=running.engine,
            graph=graph,
            bus=bus,
            clock=clock,
            limits=settings.limits.resolve(),
            ids=ids,
            journal=journal,
            counters=Counters(clock),
            epoch=_epoch(running),
        )
        stack.push_async_callback(spaces.aclose)
        tokens = Tokens(
            signer=running.signer,
            engine=running.engine,
            clock=clock,
            db=db,
            version_base=_epoch(running) << EPOCH_SHIFT,
            lifetime_s=settings.auth.join_token_minutes * 60,
        )
        who.sessions.on_end(tokens.sign_out)
        deployment = Deployment(db=db, spaces=spaces, identity=who)
        stack.push_async_callback(deployment.aclose)
        await tokens.boot()
        _start_beside(deployment, running, graph, journal, clock)
        await boot(spaces, running.engine, attached=running.attached)
        deployment.app = _application(settings, running, deployment, tokens, graph, bus, clock)
        yield deployment


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database, with this version's tables. Raises BadSettings, DatabaseUnreachable, SchemaOutdated."""
    with database_refusals():
        db = await Database.open(settings.database.full_url)
    try:
        with database_refusals():
            await check(db)
        yield db
    finally:
        await db.aclose()


@contextlib.contextmanager
def database_refusals() -> Iterator[None]:
    """The store's errors as reasons not to start."""
    try:
        yield
    except BadUrl as error:
        raise BadSettings(f"database.url: {error}") from error
    except (Unreachable, Unavailable) as error:
        raise DatabaseUnreachable(f"database.url: {error}") from error
    except WrongSchema as error:
        raise SchemaOutdated(str(error)) from error


def _epoch(running: Running) -> int:
    """Grows with every life of the control loop on one engine; a new process has a new engine."""
    return running.watchdog.restarts + 1


def _bus(db: Database) -> AbstractAsyncContextManager[EventBus]:
    if db.dialect == "postgresql":
        from spaces_ctl.store.postgres_bus import PostgresBus

        return PostgresBus(db)
    return LocalBus()


async def _journal(settings: Settings, stack: AsyncExitStack) -> Journal:
    file = settings.node.data_directory / _JOURNAL
    try:
        journal = await Journal.open(file)
    except OSError as error:
        raise BadSettings(f"node.data_directory: cannot keep {file}: {error.strerror}") from error
    stack.push_async_callback(journal.aclose)
    return journal


def _start_beside(
    deployment: Deployment, running: Running, graph: WritableGraph, journal: Journal, clock: Clock
) -> None:
    spaces = deployment.spaces
    presence = Presence(spaces=spaces, engine=running.engine)
    timers = TimerLoop(spaces=spaces)
    effects = SideEffects(spaces=spaces, journal=journal)
    deployment.identity.accounts.on_event(effects.react)

    async def record_block(entry: BlockEntry) -> None:
        event = AccountBlocked(by=entry.by, account=entry.account)
        await graph.apply(event, Actor(account=entry.by), entry.at_ms)

    upkeep = Upkeep(
        spaces=spaces,
        presence=presence,
        timers=timers,
        effects=effects,
        record_block=record_block,
        watchdog=running.watchdog,
    )
    deployment.beside("presence", presence.run())
    deployment.beside("timers", timers.run())
    deployment.beside("upkeep", upkeep.run())
    deployment.beside("forget", _forget(deployment, clock))


async def _forget(deployment: Deployment, clock: Clock) -> None:
    """What has expired is deleted, once an hour."""
    keys = IdempotencyKeys(db=deployment.db, clock=clock)
    who = deployment.identity
    while True:
        for work in (who.sessions.forget_expired, who.oauth.forget_expired, keys.forget_expired):
            with contextlib.suppress(Unavailable):
                await work()
        await asyncio.sleep(_FORGET_S)


def _application(
    settings: Settings,
    running: Running,
    deployment: Deployment,
    tokens: Tokens,
    graph: WritableGraph,
    bus: EventBus,
    clock: Clock,
) -> Any:
    place, who, spaces = running.place, deployment.identity, deployment.spaces
    csrf_key = derived(settings, "csrf")
    api = ApiSettings(
        public_url=place.public_url,
        media_urls=place.media_urls,
        trusted_proxies=settings.http.trusted_proxies,
        cors_origins=settings.http.cors_origins,
        metrics_from=settings.http.metrics_from,
        csrf_key=csrf_key,
    )
    pin = place.certificate_sha256
    joins = Joins(
        spaces=spaces,
        engine=running.engine,
        graph=graph,
        tokens=tokens,
        addresses=tuple(url.removeprefix("https://") for url in place.media_urls),
        certificate_sha256=None if pin is None else bytes.fromhex(pin),
    )
    reading = Reading(spaces=spaces, db=deployment.db, graph=graph, engine=running.engine, clock=clock)
    services = application.ApiServices(
        clock=clock,
        bus=bus,
        spaces=spaces,
        joins=joins,
        reading=reading,
        accounts=who.accounts,
        idempotency=IdempotencyKeys(db=deployment.db, clock=clock, hours=api.idempotency_hours),
        authentication=who.authentication,
        checks={"database": reading.head, "serving": deployment.check_draining},
        engine_figures=running.engine.stats,
        more={
            "api_settings": api,
            "auth_rules": AuthRules(local_login=settings.auth.local_login, registration=settings.auth.registration),
            "authentication": who.authentication,
            "csrf_tokens": CsrfTokens(csrf_key),
            "email_links": _email_links(settings, place.public_url, deployment, clock),
            "graph": graph,
            "invalidations": _invalidations(settings, graph),
            "oauth": who.oauth,
            "oidc": _oidc(settings, place.public_url, deployment, clock),
            "passwords": who.passwords,
            "service_keys": who.service_keys,
            "sessions": who.sessions,
        },
    )
    return application.create_app(services, api, routers=_PROFILES, root_routers=_routers())


def _routers() -> list[ControllerRouterHandler]:
    return [
        logins.router,
        providers.router,
        embedding.router,
        apps.router,
        authorize.router,
        oauth_tokens.router,
    ]


def _email_links(settings: Settings, public_url: str, deployment: Deployment, clock: Clock) -> EmailLinks | None:
    mail, who = settings.mail, deployment.identity
    if not mail.host:
        return None
    from spaces_ctl.service.mail import SmtpMailer

    mailer = SmtpMailer(
        host=mail.host,
        port=mail.port,
        sender=mail.sender,
        username=mail.username or None,
        password=mail.password or None,
        security=mail.security,
    )
    return EmailLinks(
        db=deployment.db,
        clock=clock,
        mailer=mailer,
        sessions=who.sessions,
        passwords=who.passwords,
        windows=who.windows,
        public_url=public_url,
    )


def _oidc(settings: Settings, public_url: str, deployment: Deployment, clock: Clock) -> Oidc:
    providers = [
        Provider(
            name=one.name,
            issuer=one.issuer,
            client_id=one.client_id,
            client_secret=one.client_secret,
            label=one.label,
            scopes=one.scopes,
        )
        for one in settings.auth.oidc
    ]
    return Oidc(
        db=deployment.db,
        clock=clock,
        accounts=deployment.identity.accounts,
        providers=providers,
        public_url=public_url,
        registration=settings.auth.registration,
    )


def _invalidations(settings: Settings, graph: WritableGraph) -> Any:
    if settings.graph.mode != "http":
        return None
    from spaces_ctl.service.graph_http import HttpGraph, Invalidations

    assert isinstance(graph, HttpGraph)
    return Invalidations(graph, settings.graph.key.encode())
