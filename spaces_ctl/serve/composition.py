"""The deployment as its settings want it: the services (`service.services`) with the application in front of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from litestar.types import ControllerRouterHandler

from spaces_ctl.api import around as around_api
from spaces_ctl.api import identity, wire
from spaces_ctl.api import media as media_api
from spaces_ctl.api.app import ApiServices, create_app, describe
from spaces_ctl.api.auth.logins import AuthRules
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.media.objects import Objects
from spaces_ctl.payments.sandbox import SandboxPayments
from spaces_ctl.serve.captions import CaptionsProcess
from spaces_ctl.serve.clips import clip_services
from spaces_ctl.serve.doors import EngineDoor
from spaces_ctl.serve.errors import BadSettings, DatabaseUnreachable, SchemaOutdated
from spaces_ctl.serve.media import MediaProcess
from spaces_ctl.serve.run import Running
from spaces_ctl.serve.secrets import derived
from spaces_ctl.service.around import Around, AroundSettings
from spaces_ctl.service.broadcasts import Broadcasts
from spaces_ctl.service.email_links import EmailLinks
from spaces_ctl.service.graph import WritableGraph
from spaces_ctl.service.media_asker import NoWorker
from spaces_ctl.service.oauth import OAuthRules
from spaces_ctl.service.oidc import Oidc
from spaces_ctl.service.oidc import OidcProvider as Provider
from spaces_ctl.service.plays import Plays
from spaces_ctl.service.ports import Mailer
from spaces_ctl.service.replays import Replays
from spaces_ctl.service.retention import Retention
from spaces_ctl.service.services import Services, open_services
from spaces_ctl.service.sessions import SessionRules
from spaces_ctl.service.xapi import SpeakerIds, XApi
from spaces_ctl.settings.model import Settings
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import BadUrl, Unavailable, Unreachable, WrongSchema
from spaces_ctl.store.migrate import check

__all__ = ["Deployment", "api_document", "compose", "database_refusals"]

_ROUTERS: list[ControllerRouterHandler] = [*identity.ROUTERS, *around_api.ROUTERS, *media_api.ROUTERS]
"""Under /api/v1."""

_ROOT_ROUTERS: list[ControllerRouterHandler] = [
    *identity.ROOT_ROUTERS,
    *around_api.ROOT_ROUTERS,
    *media_api.ROOT_ROUTERS,
]
"""Paths that others know: OAuth, share links."""

_SANDBOX = "/sandbox-payments"


class Deployment:
    """The services of one life of the control loop, and their application."""

    def __init__(
        self, settings: Settings, running: Running, services: Services, media: MediaProcess | None = None
    ) -> None:
        self.services = services
        self.media = media
        self.recorded = clip_services(services, media, running.place.public_url)
        """What handlers ask for about recordings."""
        self._draining = False
        mailer = _mailer(settings)
        payments = _payments(settings, running)
        self.around = _around(settings, running, services, mailer, payments)
        self.captions = CaptionsProcess(settings, running, services)
        self.replays = Replays(
            objects=media.objects if media is not None else Objects.memory(),
            spaces=services.spaces,
            reading=services.reading,
            graph=services.graph,
            db=services.db,
        )
        self.retention = _retention(settings, services, self.around, media)
        self.broadcasts = Broadcasts(
            media=media.worker if media is not None else NoWorker(),
            joins=services.joins,
            spaces=services.spaces,
            door=EngineDoor(running.engine, running.signer, broadcasts=True),
            links=self.retention.links,
            clock=services.clock,
        )
        self.app: Any = _application(settings, running, self, mailer, payments)
        """ASGI."""

    async def failed(self) -> None:
        """Waits; raises what a background task of the services died of."""
        await self.services.failed()

    def draining(self) -> None:
        """Not ready for anything new."""
        self._draining = True

    async def check_draining(self) -> None:
        """For `/readyz`. Raises RuntimeError."""
        if self._draining:
            raise RuntimeError("the server is stopping")


@asynccontextmanager
async def compose(settings: Settings, running: Running) -> AsyncIterator[Deployment]:
    """Everything open and live Spaces in the engine. Raises CannotStart."""
    place, auth = running.place, settings.auth
    with database_refusals():
        db = await Database.open(settings.database.full_url)
        try:
            await check(db)
        finally:
            await db.aclose()
    media = MediaProcess.of(settings)
    async with AsyncExitStack() as stack:
        with _data_refusals(settings):
            services = await stack.enter_async_context(
                open_services(
                    database_url=settings.database.full_url,
                    engine=running.engine,
                    attached=running.attached,
                    signer=running.signer,
                    media_urls=place.media_urls,
                    certificate_sha256=running.pin,
                    directory=settings.node.data_directory,
                    public_url=place.public_url,
                    limits=settings.limits.resolve(),
                    node=settings.node.name,
                    node_number=settings.node.id,
                    graph=_graph_over_http(settings, stack),
                    session_rules=SessionRules(idle_days=auth.session_days),
                    oauth_rules=OAuthRules(access_ms=auth.access_token_minutes * 60_000),
                    join_token_s=auth.join_token_minutes * 60,
                    watchdog=running.watchdog,
                    recordings=media.recordings if media else None,
                )
            )
        deployment = Deployment(settings, running, services, media)
        await deployment.around.discovery.seed_topics()
        await stack.enter_async_context(deployment.around.outbound)
        services.start(deployment.around.run(services.bus), "around")
        if deployment.captions.enabled:
            services.start(deployment.captions.run(), "captions")
        if media is not None and services.media is not None:
            services.start(media.run(services.media), "media worker")
            services.start(deployment.retention.run(services.bus), "retention")
        yield deployment


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


@contextlib.contextmanager
def _data_refusals(settings: Settings) -> Iterator[None]:
    try:
        with database_refusals():
            yield
    except OSError as error:
        directory = settings.node.data_directory
        raise BadSettings(f"node.data_directory: cannot use {directory}: {error.strerror or error}") from error


def _around(
    settings: Settings, running: Running, services: Services, mailer: Mailer | None, payments: SandboxPayments | None
) -> Around:
    push = settings.push
    around = Around.build(
        settings=AroundSettings(
            base_url=running.place.public_url,
            outbound_allow=("0.0.0.0/0", "::/0") if settings.webhooks.private_addresses else (),
            outbound_timeout_ms=settings.webhooks.timeout_ms,
            outbound_plain_http=settings.webhooks.private_addresses,
            card_font=None if settings.http.card_font is None else str(settings.http.card_font),
            vapid_private_key=push.vapid_private_key or None,
            vapid_contact=push.subject or "mailto:operator@localhost",
        ),
        db=services.db,
        clock=services.clock,
        new_id=services.ids.next,
        spaces=services.spaces,
        engine=services.engine,
        graph=services.graph,
        accounts=services.accounts,
        joins=services.joins,
        space_name=wire.space_text,
        space_of=wire.space_id,
        payments=payments,
        mailer=mailer,
    )
    if payments is not None:
        payments.send = around.tickets.on_payment
    return around


def _retention(settings: Settings, services: Services, around: Around, media: MediaProcess | None) -> Retention:
    """Without media nothing is read and nothing deleted: what is to go waits until there is a store again."""
    return Retention.build(
        db=services.db,
        clock=services.clock,
        new_id=services.ids.next,
        spaces=services.spaces,
        moderation=around.moderation,
        profiles=services.graph.profiles,
        tell=around.notifications.tell,
        objects=media.objects if media else Objects.memory(),
        spool=media.spool if media else None,
        made_by=media.made_by if media else None,
        worker=media.worker if media else NoWorker(),
        space_name=wire.space_text,
        link_key=derived(settings, "links"),
    )


def _payments(settings: Settings, running: Running) -> SandboxPayments | None:
    if settings.payments.provider == "none":
        return None
    secret = settings.payments.secret.encode()
    return SandboxPayments(
        secret=secret if len(secret) >= 16 else derived(settings, f"payments {settings.payments.secret}"),
        base_url=f"{running.place.public_url}{_SANDBOX}",
        return_url=f"{running.place.public_url}/orders/{{order}}",
    )


def _mailer(settings: Settings) -> Mailer | None:
    mail = settings.mail
    if not mail.host:
        return None
    from spaces_ctl.service.mail import SmtpMailer

    return SmtpMailer(
        host=mail.host,
        port=mail.port,
        sender=mail.sender,
        username=mail.username or None,
        password=mail.password or None,
        security=mail.security,
    )


def _application(
    settings: Settings,
    running: Running,
    deployment: Deployment,
    mailer: Mailer | None,
    payments: SandboxPayments | None,
) -> Any:
    services, place, graph = deployment.services, running.place, deployment.services.graph
    api = ApiSettings(
        public_url=place.public_url,
        media_urls=place.media_urls,
        trusted_proxies=settings.http.trusted_proxies,
        cors_origins=settings.http.cors_origins,
        metrics_from=settings.http.metrics_from,
        csrf_key=derived(settings, "csrf"),
    )
    rules = AuthRules(local_login=settings.auth.local_login, registration=settings.auth.registration)
    called = ApiServices(
        clock=services.clock,
        bus=services.bus,
        spaces=services.spaces,
        joins=services.joins,
        reading=services.reading,
        accounts=services.accounts,
        idempotency=services.idempotency,
        captions=deployment.captions.captions,
        authentication=services.authentication,
        checks={"database": services.reading.head, "serving": deployment.check_draining},
        engine_figures=running.engine.stats,
        recordings=deployment.media.health if deployment.media is not None else None,
        more={
            **identity.identity_services(
                authentication=services.authentication,
                sessions=services.sessions,
                passwords=services.passwords,
                graph=graph,
                oauth=services.oauth,
                oidc=_oidc(settings, place.public_url, services),
                service_keys=services.service_keys,
                xapi=_xapi(settings, services, deployment.around),
                x_rates=XRates(services.windows),
                auth_rules=rules,
                email_links=_email_links(mailer, place.public_url, services),
                invalidations=_invalidations(settings, graph, deployment.around),
            ),
            **deployment.around.injected(),
            **deployment.recorded,
            "replays": deployment.replays,
            **deployment.retention.injected(),
            "broadcasts": deployment.broadcasts,
            "plays": Plays(db=services.db, clock=services.clock, execute=services.spaces.execute),
        },
    )
    roots = [*_ROOT_ROUTERS]
    if payments is not None:
        roots.append(payments.router(_SANDBOX))
    if settings.xapi.enabled:
        roots += identity.XAPI_ROUTERS
    return create_app(called, api, routers=_ROUTERS, root_routers=roots)


def api_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of a deployment with every part switched on. Nothing is opened for it."""
    return describe(_ROUTERS, [*_ROOT_ROUTERS, *identity.XAPI_ROUTERS])


def _xapi(settings: Settings, services: Services, around: Around) -> XApi:
    """What the handlers of X's endpoints read."""
    counters = services.spaces.counters
    return XApi(
        db=services.db,
        graph=services.graph,
        posts=around.posts,
        space_of=services.spaces.get,
        participants=lambda space: counters.audience(space).named,
        speaker_ids=SpeakerIds(settings.xapi.speaker_ids),
    )


def _email_links(mailer: Mailer | None, public_url: str, services: Services) -> EmailLinks | None:
    if mailer is None:
        return None
    return EmailLinks(
        db=services.db,
        clock=services.clock,
        mailer=mailer,
        sessions=services.sessions,
        passwords=services.passwords,
        windows=services.windows,
        public_url=public_url,
    )


def _oidc(settings: Settings, public_url: str, services: Services) -> Oidc:
    return Oidc(
        db=services.db,
        clock=services.clock,
        accounts=services.accounts,
        providers=[
            Provider(
                name=one.name,
                issuer=one.issuer,
                client_id=one.client_id,
                client_secret=one.client_secret,
                label=one.label,
                scopes=one.scopes,
            )
            for one in settings.auth.oidc
        ],
        public_url=public_url,
        registration=settings.auth.registration,
    )


def _graph_over_http(settings: Settings, stack: AsyncExitStack) -> Any:
    """Makes the deployment's own graph on the services' database; None for the embedded one."""
    chosen = settings.graph
    if chosen.mode == "embedded":
        return None
    from spaces_ctl.clock import SystemClock
    from spaces_ctl.service.graph_http import HttpGraph

    def make(db: Database) -> HttpGraph:
        graph = HttpGraph(
            url=chosen.url,
            key=chosen.key.encode(),
            db=db,
            clock=SystemClock(),
            timeout_s=chosen.timeout_ms / 1000,
        )
        stack.push_async_callback(graph.aclose)
        return graph

    return make


def _invalidations(settings: Settings, graph: WritableGraph, around: Around) -> Any:
    if settings.graph.mode != "http":
        return None
    from spaces_ctl.service.graph_http import HttpGraph, Invalidations

    assert isinstance(graph, HttpGraph)
    return Invalidations(graph, settings.graph.key.encode(), around.host_names.renamed)
