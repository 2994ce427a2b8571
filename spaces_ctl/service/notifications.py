"""Notifications: the list in the app, how each account wants to be told, and telling many.

`NotificationReaction` turns events into rows (one account) and fan-outs (an audience); `Fanouts.step` tells one page
of an audience at a time, so a host with a million followers costs neither memory nor a long pause of the loop. What
goes out by push and e-mail is in `service.deliveries`. The same (account, kind, source) is told once, however often
it is tried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.events import AccountEvent, Recorded
from spaces_ctl.model import AccountId, Actor, SpaceId
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.notices import KINDS, Direct, Many, about_account, notices
from spaces_ctl.service.outbound import Refused, check_url
from spaces_ctl.service.ports import Principal, SocialGraph
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import notifications as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.notifications import Fanout, Notice, Notification, PushSubscription, Settings

__all__ = ["Audiences", "Fanouts", "Notification", "NotificationReaction", "Notifications", "Settings"]

_MOST_COUNTED = 100
_MOST_BROWSERS = 20

Page = Callable[[int, AccountId, int], Awaitable[Sequence[AccountId]]]
"""(of whom, after this account, at most so many): accounts, ascending."""


class Notifications:
    """What one account sees and sets."""

    def __init__(self, *, db: Database, clock: Clock, new_id: Callable[[], int]) -> None:
        """`new_id` makes ascending ids (`service.snowflake`)."""
        self._db = db
        self._clock = clock
        self._new_id = new_id

    async def page(self, principal: Principal, before: int | None = None, limit: int = 50) -> Sequence[Notification]:
        """Latest first. Raises ServiceError auth.token_missing."""
        account = _account(principal)
        return await self._db.read(lambda c: store.page(c, account, before, max(1, min(limit, 200))))

    async def unread(self, principal: Principal) -> int:
        """How many are unread; 100 means 100 or more."""
        account = _account(principal)
        return await self._db.read(lambda c: store.unread(c, account, _MOST_COUNTED))

    async def mark_read(self, principal: Principal, ids: Iterable[int] = (), up_to: int | None = None) -> int:
        """Marks these, or all up to an id, as read; returns how many were not."""
        account, which, now = _account(principal), list(ids)[:1000], self._clock.now_ms()
        return await self._db.write(lambda c: store.mark_read(c, account, up_to, which, now))

    async def settings(self, principal: Principal) -> Settings:
        """How the account wants to be told."""
        account = _account(principal)
        return await self._db.read(lambda c: store.settings(c, account))

    async def change_settings(self, principal: Principal, new: Settings) -> Settings:
        """Raises ServiceError setting.invalid for an unknown kind."""
        account = _account(principal)
        unknown = sorted(set(new.off) - KINDS.keys())
        if unknown:
            raise ServiceError("setting.invalid", f"no such kind: {', '.join(unknown)}")
        new = msgspec.structs.replace(new, off=tuple(sorted(set(new.off))))
        await self._db.write(lambda c: store.change_settings(c, account, new))
        return new

    async def subscribe_push(self, principal: Principal, endpoint: str, p256dh: str, auth: str) -> PushSubscription:
        """Adds a browser. Raises ServiceError request.invalid, rate.limited (too many browsers)."""
        account = _account(principal)
        try:
            check_url(endpoint, plain_http=False)
        except Refused as error:
            raise ServiceError("request.invalid", f"endpoint: {error}") from None
        if not (80 <= len(p256dh) <= 128 and 16 <= len(auth) <= 64 and len(endpoint) <= 1024):
            raise ServiceError("request.invalid", "keys: p256dh and auth in base64url, as the browser gives them")
        new = PushSubscription(
            id=self._new_id(),
            account=account,
            endpoint=endpoint,
            p256dh=p256dh,
            auth=auth,
            created_ms=self._clock.now_ms(),
        )

        def write(c: sa.Connection) -> None:
            if len(store.subscriptions(c, account)) >= _MOST_BROWSERS:
                raise ServiceError("rate.limited", f"at most {_MOST_BROWSERS} browsers")
            store.add_subscription(c, new)

        await self._db.write(write)
        return new

    async def unsubscribe_push(self, principal: Principal, id: int) -> None:
        """Forgets a browser. Raises ServiceError resource.not_found."""
        account = _account(principal)
        if not await self._db.write(lambda c: store.drop_subscription(c, id, account)):
            raise ServiceError("resource.not_found")

    async def push_subscriptions(self, principal: Principal) -> Sequence[PushSubscription]:
        """The account's browsers."""
        account = _account(principal)
        return await self._db.read(lambda c: store.subscriptions(c, account))

    async def tell(self, accounts: Sequence[AccountId], notice: Notice) -> None:
        """For what has no event in a Space's log (a webhook endpoint disabled, a message)."""
        now = self._clock.now_ms()
        await self._db.write(lambda c: store.tell(c, accounts, notice, now, self._new_id))

    async def on_account_event(self, event: AccountEvent, actor: Actor) -> None:
        """A reaction for `Accounts.on_event`."""
        told = about_account(event, self._clock.now_ms())
        if told is not None:
            await self.tell([told.account], told.notice)


class NotificationReaction:
    """Turns events into notifications and fan-outs."""

    def __init__(
        self,
        *,
        clock: Clock,
        new_id: Callable[[], int],
        spaces: Callable[[SpaceId], Awaitable[Space]],
        on_direct: Callable[[sa.Connection, Direct, int], None] | None = None,
    ) -> None:
        """`on_direct` is called beside each notice to one account (invitations become direct messages too)."""
        self._clock = clock
        self._new_id = new_id
        self._spaces = spaces
        self._on_direct = on_direct

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """See `Reaction`."""
        states = {space: await self._spaces(space) for space in {recorded.space for recorded in events}}
        told = [(recorded, item) for recorded in events for item in notices(recorded, states[recorded.space])]
        return lambda c: self._write(c, told)

    def _write(self, c: sa.Connection, told: Sequence[tuple[Recorded, Direct | Many]]) -> None:
        for recorded, item in told:
            if isinstance(item, Many):
                id_ = self._new_id()
                of = item.audience
                store.add_fanout(c, id_, item.key, of.kind, of.of, item.notice, self._clock.now_ms())
                continue
            store.tell(c, [item.account], item.notice, recorded.at_ms, self._new_id)
            if self._on_direct is not None:
                self._on_direct(c, item, recorded.at_ms)


class Audiences:
    """Where the pages of each audience come from."""

    def __init__(
        self,
        *,
        graph: SocialGraph,
        reminders: Page,
        tickets: Page,
        blockers: Page,
        present: Callable[[SpaceId, Iterable[AccountId]], Awaitable[set[AccountId]]],
    ) -> None:
        """`reminders` and `tickets` are of a Space, `blockers` of an account; `present`: who is in a Space now."""
        self._graph = graph
        self._pages: dict[str, Page] = {
            "followers": graph.followers,
            "community": graph.community_members,
            "reminders": reminders,
            "tickets": tickets,
            "blockers": blockers,
        }
        self._present = present

    async def page(self, fanout: Fanout, limit: int) -> tuple[Sequence[AccountId], Sequence[AccountId]]:
        """(the page, those of it who are to be told)."""
        page = await self._pages[fanout.audience](fanout.of, fanout.after, limit)
        if fanout.audience == "blockers":
            if fanout.notice.space is None or not page:
                return page, ()
            here = await self._present(fanout.notice.space, page)
            return page, [account for account in page if account in here]
        return page, await self._unblocked(page, fanout.notice.by)

    async def _unblocked(self, page: Sequence[AccountId], by: AccountId | None) -> Sequence[AccountId]:
        # Nobody hears of the Space of somebody whom they block or who blocks them.
        if by is None or not page:
            return page
        pairs = frozenset(pair for account in page for pair in ((by, account), (account, by)))
        facts = await self._graph.facts(Needs(blocks=pairs), 0)
        return [
            account
            for account in page
            if account != by and (by, account) not in facts.blocks and (account, by) not in facts.blocks
        ]


class Fanouts:
    """Tells audiences, page by page."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        audiences: Audiences,
        done: Callable[[], None] | None = None,
        page_size: int = 1000,
        retry_ms: int = 10_000,
        keep_days: int = 90,
    ) -> None:
        """`done` is called after each page (wakes the deliveries)."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._audiences = audiences
        self._done = done
        self._page_size = page_size
        self._retry_ms = retry_ms
        self._keep_ms = keep_days * 86_400_000
        self._forgotten_ms = 0

    async def step(self) -> bool:
        """Tells one page of the audience that has waited longest; False if nobody waits.

        Raises what the graph raises; the audience is tried again later then.
        """
        now = self._clock.now_ms()
        if now - self._forgotten_ms >= 3_600_000:
            self._forgotten_ms = now
            await self._db.write(lambda c: store.forget_before(c, now - self._keep_ms))
        fanout = await self._db.read(lambda c: store.due_fanout(c, now))
        if fanout is None:
            return False
        try:
            page, told = await self._audiences.page(fanout, self._page_size)
        except Exception:
            await self._db.write(lambda c: store.postpone_fanout(c, fanout.id, now + self._retry_ms))
            raise

        def write(c: sa.Connection) -> None:
            after = page[-1] if page else fanout.after
            # The cursor moves with what it stands for: a crash repeats the page, which tells nobody twice.
            if store.move_fanout(c, fanout, after, len(page) < self._page_size, now):
                store.tell(c, told, fanout.notice, now, self._new_id)

        await self._db.write(write)
        if self._done is not None:
            self._done()
        return True


def _account(principal: Principal) -> AccountId:
    if principal.account is None:
        raise ServiceError("auth.token_missing")
    return principal.account
