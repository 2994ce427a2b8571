"""What lists and facts are read from, kept in step with the log: `apply` runs in the unit that appends.

Everything here follows from the logs alone, so that `rebuild` makes the same rows anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from spaces_ctl import events as ev
from spaces_ctl.events import Recorded, SpaceEvent
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.store import event_log, reactors, search
from spaces_ctl.store.insert import insert_new, upsert_all
from spaces_ctl.store.tables.log import space_events
from spaces_ctl.store.tables.spaces import poll_votes, space_people, space_topics, spaces, subscriptions, tickets

__all__ = ["Evolve", "apply", "rebuild"]

Evolve = Callable[[Space, SpaceEvent, int], Space]
"""`policy.evolve`."""

_MEMBERS_ONLY = (ev.Subscribed, ev.Unsubscribed, ev.TicketBought, ev.TicketRefunded, ev.PollVoted, ev.Muted, ev.Unmuted)
"""Events that leave the people of the stage as they were; there may be very many of them."""


def apply(c: sa.Connection, state: Space, recorded: Sequence[Recorded]) -> None:
    """Brings the projections to `state`, to which `recorded` (events of this one Space, in order) have led."""
    if not recorded:
        return
    _put_summary(c, state)
    events = [r.event for r in recorded]
    if any(isinstance(event, ev.Created | ev.Edited) for event in events):
        _put_topics(c, state)
        search.put_text(c, state.id, state.title, state.description)
    if not all(isinstance(event, _MEMBERS_ONLY) for event in events):
        _put_people(c, state, _became_host(events))
    for r in recorded:
        _member(c, r)


def rebuild(c: sa.Connection, evolve: Evolve) -> int:
    """Makes all projections anew from the logs; returns the number of Spaces.

    Names in the search index come from elsewhere too: they stay, and are set anew by their reader of the log.
    """
    reactors.rewind(c, search.NAMES_READER)
    for table in (spaces, space_people, space_topics, tickets, subscriptions, poll_votes):
        c.execute(sa.delete(table))
    count = 0
    last = -1
    while (space := _next_space(c, last)) is not None:
        log = event_log.read(c, space)
        state = Space(id=space)
        for r in log:
            state = evolve(state, r.event, r.at_ms)
        apply(c, replace(state, version=log[-1].version), log)
        count += 1
        last = space
    return count


def _next_space(c: sa.Connection, after: SpaceId) -> SpaceId | None:
    space: SpaceId | None = c.scalar(sa.select(sa.func.min(space_events.c.space)).where(space_events.c.space > after))
    return space


def _put_summary(c: sa.Connection, state: Space) -> None:
    ticketing = state.ticketing
    values: dict[str, Any] = {
        "id": state.id,
        "version": state.version,
        "status": state.status.value,
        "creator": state.creator,
        "admin": state.admin,
        "transferred": state.transferred,
        "title": state.title,
        "description": state.description,
        "lang": state.lang,
        "community": state.community,
        "ticketed": ticketing is not None,
        "price_minor": ticketing.price_minor if ticketing else None,
        "currency": ticketing.currency if ticketing else None,
        "quantity": ticketing.quantity if ticketing else None,
        "created_ms": state.created_ms,
        "scheduled_start_ms": state.scheduled_start_ms,
        "started_ms": state.started_ms,
        "ended_ms": state.ended_ms,
        "updated_ms": state.updated_ms,
        "speak": state.speak.value,
        "requests_open": state.requests_open,
        "record": state.record,
        "clips_on": state.clips_on,
        "captions_on": state.captions_on,
        "replay_status": state.replay.status.value,
        "replay_duration_ms": state.replay.duration_ms,
        "replay_start_ms": state.replay.start_ms,
        "replay_available_ms": state.replay.available_ms,
        "retention": state.retention.value,
        "violation": state.violation,
        "subscribers": state.subscribers,
        "tickets": state.tickets,
        "requests_made": state.requests_made,
        "clips_made": state.clips_made,
    }
    upsert_all(c, spaces, [values], keys=("id",))


def _put_topics(c: sa.Connection, state: Space) -> None:
    c.execute(sa.delete(space_topics).where(space_topics.c.space == state.id))
    rows = [{"space": state.id, "topic": topic, "place": place} for place, topic in enumerate(state.topics)]
    if rows:
        c.execute(sa.insert(space_topics), rows)


def _became_host(events: Sequence[SpaceEvent]) -> set[AccountId]:
    """Who was made host or co-host by these events, for however short a time."""
    hosts: set[AccountId] = set()
    for event in events:
        match event:
            case ev.Created(creator=account):
                hosts.add(account)
            case ev.CohostAdded(account=account) | ev.AdminChanged(account=account) if account is not None:
                hosts.add(account)
    return hosts


def _put_people(c: sa.Connection, state: Space, became_host: set[AccountId]) -> None:
    """Writes only the rows that changed: of a long Space's many, an event touches one or two."""
    before = {row.account: row for row in c.execute(sa.select(space_people).where(space_people.c.space == state.id))}
    seats = {seat.account: (seat.role.value, place) for place, seat in enumerate(state.stage)}
    invited = {*state.invites, *state.invited_ever}
    spoke = set(state.spoke_ever)
    hosted = became_host | {account for account, row in before.items() if row.hosted}
    changed = []
    for account in {*seats, *invited, *spoke, *hosted}:
        role, place = seats.get(account, (None, None))
        row = (state.id, account, role, place, account in invited, account in spoke, account in hosted)
        if tuple(before.pop(account, ())) != row:
            changed.append(dict(zip(space_people.c.keys(), row, strict=True)))
    if before:
        c.execute(sa.delete(space_people).where(space_people.c.space == state.id, space_people.c.account.in_(before)))
    upsert_all(c, space_people, changed, keys=("space", "account"))


def _member(c: sa.Connection, r: Recorded) -> None:
    """Keeps the sets that grow with the audience, of which the folded state has the counts only."""
    match r.event:
        case ev.TicketBought(account=account, payment=payment):
            ticket = {"space": r.space, "account": account, "payment": payment}
            ticket |= {"bought_ms": r.at_ms, "sequence": r.sequence}
            upsert_all(c, tickets, [ticket], keys=("space", "account"))
        case ev.TicketRefunded(account=account):
            c.execute(sa.delete(tickets).where(tickets.c.space == r.space, tickets.c.account == account))
        case ev.Subscribed(account=account):
            insert_new(c, subscriptions, [{"space": r.space, "account": account, "since_ms": r.at_ms}])
        case ev.Unsubscribed(account=account):
            c.execute(
                sa.delete(subscriptions).where(subscriptions.c.space == r.space, subscriptions.c.account == account)
            )
        case ev.PollVoted(poll=poll, account=account, option=option):
            insert_new(c, poll_votes, [{"space": r.space, "poll": poll, "account": account, "option": option}])
