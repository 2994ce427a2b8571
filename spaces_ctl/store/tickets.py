"""Orders of tickets: a small state machine and the count of what is taken.

    held -> accepted -> paid -> refund_due -> refunded
    held -> released            (declined, canceled, or too late for the seat: then refund_due once it is paid)
    accepted -> refund_due
    accepted | paid -> withdrawn -> refunded        (a chargeback)

`held` counts until it expires; `accepted` and `paid` count until they are refunded.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.tickets import ticket_orders, ticket_sales

__all__ = [
    "Order",
    "OrderState",
    "by_payment",
    "change",
    "due",
    "holders",
    "insert",
    "lock_sale",
    "of_account",
    "of_buyer",
    "one",
    "refund_all",
    "set_url",
    "taken",
]


class OrderState(StrEnum):
    """Where an order is."""

    HELD = "held"
    """The seat is kept while the account pays."""
    ACCEPTED = "accepted"
    """The money is there, the ticket is not in the Space's log yet."""
    PAID = "paid"
    """The account holds a ticket."""
    RELEASED = "released"
    REFUND_DUE = "refund_due"
    """The money goes back as soon as the provider takes it."""
    WITHDRAWN = "withdrawn"
    """The provider took the money back itself; the ticket is still to be taken back."""
    REFUNDED = "refunded"


_NEXT = {
    OrderState.HELD: {OrderState.ACCEPTED, OrderState.RELEASED, OrderState.REFUND_DUE},
    OrderState.RELEASED: {OrderState.ACCEPTED, OrderState.REFUND_DUE},
    OrderState.ACCEPTED: {OrderState.PAID, OrderState.REFUND_DUE, OrderState.WITHDRAWN},
    OrderState.PAID: {OrderState.REFUND_DUE, OrderState.WITHDRAWN},
    OrderState.REFUND_DUE: {OrderState.REFUNDED},
    OrderState.WITHDRAWN: {OrderState.REFUNDED},
    OrderState.REFUNDED: set[OrderState](),
}


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One account's order of one ticket."""

    id: int
    space: SpaceId
    account: AccountId
    price_minor: int
    currency: str
    state: OrderState
    payment: str | None = None
    """The provider's reference."""
    url: str = ""
    """Where the account pays."""
    created_ms: int = 0
    expires_ms: int = 0
    due_ms: int = 0
    tries: int = 0


def lock_sale(c: sa.Connection, space: SpaceId) -> None:
    """Nobody else counts or takes a seat of this Space until the transaction ends."""
    insert_new(c, ticket_sales, [{"space": space}])
    c.execute(sa.select(ticket_sales).where(ticket_sales.c.space == space).with_for_update())


def taken(c: sa.Connection, space: SpaceId, now_ms: int, without: AccountId) -> int:
    """Seats that others than `without` hold or are paying for."""
    table = ticket_orders
    counts = sa.or_(
        table.c.state.in_([OrderState.ACCEPTED, OrderState.PAID]),
        sa.and_(table.c.state == OrderState.HELD, table.c.expires_ms > now_ms),
    )
    query = sa.select(sa.func.count()).where(table.c.space == space, table.c.account != without, counts)
    return c.execute(query).scalar_one()


def insert(c: sa.Connection, order: Order) -> None:
    """Adds an order."""
    c.execute(ticket_orders.insert().values(**msgspec.to_builtins(order)))


def set_url(c: sa.Connection, id: int, url: str) -> None:
    """Where it is paid."""
    c.execute(ticket_orders.update().where(ticket_orders.c.id == id).values(url=url))


def one(c: sa.Connection, id: int, *, lock: bool = False) -> Order | None:
    """An order; with `lock`, nobody else changes it until the transaction ends."""
    query = sa.select(ticket_orders).where(ticket_orders.c.id == id)
    row = c.execute(query.with_for_update() if lock else query).first()
    return None if row is None else struct_of(row, Order)


def by_payment(c: sa.Connection, payment: str) -> Order | None:
    """The order with the provider's reference."""
    row = c.execute(sa.select(ticket_orders).where(ticket_orders.c.payment == payment)).first()
    return None if row is None else struct_of(row, Order)


def of_account(c: sa.Connection, space: SpaceId, account: AccountId) -> list[Order]:
    """The account's orders of the Space, latest first."""
    table = ticket_orders
    mine = (table.c.space == space, table.c.account == account)
    return [struct_of(row, Order) for row in c.execute(sa.select(table).where(*mine).order_by(table.c.id.desc()))]


def of_buyer(c: sa.Connection, account: AccountId, before: int | None, limit: int) -> list[Order]:
    """The account's orders of all Spaces, latest first."""
    table = ticket_orders
    query = sa.select(table).where(table.c.account == account).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return [struct_of(row, Order) for row in c.execute(query)]


def change(
    c: sa.Connection, order: Order, state: OrderState, due_ms: int, *, payment: str | None = None, tries: int = 0
) -> bool:
    """Moves an order on; False if it was not in `order.state` any more. Raises ValueError for a step there is not."""
    if state is not order.state and state not in _NEXT[order.state]:
        raise ValueError(f"no way from {order.state} to {state}")
    table = ticket_orders
    new: dict[str, object] = {"state": state.value, "due_ms": due_ms, "tries": tries}
    if payment is not None:
        new["payment"] = payment
    here = (table.c.id == order.id, table.c.state == order.state.value)
    return c.execute(table.update().where(*here).values(**new)).rowcount == 1


def due(c: sa.Connection, now_ms: int, limit: int) -> list[Order]:
    """Orders on their way whose time has come."""
    table = ticket_orders
    moving = table.c.state.in_([OrderState.ACCEPTED, OrderState.REFUND_DUE, OrderState.WITHDRAWN])
    query = sa.select(table).where(moving, table.c.due_ms <= now_ms).order_by(table.c.due_ms).limit(limit)
    return [struct_of(row, Order) for row in c.execute(query)]


def holders(c: sa.Connection, space: SpaceId, after: AccountId, limit: int) -> Sequence[AccountId]:
    """Who has a ticket or had one that is being refunded, ascending by account, those above `after`."""
    table = ticket_orders
    have = table.c.state.in_([OrderState.PAID, OrderState.REFUND_DUE])
    query = sa.select(table.c.account).distinct().where(table.c.space == space, table.c.account > after, have)
    return c.scalars(query.order_by(table.c.account).limit(limit)).all()


def refund_all(c: sa.Connection, space: SpaceId, now_ms: int) -> None:
    """The Space will not be: what was paid goes back, what was held is free."""
    table = ticket_orders
    of_space = table.c.space == space
    paid = table.c.state.in_([OrderState.ACCEPTED, OrderState.PAID])
    back = {"state": OrderState.REFUND_DUE.value, "due_ms": now_ms, "tries": 0}
    c.execute(table.update().where(of_space, paid).values(**back))
    held = table.c.state == OrderState.HELD
    c.execute(table.update().where(of_space, held).values(state=OrderState.RELEASED.value))
