"""Tickets: a seat is held while somebody pays, the payment becomes a ticket, a canceled Space pays back.

Money and tickets meet in an order. Every step is written down before it is taken and may be repeated, so that neither a
crash nor a provider that says everything twice sells a seat twice or keeps money without giving a ticket.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl import commands, events
from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.model import SYSTEM, AccountId, Actor, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import PaymentMessage, PaymentOrder, PaymentProvider, Principal
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import tickets as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.tickets import Order, OrderState

__all__ = ["Order", "OrderState", "TicketReaction", "Tickets"]

_log = logging.getLogger(__name__)
_RETRY_MS = 15_000
_LONGEST_RETRY_MS = 3_600_000

Execute = Callable[[Actor, SpaceId, commands.SpaceCommand], Awaitable[object]]


class Tickets:
    """Sells and refunds."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        get: Callable[[SpaceId], Awaitable[Space]],
        execute: Execute,
        payments: PaymentProvider | None,
        hold_ms: int = 600_000,
    ) -> None:
        """`get` and `execute` are those of `Spaces`. `payments` None: nothing is sold. `hold_ms`: how long to pay."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._get = get
        self._execute = execute
        self._payments = payments
        self._hold_ms = hold_ms

    async def checkout(self, principal: Principal, space_id: SpaceId) -> Order:
        """Holds a seat and says where to pay; asking again while it is held gives the same order.

        Raises ServiceError: auth.token_missing and the refusals of `BuyTicket` (ticket.sold_out also while others are
        paying for the last seats).
        """
        account = _account(principal)
        # The account's own question: may I?
        await self._execute(principal.actor(), space_id, commands.BuyTicket(account=account, payment=""))
        ticketing = (await self._get(space_id)).ticketing
        if ticketing is None or self._payments is None:
            raise ServiceError("ticket.not_ticketed")
        now = self._clock.now_ms()
        new = Order(
            id=self._new_id(),
            space=space_id,
            account=account,
            price_minor=ticketing.price_minor,
            currency=ticketing.currency,
            state=OrderState.HELD,
            created_ms=now,
            expires_ms=now + self._hold_ms,
        )

        def hold(c: sa.Connection) -> Order:
            store.lock_sale(c, space_id)
            for order in store.of_account(c, space_id, account):
                if order.state in (OrderState.ACCEPTED, OrderState.PAID):
                    raise ServiceError("ticket.exists")
                if order.state is OrderState.HELD and order.expires_ms > now:
                    return order
            if store.taken(c, space_id, now, without=account) >= ticketing.quantity:
                raise ServiceError("ticket.sold_out")
            store.insert(c, new)
            return new

        order = await self._db.write(hold)
        if not order.url:
            wanted = PaymentOrder(
                order=order.id,
                space=space_id,
                account=account,
                price_minor=order.price_minor,
                currency=order.currency,
                expires_ms=order.expires_ms,
            )
            url = await self._payments.checkout(wanted)
            await self._db.write(lambda c: store.set_url(c, order.id, url))
            order = msgspec.structs.replace(order, url=url)
        return order

    async def order(self, principal: Principal, id: int) -> Order:
        """One of the account's own orders. Raises ServiceError ticket.not_found."""
        found = await self._db.read(lambda c: store.one(c, id))
        if found is None or found.account != principal.account:
            raise ServiceError("ticket.not_found")
        return found

    async def orders(self, principal: Principal, before: int | None = None, limit: int = 50) -> Sequence[Order]:
        """The account's orders, latest first. Raises ServiceError auth.token_missing."""
        account = _account(principal)
        return await self._db.read(lambda c: store.of_buyer(c, account, before, min(limit, 100)))

    async def buyers(
        self, principal: Principal, space_id: SpaceId, after: AccountId = 0, limit: int = 100
    ) -> Sequence[AccountId]:
        """Who holds a ticket, ascending; for the creator alone. Raises ServiceError role.forbidden."""
        space = await self._get(space_id)
        if principal.account is None or principal.account != space.creator:
            raise ServiceError("role.forbidden")
        return await self.holders(space_id, after, min(limit, 1000))

    async def holders(self, space: int, after: AccountId, limit: int) -> Sequence[AccountId]:
        """Who holds a ticket, ascending, a page; for us."""
        return await self._db.read(lambda c: store.holders(c, space, after, limit))

    async def on_payment(self, headers: Mapping[str, str], body: bytes) -> None:
        """A message of the payment provider. Raises ServiceError payment.invalid; anything else is to be repeated."""
        if self._payments is None:
            raise ServiceError("payment.invalid", "nothing is sold here")
        message = self._payments.read(headers, body)
        order = await self._db.write(lambda c: self._book(c, message))
        if order.state in (OrderState.ACCEPTED, OrderState.REFUND_DUE, OrderState.WITHDRAWN):
            await self._move(order)

    async def step(self) -> bool:
        """Moves orders on that a crash or a provider's failure left on their way; False if there are none."""
        now = self._clock.now_ms()
        orders = await self._db.read(lambda c: store.due(c, now, 20))
        for order in orders:
            await self._move(order)
        return bool(orders)

    def _book(self, c: sa.Connection, message: PaymentMessage) -> Order:
        now = self._clock.now_ms()
        found = store.one(c, message.order)
        if found is None:
            raise ServiceError("payment.invalid", "there is no such order")
        store.lock_sale(c, found.space)
        order = store.one(c, message.order, lock=True) or found
        if message.outcome == "paid":
            if (message.amount_minor, message.currency) != (order.price_minor, order.currency):
                raise ServiceError("payment.invalid", "the amount is not that of the order")
            if order.state in (OrderState.HELD, OrderState.RELEASED):
                state = OrderState.ACCEPTED if self._has_seat(c, order, now) else OrderState.REFUND_DUE
                store.change(c, order, state, now, payment=message.payment)
        elif message.outcome == "failed" and order.state is OrderState.HELD:
            store.change(c, order, OrderState.RELEASED, now)
        elif message.outcome == "refunded" and order.state in (OrderState.ACCEPTED, OrderState.PAID):
            store.change(c, order, OrderState.WITHDRAWN, now)
        return store.one(c, message.order) or order

    def _has_seat(self, c: sa.Connection, order: Order, now: int) -> bool:
        others = [other for other in store.of_account(c, order.space, order.account) if other.id != order.id]
        if any(other.state in (OrderState.ACCEPTED, OrderState.PAID) for other in others):
            return False  # paid twice: one of them goes back
        if order.state is OrderState.HELD and order.expires_ms > now:
            return True
        # Paid after the hold was over: the seat may have been sold. Whether one is free, the Space's rules say.
        return order.state is OrderState.HELD or not any(other.state is OrderState.HELD for other in others)

    async def _move(self, order: Order) -> None:
        try:
            if order.state is OrderState.ACCEPTED:
                await self._give(order)
            else:
                await self._pay_back(order)
        except Exception:
            _log.exception("order %d stays on its way", order.id)
            pause = min(_RETRY_MS << min(order.tries, 20), _LONGEST_RETRY_MS)
            due = self._clock.now_ms() + pause
            await self._db.write(lambda c: store.change(c, order, order.state, due, tries=order.tries + 1))

    async def _give(self, order: Order) -> None:
        now = self._clock.now_ms()
        state = OrderState.PAID
        payment = order.payment or ""
        try:
            await self._execute(SYSTEM, order.space, commands.BuyTicket(account=order.account, payment=payment))
        except ServiceError as refused:
            if refused.info.http >= 500:
                raise
            # `ticket.exists`: we gave it before a crash. There is no second way to it while this order is accepted.
            if refused.code != "ticket.exists":
                _log.info("order %d: %s, paid back", order.id, refused.code)
                state = OrderState.REFUND_DUE
        moved = await self._db.write(lambda c: store.change(c, order, state, now))
        if moved and state is OrderState.REFUND_DUE:
            await self._pay_back(msgspec.structs.replace(order, state=state))

    async def _pay_back(self, order: Order) -> None:
        if self._payments is None or order.payment is None:
            raise RuntimeError("no provider to refund by")
        if order.state is OrderState.REFUND_DUE:
            await self._payments.refund(order.payment)
        command = commands.RefundTicket(account=order.account, payment=order.payment)
        try:
            await self._execute(SYSTEM, order.space, command)
        except ServiceError as refused:
            # The ticket was never given, or the Space is over: there is nothing to take back.
            if refused.info.http >= 500:
                raise
        now = self._clock.now_ms()
        await self._db.write(lambda c: store.change(c, order, OrderState.REFUNDED, now))


class TicketReaction:
    """Pays back when a Space is canceled; books tickets that were given without an order of ours."""

    def __init__(self, *, clock: Clock, new_id: Callable[[], int]) -> None:
        """`new_id` makes ids of orders."""
        self._clock = clock
        self._new_id = new_id

    async def prepare(self, recorded: Sequence[Recorded]) -> Unit:
        """See `Reaction`."""
        return lambda c: self._write(c, recorded)

    def _write(self, c: sa.Connection, recorded: Sequence[Recorded]) -> None:
        for item in recorded:
            match item.event:
                case events.Canceled():
                    store.refund_all(c, item.space, self._clock.now_ms())
                case events.TicketBought(account=account, payment=payment):
                    if store.by_payment(c, payment) is None:
                        self._book_foreign(c, item, account, payment)

    def _book_foreign(self, c: sa.Connection, item: Recorded, account: AccountId, payment: str) -> None:
        store.insert(
            c,
            Order(
                id=self._new_id(),
                space=item.space,
                account=account,
                price_minor=0,
                currency="",
                state=OrderState.PAID,
                payment=payment,
                created_ms=item.at_ms,
                expires_ms=item.at_ms,
            ),
        )


def _account(principal: Principal) -> AccountId:
    if principal.account is None:
        raise ServiceError("auth.token_missing")
    return principal.account
