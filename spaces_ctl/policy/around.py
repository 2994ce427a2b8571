"""Reminders and tickets. POLICY section 3, "Around the conversation"."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Role, Status
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    ENDED,
    LIVE,
    SCHEDULED,
    ask_blocked_by_host,
    ask_ticket,
    blocked_by_host,
    target_removed,
)
from spaces_ctl.policy.state import Space


def ask_subscribed(state: Space, command: object, me: AccountId) -> Needs:
    """Whether they asked to be told."""
    return Needs(subscribed=me)


# Guards


@refuses("role.forbidden")
def payment_is_the_providers_word(case: Case, command: c.BuyTicket) -> bool:
    """An account may ask whether it could buy, for itself; that it has paid, the payment provider says."""
    return case.role is not Role.SYSTEM and (command.account != case.me or command.payment != "")


@refuses("payment.invalid")
def payment_without_reference(case: Case, command: c.BuyTicket | c.RefundTicket) -> bool:
    """The provider's message names the payment."""
    return case.role is Role.SYSTEM and command.payment == ""


@refuses("ticket.not_ticketed")
def ticket_not_ticketed(case: Case, command: c.BuyTicket) -> bool:
    """Anybody may come in."""
    return case.state.ticketing is None


@refuses("ticket.exists", ask_ticket)
def ticket_exists(case: Case, command: c.BuyTicket) -> bool:
    """One each."""
    return case.facts.has_ticket


@refuses("ticket.sold_out", ask_ticket)
def ticket_sold_out(case: Case, command: c.BuyTicket) -> bool:
    """No more than there are."""
    return case.state.ticketing is not None and case.facts.tickets_sold >= case.state.ticketing.quantity


@refuses("participant.blocked_by_host", ask_blocked_by_host)
def buyer_blocked(case: Case, command: c.BuyTicket) -> bool:
    """Nobody is sold a ticket with which they cannot come in."""
    return blocked_by_host(case, command.account)


@refuses("ticket.not_found", ask_ticket)
def ticket_not_found(case: Case, command: c.RefundTicket) -> bool:
    """There is none to take back."""
    return not case.facts.has_ticket


# Handlers


def remind_me(case: Case, command: c.RemindMe) -> None:
    """Once is enough."""
    if not case.facts.subscribed:
        case.emit(ev.Subscribed(account=case.me))


def unremind(case: Case, command: c.Unremind) -> None:
    """Not any more."""
    if case.facts.subscribed:
        case.emit(ev.Unsubscribed(account=case.me))


def buy_ticket(case: Case, command: c.BuyTicket) -> None:
    """The payment provider says so; to an account's question the answer is that nothing forbids it."""
    if case.role is Role.SYSTEM:
        case.emit(ev.TicketBought(account=command.account, payment=command.payment))


def refund_ticket(case: Case, command: c.RefundTicket) -> None:
    """Also after the Space was canceled or is over."""
    case.emit(ev.TicketRefunded(account=command.account, payment=command.payment))


ROWS: Table = dict(
    (
        row(c.RemindMe, "O", (SCHEDULED,), makes=outcomes(ev.Subscribed), asks=(ask_subscribed,)),
        row(c.Unremind, "O", (SCHEDULED,), makes=outcomes(ev.Unsubscribed), asks=(ask_subscribed,)),
        row(
            c.BuyTicket,
            "O Y",
            (SCHEDULED, LIVE),
            payment_is_the_providers_word,
            payment_without_reference,
            ticket_not_ticketed,
            ticket_exists,
            ticket_sold_out,
            target_removed,
            buyer_blocked,
            makes=outcomes(ev.TicketBought),
        ),
        row(
            c.RefundTicket,
            "Y",
            (SCHEDULED, LIVE, ENDED, Status.CANCELED),
            payment_without_reference,
            ticket_not_found,
            makes=outcomes(ev.TicketRefunded),
        ),
    )
)
