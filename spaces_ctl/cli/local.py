"""Commands on the server's own machine: they open the database that the settings name, beside a running server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from spaces_ctl.cli.configuration import settings as read_settings
from spaces_ctl.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from spaces_ctl.service.accounts import Accounts
    from spaces_ctl.service.passwords import Passwords
    from spaces_ctl.service.service_keys import ServiceKeys
    from spaces_ctl.service.sessions import Sessions
    from spaces_ctl.settings import Settings
    from spaces_ctl.store.database import Database

__all__ = ["NODE", "Local", "locally", "store_refusals"]

T = TypeVar("T")

NODE = 1023
"""Part of ids made by the command line, so that they never meet those of a server on the same database."""


class Local(NamedTuple):
    """What the commands use."""

    db: Database
    accounts: Accounts
    sessions: Sessions
    service_keys: ServiceKeys
    passwords: Passwords


def locally(config: Path | None, work: Callable[[Local], Awaitable[T]]) -> T:
    """Runs `work` on the accounts in the settings' database. Raises Failure."""
    from spaces_ctl.service.errors import ServiceError

    settings = read_settings(config)
    if settings.graph.mode == "http":
        raise Failure(f"accounts are kept by {settings.graph.url} (graph.mode is http)", Exit.USAGE)

    async def main() -> T:
        async with _opened(settings) as local:
            return await work(local)

    try:
        with store_refusals():
            return asyncio.run(main())
    except ServiceError as error:
        raise Failure(error.detail, Exit.REFUSED, code=error.code) from error


@contextlib.contextmanager
def store_refusals() -> Iterator[None]:
    """The store's errors as failures of a command."""
    from spaces_ctl.store.errors import BadUrl, StoreError, Unavailable, Unreachable, WrongSchema

    try:
        yield
    except BadUrl as error:
        raise Failure(f"database.url: {error}", Exit.USAGE) from error
    except WrongSchema as error:
        raise Failure(str(error), Exit.SCHEMA) from error
    except (Unreachable, Unavailable) as error:
        raise Failure(f"database.url: {error}", Exit.UNREACHABLE) from error
    except StoreError as error:
        raise Failure(str(error), Exit.REFUSED) from error


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Local]:
    from spaces_ctl.clock import SystemClock
    from spaces_ctl.service.accounts import Accounts
    from spaces_ctl.service.graph import EmbeddedGraph
    from spaces_ctl.service.oauth import OAuth
    from spaces_ctl.service.oauth_apps import OAuthApps
    from spaces_ctl.service.passwords import Passwords
    from spaces_ctl.service.service_keys import ServiceKeys
    from spaces_ctl.service.sessions import SessionRules, Sessions
    from spaces_ctl.service.snowflake import Snowflakes
    from spaces_ctl.service.windows import Windows
    from spaces_ctl.store.database import Database
    from spaces_ctl.store.migrate import check

    db, clock = await Database.open(settings.database.full_url), SystemClock()
    passwords: Passwords | None = None
    try:
        await check(db)
        passwords, windows = Passwords(), Windows(clock)
        ids, limits = Snowflakes(clock, NODE), settings.limits.resolve()
        accounts = Accounts(db=db, graph=EmbeddedGraph(db=db), clock=clock, next_id=ids.next, limits=limits)
        rules = SessionRules(idle_days=settings.auth.session_days)
        sessions = Sessions(db=db, clock=clock, passwords=passwords, windows=windows, rules=rules)
        oauth = OAuth(db=db, clock=clock, apps=OAuthApps(db=db, clock=clock), issuer=settings.http.public_url)
        keys = ServiceKeys(db=db, clock=clock, accounts=accounts, oauth=oauth, windows=windows, audience=[])
        yield Local(db, accounts, sessions, keys, passwords)
    finally:
        if passwords is not None:
            passwords.close()
        await db.aclose()
