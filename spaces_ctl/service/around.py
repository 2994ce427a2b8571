"""What is around the Spaces, put together: services, readers of the log, workers.

around = Around.build(...)
injected = around.injected()      # for the API's handlers, by name
async with around.outbound: await around.run(bus)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.analytics import Analytics
from spaces_ctl.service.cards import Cards
from spaces_ctl.service.communities import Communities
from spaces_ctl.service.deliveries import Deliveries, WebPush
from spaces_ctl.service.discovery import Discovery, ListeningHints
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import EmbeddedGraph, WritableGraph
from spaces_ctl.service.host_names import HostNames
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.moderation import Moderation, ModerationReaction
from spaces_ctl.service.notifications import Audiences, Fanouts, NotificationReaction, Notifications
from spaces_ctl.service.outbound import Outbound
from spaces_ctl.service.ports import EventBus, Mailer, MediaEngine, PaymentProvider
from spaces_ctl.service.posts import EmbeddedPosts, PostReaction
from spaces_ctl.service.reactor import Reaction, Reactor, Worker
from spaces_ctl.service.reminders import Reminders
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.service.tickets import TicketReaction, Tickets
from spaces_ctl.service.trends import Trends
from spaces_ctl.service.webhooks import WebhookReaction, Webhooks, WebhookSender, WebhookTimes
from spaces_ctl.store import event_log
from spaces_ctl.store import graph as graph_store
from spaces_ctl.store import moderation as moderation_store
from spaces_ctl.store import posts as post_store
from spaces_ctl.store import search as search_store
from spaces_ctl.store.database import Database
from spaces_ctl.store.notifications import Notice, Notification
from spaces_ctl.store.webhooks import Endpoint

__all__ = ["Around", "AroundSettings"]


class AroundSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a deployment can set about it."""

    base_url: str = "http://127.0.0.1:8420"
    """Where people reach us; share links begin with it."""
    site: str = "Spaces"
    card_font: str | None = None
    """A TrueType file for the pictures of cards; the built-in font knows Latin letters only."""
    outbound_allow: tuple[str, ...] = ()
    """Networks (CIDR) that webhooks may reach although they are not public."""
    outbound_plain_http: bool = False
    """Webhooks may go to http URLs."""
    outbound_timeout_ms: int = 10_000
    """How long a receiver of webhooks, or a push service, may take."""
    webhooks_at_once: int = 16
    vapid_private_key: str | None = None
    """P-256, base64url; without it there is no web push."""
    vapid_contact: str = "mailto:operator@localhost"
    hold_ticket_ms: int = 600_000
    """How long somebody may take to pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """One process's services around the Spaces."""

    discovery: Discovery
    reminders: Reminders
    notifications: Notifications
    webhooks: Webhooks
    tickets: Tickets
    communities: Communities
    posts: EmbeddedPosts
    moderation: Moderation
    analytics: Analytics
    cards: Cards
    host_names: HostNames
    outbound: Outbound
    push: WebPush | None
    reactors: Sequence[Reactor]
    workers: Sequence[Worker]

    @classmethod
    def build(
        cls,
        *,
        settings: AroundSettings,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        spaces: Spaces,
        engine: MediaEngine,
        graph: WritableGraph,
        accounts: Accounts,
        joins: Joins,
        space_name: Callable[[SpaceId], str],
        space_of: Callable[[str], SpaceId],
        payments: PaymentProvider | None = None,
        mailer: Mailer | None = None,
    ) -> Self:
        """Makes everything and hooks it into `spaces` and `accounts`; nothing runs yet.

        `space_name` and `space_of` turn a Space's id into text and back. Raises ValueError for settings that are wrong.
        """
        common: dict[str, Any] = {"db": db, "clock": clock}
        made: dict[str, Any] = {**common, "new_id": new_id}
        embedded = isinstance(graph, EmbeddedGraph)
        outbound = Outbound(
            allow=settings.outbound_allow,
            plain_http=settings.outbound_plain_http,
            timeout_s=settings.outbound_timeout_ms / 1000,
        )
        push = None
        if settings.vapid_private_key is not None:
            key, contact = settings.vapid_private_key, settings.vapid_contact
            push = WebPush(private_key=key, contact=contact, outbound=outbound, clock=clock)

        def people(space: SpaceId) -> int:
            now = spaces.counters.audience(space)
            return now.named + now.anonymous + now.guests

        def live() -> Iterable[SpaceId]:
            return tuple(spaces.live)

        def link(space: SpaceId) -> str:
            return f"{settings.base_url.rstrip('/')}/s/{space_name(space)}"

        async def blockers(account: int, after: AccountId, limit: int) -> Sequence[AccountId]:
            # A deployment's own graph does not tell who blocks somebody: its people see labels, and get no notice.
            if not embedded:
                return ()
            edge = graph_store.Edge.BLOCK
            return await db.read(lambda c: graph_store.edges_to(c, edge, account, after, limit))

        async def email_of(account: AccountId) -> str | None:
            try:
                found = await accounts.get(account)
            except ServiceError:
                return None
            return found.email if found.email_verified else None

        async def name_of(account: AccountId) -> str:
            profiles = await graph.profiles([account])
            return profiles[account].name if account in profiles else "Somebody"

        def link_of(told: Notification) -> str:
            return link(told.space) if told.space is not None else settings.base_url

        notifications = Notifications(**made)

        async def disabled(endpoint: Endpoint) -> None:
            kind, _, owner = endpoint.owner.partition(":")
            if kind == "account":
                data = {"url": endpoint.url, "why": endpoint.disabled_why}
                notice = Notice(kind="webhook_disabled", source=f"{endpoint.id}:{endpoint.disabled_ms}", data=data)
                await notifications.tell([int(owner)], notice)

        reminders = Reminders(db=db, execute=spaces.execute)
        tickets = Tickets(
            **made, get=spaces.get, execute=spaces.execute, payments=payments, hold_ms=settings.hold_ticket_ms
        )
        moderation = Moderation(
            **made,
            execute=spaces.execute,
            execute_account=accounts.execute,
        )
        audiences = Audiences(
            graph=graph,
            reminders=reminders.subscribers,
            tickets=tickets.holders,
            blockers=blockers,
            present=engine.present,
        )
        discovery = Discovery(**common, graph=graph, presence=engine, hints=ListeningHints())
        analytics = Analytics(**common, counters=spaces.counters, live=live, get=spaces.get)
        trends = Trends(**common, live=live, people=people)
        # A claim has to outlive the request, or another process would send the message as well.
        times = WebhookTimes(claim_ms=max(60_000, 2 * settings.outbound_timeout_ms))
        sender = WebhookSender(**common, outbound=outbound, times=times, disabled=disabled)
        deliveries = Deliveries(
            **common, pusher=push, mailer=mailer, email_of=email_of, name_of=name_of, link_of=link_of
        )
        delivering = Worker("deliveries", deliveries.step)
        fanning = Worker("fan-outs", Fanouts(**made, audiences=audiences, done=delivering.wake).step)
        sending = [Worker("webhooks", sender.step) for _ in range(settings.webhooks_at_once)]
        refunding = Worker("tickets", tickets.step)
        host_names = HostNames(db=db, graph=graph, spaces=spaces.get)
        naming = Worker("names", host_names.step)
        host_names.wake = naming.wake

        def wake(*workers: Worker) -> Callable[[], None]:
            def all_of() -> None:
                for worker in workers:
                    worker.wake()

            return all_of

        def reactor(name: str, reaction: Reaction, *workers: Worker) -> Reactor:
            return Reactor(name, reaction, **common, log_after=event_log.read_all, done=wake(*workers))

        joins.joined = discovery.joined
        accounts.edited = host_names.renamed
        accounts.on_event(notifications.on_account_event)
        accounts.undo_violation = moderation.undo_violation
        accounts.on_event(moderation.on_account_event)
        spaces.log.posts_from(post_store.exists)
        return cls(
            discovery=discovery,
            reminders=reminders,
            notifications=notifications,
            webhooks=Webhooks(**made, spaces=spaces.get, plain_http=settings.outbound_plain_http),
            tickets=tickets,
            communities=Communities(**made, graph=graph, embedded=embedded),
            posts=EmbeddedPosts(**made, graph=graph, muted_by=graph.muted_by),
            moderation=moderation,
            analytics=analytics,
            cards=Cards(
                **common,
                graph=graph,
                people=people,
                space_name=space_name,
                space_of=space_of,
                base_url=settings.base_url,
                site=settings.site,
                font=settings.card_font,
            ),
            host_names=host_names,
            outbound=outbound,
            push=push,
            reactors=(
                reactor(
                    "notifications",
                    NotificationReaction(clock=clock, new_id=new_id, spaces=spaces.get),
                    fanning,
                    delivering,
                ),
                reactor("webhooks", WebhookReaction(db=db, spaces=spaces.get, space_name=space_name), *sending),
                reactor("tickets", TicketReaction(clock=clock, new_id=new_id), refunding),
                reactor("posts", PostReaction(new_id=new_id, spaces=spaces.get, link=link)),
                reactor(search_store.NAMES_READER, host_names),
                reactor(moderation_store.READER, ModerationReaction(new_id=new_id)),
            ),
            workers=(
                fanning,
                delivering,
                *sending,
                refunding,
                naming,
                Worker("trends", trends.step, idle_s=5),
                Worker("analytics", analytics.step, idle_s=1),
            ),
        )

    def injected(self) -> dict[str, Any]:
        """Services by the names under which the API's handlers ask for them."""
        names = [
            "discovery",
            "reminders",
            "notifications",
            "webhooks",
            "tickets",
            "communities",
            "posts",
            "moderation",
            "analytics",
            "cards",
        ]
        return {**{name: getattr(self, name) for name in names}, "push_key": self.push and self.push.public_key}

    async def run(self, bus: EventBus) -> None:
        """Runs readers and workers until cancelled. `outbound` has to be open."""
        async with asyncio.TaskGroup() as group:
            for reactor in self.reactors:
                group.create_task(reactor.run(bus))
            for worker in self.workers:
                group.create_task(worker.run())

    async def settle(self) -> None:
        """Reads the log to its end and does what is due now; for tests and before a backup."""
        for reactor in self.reactors:
            await reactor.drain()
        for worker in self.workers:
            await worker.finish()
