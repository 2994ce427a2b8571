"""Spaces whose logs are filled by hand, and one at random: any event is folded in any state."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from spaces_ctl import events as ev
from spaces_ctl.model import Actor, StageRole, Ticketing
from spaces_ctl.policy import Space, evolve
from spaces_ctl.store import event_log, projections


def happen(c: sa.Connection, state: Space, events: Sequence[ev.SpaceEvent], at_ms: int) -> Space:
    """Appends, folds and projects, as the service does in one unit."""
    recorded = event_log.append(c, state.id, state.version, events, Actor(account=state.creator or 1), at_ms)
    for event in events:
        state = evolve(state, event, at_ms)
    projections.apply(c, state, recorded)
    return state


def create(c: sa.Connection, space: int, at_ms: int = 1_000, *more: ev.SpaceEvent, **created: Any) -> Space:
    """A new Space and what happens next."""
    events = [ev.Created(**{"creator": 1, **created}), *more]
    return happen(c, Space(id=space), events, at_ms)


def random_event(rng: random.Random) -> ev.SpaceEvent:
    """Any event that concerns projections, with few accounts, so that they meet again."""
    account = rng.randrange(1, 8)
    seat, generation = rng.randrange(13), rng.randrange(100)
    events: list[ev.SpaceEvent] = [
        ev.Edited(title=f"title {rng.randrange(9)}", topics=tuple(rng.sample("abcd", rng.randrange(4)))),
        ev.Edited(scheduled_start_ms=rng.randrange(10_000)),
        ev.Canceled(how=ev.CanceledHow.HOST),
        ev.Started(record=rng.random() < 0.5),
        ev.Ended(how=ev.EndedHow.HOST),
        ev.SettingChanged(clips=rng.random() < 0.5, record=rng.random() < 0.5),
        ev.Joined(account=account),
        ev.Left(account=account, how=ev.LeftHow.LEFT),
        ev.Requested(account=account),
        ev.Invited(account=account, role=rng.choice([StageRole.SPEAKER, StageRole.COHOST])),
        ev.InviteClosed(
            account=account,
            role=StageRole.SPEAKER,
            how=rng.choice([ev.InviteClosedHow.ACCEPTED, ev.InviteClosedHow.WITHDRAWN]),
        ),
        ev.SpeakerAdded(account=account, seat=seat, generation=generation, how=ev.SeatGainedHow.OPEN),
        ev.SpeakerRemoved(
            account=account, how=rng.choice([ev.SeatLostHow.REVOKED, ev.SeatLostHow.PROMOTED, ev.SeatLostHow.LEFT])
        ),
        ev.CohostAdded(account=account, seat=seat, generation=generation, how=ev.CohostGainedHow.ACCEPTED),
        ev.CohostRemoved(account=account, how=rng.choice([ev.CohostLostHow.LEFT, ev.CohostLostHow.PROMOTED])),
        ev.AdminChanged(account=account, how=ev.AdminHow.TRANSFERRED, seat=seat, generation=generation),
        ev.AdminChanged(account=None, how=ev.AdminHow.HOSTLESS, until_ms=5),
        ev.Muted(account=account, how=ev.MutedHow.SELF),
        ev.Removed(account=account, how=ev.RemovedHow.REMOVED, bar=True),
        ev.PollVoted(poll=rng.randrange(3), account=account, option=rng.randrange(2)),
        ev.ReplayReady(duration_ms=rng.randrange(10_000)),
        ev.ReplayTrimmed(start_ms=rng.randrange(100)),
        ev.ViolationFound(),
        ev.ClipCreated(clip=rng.randrange(20), by=account, start_ms=0, end_ms=1),
        ev.Subscribed(account=account),
        ev.Unsubscribed(account=account),
        ev.TicketBought(account=account, payment=f"payment {rng.randrange(99)}"),
        ev.TicketRefunded(account=account, payment="any"),
    ]
    return rng.choice(events)


def random_life(c: sa.Connection, rng: random.Random, space: int, commits: int) -> Space:
    """A Space to which things happen, several at a time."""
    state = create(
        c,
        space,
        1_000,
        creator=rng.randrange(1, 8),
        title=f"Space {space}",
        topics=("a",),
        ticketing=Ticketing(price_minor=5, currency="EUR", quantity=9) if rng.random() < 0.5 else None,
        community=rng.choice([None, 4]),
    )
    for number in range(commits):
        state = happen(c, state, [random_event(rng) for _ in range(rng.randrange(1, 5))], 2_000 + number)
    return replace(state)
