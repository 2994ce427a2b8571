"""Everything that the API calls, put together and kept running: `async with open_services(...) as services`.

Entered, the database is open, live Spaces are folded and the engine knows them; left, commands that are under way are
finished and everything is closed in the opposite order. The engine is not closed: it belongs to the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaces_ctl.clock import Clock, SystemClock
from spaces_ctl.engine import Engine, TokenSigner
from spaces_ctl.events import AccountBlocked, AccountEvent
from spaces_ctl.model import Actor
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.graph import EmbeddedGraph, WritableGraph
from spaces_ctl.service.idempotency import IdempotencyKeys
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.journal import BlockEntry, Journal
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.media_work import MediaQueue, MediaWork
from spaces_ctl.service.node_lease import NodeLease
from spaces_ctl.service.oauth import OAuth, OAuthRules
from spaces_ctl.service.oauth_apps import OAuthApps
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.ports import EventBus, Recordings
from spaces_ctl.service.presence import Presence
from spaces_ctl.service.programming import EPOCH_SHIFT
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.reading import Reading
from spaces_ctl.service.recovery import boot
from spaces_ctl.service.service_keys import ServiceKeys
from spaces_ctl.service.sessions import SessionRules, Sessions
from spaces_ctl.service.side_effects import SideEffects
from spaces_ctl.service.snowflake import Snowflakes
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.service.timers import TimerLoop
from spaces_ctl.service.tokens import Tokens
from spaces_ctl.service.upkeep import Upkeep, Watchdog
from spaces_ctl.service.windows import Windows
from spaces_ctl.store import event_log
from spaces_ctl.store.bus import LocalBus
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable

if TYPE_CHECKING:
    from spaces_ctl.store.postgres_bus import PostgresBus

__all__ = ["ProtectingGraph", "Services", "open_services"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One process's services."""

    clock: Clock
    limits: Limits
    ids: Snowflakes
    db: Database
    bus: EventBus
    engine: Engine
    graph: WritableGraph
    spaces: Spaces
    joins: Joins
    effects: SideEffects
    reading: Reading
    presence: Presence
    timers: TimerLoop
    upkeep: Upkeep
    passwords: Passwords
    windows: Windows
    accounts: Accounts
    sessions: Sessions
    oauth: OAuth
    service_keys: ServiceKeys
    authentication: Authentication
    idempotency: IdempotencyKeys
    watchdog: Watchdog
    media: MediaReaction | None = None
    """Follows recordings; None: there are none."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs something beside the others until the services are closed: `failed` tells if it dies."""
        self._tasks.append(asyncio.create_task(work, name=name))

    async def failed(self) -> None:
        """Waits; raises what one of the background tasks died of."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Ends the background tasks, then waits for commands that are under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.spaces.aclose()


class ProtectingGraph(EmbeddedGraph):
    """The embedded graph, but that a block by a host holds in live Spaces even if the database cannot record it now."""

    effects: SideEffects | None = None

    async def apply(self, event: AccountEvent, actor: Actor, at_ms: int) -> bool:
        """As the embedded graph's; a block that cannot be recorded is journaled. Raises Unavailable."""
        try:
            return await super().apply(event, actor, at_ms)
        except Unavailable:
            if self.effects is None or not isinstance(event, AccountBlocked):
                raise
            if not await self.effects.block_unrecorded(Actor(account=event.by), event.account):
                raise
            return False  # nothing more to do: it holds already


@asynccontextmanager
async def open_services(
    *,
    database_url: str,
    engine: Engine,
    attached: bool,
    signer: TokenSigner,
    media_urls: Sequence[str],
    certificate_sha256: Callable[[], bytes | None],
    directory: Path,
    public_url: str,
    limits: Limits | None = None,
    node: str = "main",
    node_number: int = 0,
    clock: Clock | None = None,
    graph: Callable[[Database], WritableGraph] | None = None,
    recordings: Callable[[Spaces, Database], Recordings] | None = None,
    session_rules: SessionRules | None = None,
    oauth_rules: OAuthRules | None = None,
    join_token_s: float = 3600.0,
    watchdog: Watchdog | None = None,
) -> AsyncIterator[Services]:
    """Opens everything on an engine that runs; `attached`: it has outlived an earlier control loop.

    `media_urls` are how clients reach the engine, best first (`https://HOST:PORT`, `wss://HOST:PORT`),
    `certificate_sha256` is what they have to pin at the moment, None if nothing; `directory` keeps the journal;
    `node_number` (0 to 1023) goes into ids; `graph` makes the
    social graph, None is the embedded one; `recordings` makes who keeps them, without it nothing becomes of them;
    `join_token_s` is how long a join token admits. The database has its tables already. Raises what `Database.open`
    raises, ServiceError, OSError.
    """
    clock, limits, watchdog = clock or SystemClock(), limits or Limits(), watchdog or Watchdog()
    ids, windows = Snowflakes(clock, node_number), Windows(clock)
    async with AsyncExitStack() as stack:
        db = await Database.open(database_url)
        stack.push_async_callback(db.aclose)
        lease = NodeLease(db=db, clock=clock, node=node)
        epoch = await lease.take()
        stack.push_async_callback(_released, lease)
        journal = await Journal.open(directory / "journal")
        stack.push_async_callback(journal.aclose)
        bus = _bus(db)
        await stack.enter_async_context(bus)
        social: WritableGraph = ProtectingGraph(db=db) if graph is None else graph(db)
        spaces = Spaces(
            db=db,
            engine=engine,
            graph=social,
            bus=bus,
            clock=clock,
            limits=limits,
            ids=ids,
            journal=journal,
            epoch=epoch,
        )
        effects = SideEffects(spaces=spaces, journal=journal)
        if isinstance(social, ProtectingGraph):
            social.effects = effects
        tokens = Tokens(
            signer=signer,
            engine=engine,
            clock=clock,
            db=db,
            version_base=epoch << EPOCH_SHIFT,
            lifetime_s=join_token_s,
        )
        presence, timers = Presence(spaces=spaces, engine=engine), TimerLoop(spaces=spaces)

        # Not through `ProtectingGraph.apply`, which would journal again what comes from the journal.
        record = partial(EmbeddedGraph.apply, social) if isinstance(social, EmbeddedGraph) else social.apply

        async def record_block(entry: BlockEntry) -> None:
            await record(AccountBlocked(by=entry.by, account=entry.account), Actor(account=entry.by), entry.at_ms)

        accounts = Accounts(db=db, graph=social, clock=clock, next_id=ids.next, limits=limits)
        accounts.on_event(effects.react)
        passwords = Passwords()
        stack.callback(passwords.close)
        sessions = Sessions(db=db, clock=clock, passwords=passwords, windows=windows, rules=session_rules)
        sessions.on_end(tokens.sign_out)
        oauth = OAuth(db=db, clock=clock, apps=OAuthApps(db=db, clock=clock), issuer=public_url, rules=oauth_rules)
        service_keys = ServiceKeys(
            db=db,
            clock=clock,
            accounts=accounts,
            oauth=oauth,
            windows=windows,
            audience=[public_url, f"{public_url}/2/oauth2/token"],
        )
        idempotency = IdempotencyKeys(db=db, clock=clock)
        media = None
        if recordings is not None:
            media = MediaReaction(spaces=spaces, recordings=recordings(spaces, db), clock=clock)
        services = Services(
            clock=clock,
            limits=limits,
            ids=ids,
            db=db,
            bus=bus,
            engine=engine,
            graph=social,
            spaces=spaces,
            joins=Joins(
                spaces=spaces,
                engine=engine,
                graph=social,
                tokens=tokens,
                media_urls=tuple(media_urls),
                certificate_sha256=certificate_sha256,
            ),
            effects=effects,
            reading=Reading(spaces=spaces, db=db, graph=social, engine=engine, clock=clock),
            presence=presence,
            timers=timers,
            upkeep=Upkeep(
                spaces=spaces,
                presence=presence,
                effects=effects,
                record_block=record_block,
                watchdog=watchdog,
                forget=(
                    sessions.forget_expired,
                    tokens.forget_expired,
                    oauth.forget_expired,
                    idempotency.forget_expired,
                ),
            ),
            passwords=passwords,
            windows=windows,
            accounts=accounts,
            sessions=sessions,
            oauth=oauth,
            service_keys=service_keys,
            authentication=Authentication(sessions=sessions, oauth=oauth, service_keys=service_keys),
            idempotency=idempotency,
            watchdog=watchdog,
            media=media,
        )
        await effects.record_blocks(record_block)
        await tokens.boot()
        await boot(spaces, engine, attached=attached)
        stack.push_async_callback(services.stop)
        services.start(lease.run(), "lease")
        services.start(presence.run(), "presence")
        services.start(timers.run(), "timers")
        services.start(services.upkeep.run(), "upkeep")
        if media is not None:
            work = MediaWork(media.take, db=db, clock=clock)
            reactor = Reactor(
                "media", MediaQueue(clock), db=db, clock=clock, log_after=event_log.read_all, done=work.wake
            )
            services.start(reactor.run(bus), "media")
            services.start(work.run(), "media work")
        if attached:
            for space in list(spaces.live):
                await presence.reconcile(space)
        yield services


def _bus(db: Database) -> LocalBus | PostgresBus:
    if db.dialect == "sqlite":
        return LocalBus()
    from spaces_ctl.store.postgres_bus import PostgresBus

    return PostgresBus(db)


async def _released(lease: NodeLease) -> None:
    with suppress(Unavailable):  # it runs out by itself
        await lease.release()
