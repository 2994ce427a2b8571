"""Buying tickets."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Router, get, post

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, before, next_before, read_id
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.service.tickets import Order, OrderState

__all__ = ["router"]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order: pay at `url` before `expires`."""

    id: str
    space: str
    state: OrderState
    price_minor: int
    currency: str
    url: str
    expires: str


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[OrderView]
    next: str | None


class Buyers(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts that hold a ticket, ascending."""

    data: list[str]
    next: str | None


def _view(order: Order) -> OrderView:
    return OrderView(
        id=str(order.id),
        space=wire.space_text(order.space),
        state=order.state,
        price_minor=order.price_minor,
        currency=order.currency,
        url=order.url,
        expires=wire.timestamp(order.expires_ms),
    )


@post(
    "/spaces/{space:str}/tickets/checkout",
    operation_id="checkoutTicket",
    summary="Holds a seat and says where to pay",
    responses=problems(
        "auth.token_missing",
        "role.forbidden",
        "space.not_found",
        "participant.removed",
        "participant.blocked_by_host",
        "ticket.not_ticketed",
        "ticket.exists",
        "ticket.sold_out",
        "state.lobby",
        "state.ended",
        "state.canceled",
    ),
)
async def checkout(space: SpaceParam, principal: Asker, tickets: Injected) -> OrderView:
    """Asking again while it is held gives the same order."""
    return _view(await tickets.checkout(principal, read_space(space)))


@get(
    "/me/orders",
    operation_id="listOrders",
    summary="One's own orders",
    responses=problems("auth.token_missing", "request.cursor"),
)
async def orders(
    principal: Asker, tickets: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> Orders:
    """Latest first."""
    page = await tickets.orders(principal, before(cursors, "orders", cursor), limit)
    following = next_before(cursors, "orders", [one.id for one in page], limit)
    return Orders(data=[_view(one) for one in page], next=following)


@get(
    "/me/orders/{id:str}",
    operation_id="getOrder",
    summary="An own order",
    responses=problems("ticket.not_found"),
)
async def order(id: IdParam, principal: Asker, tickets: Injected) -> OrderView:
    """`paid`: there is a ticket."""
    return _view(await tickets.order(principal, read_id(id, "ticket.not_found")))


@get(
    "/spaces/{space:str}/tickets/buyers",
    operation_id="listBuyers",
    summary="Who holds a ticket",
    responses=problems("role.forbidden", "space.not_found", "request.cursor"),
)
async def buyers(
    space: SpaceParam,
    principal: Asker,
    tickets: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Buyers:
    """For the creator alone."""
    name = f"buyers:{space}"
    after = cursors.read(name, cursor, int) or 0
    page = await tickets.buyers(principal, read_space(space), after, limit)
    return Buyers(
        data=[str(account) for account in page], next=cursors.make(name, page[-1]) if len(page) == limit else None
    )


@post(
    "/payments/messages",
    operation_id="takePaymentMessage",
    summary="For the payment provider",
    status_code=204,
    opt={"open": True},
    include_in_schema=False,
)
async def message(request: Request[Any, Any, Any], tickets: Injected) -> None:
    """Signed by the provider; nobody else is asked who they are. Repeating one changes nothing."""
    await tickets.on_payment(dict(request.headers), await request.body())


router = Router(path="", route_handlers=[checkout, orders, order, buyers, message], tags=["Tickets"])
