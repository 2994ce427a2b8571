from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import Status, Ticketing
from spaces_ctl.payments.sandbox import SandboxPayments
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import PaymentOrder, Principal
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.tickets import TicketReaction, Tickets
from spaces_ctl.store import tickets as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.tickets import Order, OrderState
from tests.support.around import FakeLog, FakeSpaces

HOST = Principal(account=1)
ANN, BOB, EVE = (Principal(account=account) for account in (2, 3, 4))


@pytest.fixture
def spaces(log: FakeLog, clock: ManualClock) -> FakeSpaces:
    spaces = FakeSpaces(log, clock)
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=2)
    spaces.put(Space(id=5, creator=1, admin=1, status=Status.SCHEDULED, ticketing=ticketing))
    return spaces


@pytest.fixture
def payments() -> SandboxPayments:
    return SandboxPayments(secret=b"s" * 32, base_url="https://pay.example/x", return_url="https://spaces.example/")


@pytest.fixture
def tickets(
    db: Database, clock: ManualClock, new_id: Callable[[], int], spaces: FakeSpaces, payments: SandboxPayments
) -> Tickets:
    return Tickets(db=db, clock=clock, new_id=new_id, get=spaces.get, execute=spaces.execute, payments=payments)


@pytest.fixture
def reactor(db: Database, clock: ManualClock, log: FakeLog, new_id: Callable[[], int]) -> Reactor:
    reaction = TicketReaction(clock=clock, new_id=new_id)
    return Reactor("tickets", reaction, db=db, clock=clock, log_after=log.after)


def pays(payments: SandboxPayments, order: Order) -> tuple[dict[str, str], bytes]:
    return payments.message(payments.order_of(order.url.rpartition("/")[2]), "paid")


def bought(log: FakeLog) -> list[int]:
    return [recorded.event.account for recorded in log.events if isinstance(recorded.event, e.TicketBought)]


async def state_of(db: Database, order: Order) -> OrderState:
    found = await db.read(lambda c: store.one(c, order.id))
    assert found is not None
    return found.state


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceError) as error:
        await call
    return error.value.code


async def test_who_pays_has_a_ticket_and_only_the_creator_sees_the_buyers(
    db: Database, log: FakeLog, tickets: Tickets, payments: SandboxPayments
) -> None:
    order = await tickets.checkout(ANN, 5)
    assert order.url.startswith("https://pay.example/x/")
    assert await tickets.buyers(HOST, 5) == []
    await tickets.on_payment(*pays(payments, order))
    assert bought(log) == [2]
    assert (await tickets.order(ANN, order.id)).state is OrderState.PAID
    assert await refused(tickets.order(BOB, order.id)) == "ticket.not_found"
    assert await tickets.buyers(HOST, 5) == [2]
    assert await refused(tickets.buyers(ANN, 5)) == "role.forbidden"
    assert await refused(tickets.checkout(ANN, 5)) == "ticket.exists"


async def test_asking_again_while_paying_gives_the_same_order(tickets: Tickets) -> None:
    first, second = await asyncio.gather(tickets.checkout(ANN, 5), tickets.checkout(ANN, 5))
    assert first == second


async def test_seats_are_held_while_people_pay_and_never_oversold(
    log: FakeLog, clock: ManualClock, tickets: Tickets, payments: SandboxPayments
) -> None:
    buyers = [Principal(account=account) for account in range(10, 22)]
    outcomes = await asyncio.gather(*(tickets.checkout(buyer, 5) for buyer in buyers), return_exceptions=True)
    held = [outcome for outcome in outcomes if isinstance(outcome, Order)]
    codes = {outcome.code for outcome in outcomes if isinstance(outcome, ServiceError)}
    assert len(held) == 2
    assert codes == {"ticket.sold_out"}
    await asyncio.gather(*(tickets.on_payment(*pays(payments, order)) for order in held))
    assert sorted(bought(log)) == sorted(order.account for order in held)


async def test_a_hold_that_is_over_frees_the_seat_and_a_late_payment_goes_back(
    db: Database, log: FakeLog, clock: ManualClock, tickets: Tickets, payments: SandboxPayments
) -> None:
    late = await tickets.checkout(ANN, 5)
    await tickets.checkout(BOB, 5)
    assert await refused(tickets.checkout(EVE, 5)) == "ticket.sold_out"
    clock.advance(ms=600_000)
    for who in (BOB, EVE):
        await tickets.on_payment(*pays(payments, await tickets.checkout(who, 5)))
    assert bought(log) == [3, 4]
    await tickets.on_payment(*pays(payments, late))
    assert bought(log) == [3, 4]
    assert await state_of(db, late) is OrderState.REFUNDED
    assert payments.refunded == {f"sandbox-{late.id}"}


async def test_a_late_payment_still_gives_a_ticket_if_there_is_one(
    log: FakeLog, clock: ManualClock, tickets: Tickets, payments: SandboxPayments
) -> None:
    late = await tickets.checkout(ANN, 5)
    clock.advance(ms=600_001)
    await tickets.on_payment(*pays(payments, late))
    assert bought(log) == [2]
    assert payments.refunded == set()


async def test_paying_twice_by_two_orders_gives_one_ticket_and_one_payment_back(
    db: Database, log: FakeLog, clock: ManualClock, tickets: Tickets, payments: SandboxPayments
) -> None:
    first = await tickets.checkout(ANN, 5)
    clock.advance(ms=600_001)
    second = await tickets.checkout(ANN, 5)
    assert second.id != first.id
    await tickets.on_payment(*pays(payments, second))
    await tickets.on_payment(*pays(payments, first))
    assert bought(log) == [2]
    assert payments.refunded == {f"sandbox-{first.id}"}
    assert await state_of(db, second) is OrderState.PAID


async def test_a_message_told_twice_changes_nothing(log: FakeLog, tickets: Tickets, payments: SandboxPayments) -> None:
    order = await tickets.checkout(ANN, 5)
    message = pays(payments, order)
    await asyncio.gather(*(tickets.on_payment(*message) for _ in range(5)))
    await tickets.on_payment(*message)
    assert bought(log) == [2]
    assert payments.refunded == set()


async def test_forged_foreign_and_wrong_messages_are_refused(
    log: FakeLog, tickets: Tickets, payments: SandboxPayments
) -> None:
    order = await tickets.checkout(ANN, 5)
    headers, body = pays(payments, order)
    forger = SandboxPayments(secret=b"x" * 32, base_url="https://a", return_url="https://b")
    wanted = payments.order_of(order.url.rpartition("/")[2])
    cheap = PaymentOrder(order=order.id, space=5, account=2, price_minor=1, currency="EUR", expires_ms=0)
    unknown = PaymentOrder(order=99, space=5, account=2, price_minor=500, currency="EUR", expires_ms=0)
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 400)}
    for bad in (
        forger.message(wanted, "paid"),
        (headers, body.replace(b"500", b"501")),
        (headers, b"nonsense"),
        (old, body),
        ({}, body),
        payments.message(cheap, "paid"),
        payments.message(unknown, "paid"),
    ):
        assert await refused(tickets.on_payment(*bad)) == "payment.invalid"
    assert bought(log) == []


async def test_a_page_that_we_did_not_make_is_not_there(payments: SandboxPayments, tickets: Tickets) -> None:
    order = await tickets.checkout(ANN, 5)
    token = order.url.rpartition("/")[2]
    for bad in ("", "AAAA", token[:-4] + "AAAA", "ü"):
        with pytest.raises(ServiceError) as error:
            payments.order_of(bad)
        assert error.value.code == "resource.not_found"


async def test_declining_frees_the_seat(tickets: Tickets, payments: SandboxPayments) -> None:
    order = await tickets.checkout(ANN, 5)
    await tickets.checkout(BOB, 5)
    await tickets.on_payment(*payments.message(payments.order_of(order.url.rpartition("/")[2]), "failed"))
    assert (await tickets.checkout(EVE, 5)).state is OrderState.HELD


async def test_a_crash_between_money_and_ticket_gives_the_ticket_later_once(
    db: Database, log: FakeLog, clock: ManualClock, tickets: Tickets, payments: SandboxPayments, spaces: FakeSpaces
) -> None:
    order = await tickets.checkout(ANN, 5)
    spaces.fails = ServiceError("store.unavailable")
    await tickets.on_payment(*pays(payments, order))
    assert await state_of(db, order) is OrderState.ACCEPTED
    assert not await tickets.step(), "not at once again"
    spaces.fails = None

    def crash() -> None:
        raise asyncio.CancelledError

    spaces.after = crash
    clock.advance(ms=15_000)
    with pytest.raises(asyncio.CancelledError):
        await tickets.step()
    assert bought(log) == [2], "given, but the order does not know"
    assert await state_of(db, order) is OrderState.ACCEPTED
    spaces.after = lambda: None
    assert await tickets.step()
    assert await state_of(db, order) is OrderState.PAID
    assert bought(log) == [2]
    assert payments.refunded == set()


async def test_a_refusal_by_the_rules_gives_the_money_back(
    db: Database, log: FakeLog, tickets: Tickets, payments: SandboxPayments, spaces: FakeSpaces
) -> None:
    order = await tickets.checkout(ANN, 5)
    spaces.put(Space(id=5, creator=1, status=Status.ENDED))
    await tickets.on_payment(*pays(payments, order))
    assert bought(log) == []
    assert await state_of(db, order) is OrderState.REFUNDED
    assert payments.refunded == {f"sandbox-{order.id}"}


async def test_a_canceled_space_pays_everybody_back_however_often_the_provider_fails(
    db: Database,
    log: FakeLog,
    clock: ManualClock,
    tickets: Tickets,
    payments: SandboxPayments,
    spaces: FakeSpaces,
    reactor: Reactor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paid = await tickets.checkout(ANN, 5)
    await tickets.on_payment(*pays(payments, paid))
    paying = await tickets.checkout(BOB, 5)
    log.add(5, e.Canceled(how=e.CanceledHow.HOST))
    spaces.put(Space(id=5, creator=1, status=Status.CANCELED, ticketing=(await spaces.get(5)).ticketing))
    await reactor.drain()
    await reactor.drain()

    async def fail(payment: str) -> None:
        raise OSError("provider is down")

    working = payments.refund
    monkeypatch.setattr(payments, "refund", fail)
    assert await tickets.step()
    monkeypatch.setattr(payments, "refund", working)
    assert payments.refunded == set()
    clock.advance(ms=15_000)
    assert await tickets.step()
    assert payments.refunded == {f"sandbox-{paid.id}"}
    assert sum(isinstance(recorded.event, e.TicketRefunded) for recorded in log.events) == 1
    await tickets.on_payment(*pays(payments, paying))
    assert payments.refunded == {f"sandbox-{paid.id}", f"sandbox-{paying.id}"}, "who paid meanwhile too"
    assert not await tickets.step()


async def test_a_chargeback_takes_the_ticket_back(log: FakeLog, tickets: Tickets, payments: SandboxPayments) -> None:
    order = await tickets.checkout(ANN, 5)
    await tickets.on_payment(*pays(payments, order))
    await tickets.on_payment(*payments.message(payments.order_of(order.url.rpartition("/")[2]), "refunded"))
    assert isinstance(log.events[-1].event, e.TicketRefunded)
    assert (await tickets.order(ANN, order.id)).state is OrderState.REFUNDED
    assert payments.refunded == set(), "the provider did that itself"
    assert (await tickets.checkout(ANN, 5)).state is OrderState.HELD, "may buy again"


async def test_tickets_given_without_our_orders_count_and_are_listed(
    log: FakeLog, tickets: Tickets, reactor: Reactor
) -> None:
    log.add(5, e.TicketBought(account=9, payment="elsewhere-1"))
    await reactor.drain()
    assert await tickets.buyers(HOST, 5) == [9]
    await tickets.checkout(ANN, 5)
    assert await refused(tickets.checkout(BOB, 5)) == "ticket.sold_out"


async def test_a_space_without_tickets_sells_none(tickets: Tickets, spaces: FakeSpaces) -> None:
    spaces.put(Space(id=6, creator=1, status=Status.LIVE))
    assert await refused(tickets.checkout(ANN, 6)) == "ticket.not_ticketed"
    assert await refused(tickets.checkout(ANN, 99)) == "space.not_found"
    assert await refused(tickets.checkout(Principal(), 5)) == "auth.token_missing"
