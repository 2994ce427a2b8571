"""Spaces as lists and look-ups show them, read from the projections. Times are milliseconds since 1970.

Lists are read in pages: `after` is the `Position` of the last one seen, as `position_of` tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId, Speak, StageRole, Status, Ticketing
from spaces_ctl.policy.state import ReplayStatus, Retention
from spaces_ctl.store.insert import insert_into
from spaces_ctl.store.tables.spaces import space_counts, space_people, space_topics, spaces

__all__ = [
    "Position",
    "Summary",
    "add_plays",
    "by_creators",
    "by_ids",
    "hosted_by",
    "in_community",
    "live",
    "live_ids",
    "note_counts",
    "recorded_by",
    "trending",
    "unfinished_of",
    "upcoming",
    "with_hosts",
    "with_topic",
]

_MOST_PARAMETERS = 500


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One Space, in short."""

    id: SpaceId
    version: int
    status: Status
    creator: AccountId
    admin: AccountId | None
    title: str
    description: str
    lang: str
    topics: tuple[str, ...]
    community: int | None
    ticketing: Ticketing | None
    created_ms: int
    scheduled_start_ms: int | None
    started_ms: int | None
    ended_ms: int | None
    updated_ms: int
    speak: Speak
    requests_open: bool
    record: bool
    clips_on: bool
    captions_on: bool
    replay_status: ReplayStatus
    replay_duration_ms: int
    replay_start_ms: int
    replay_available_ms: int | None
    retention: Retention
    violation: bool
    subscribers: int
    tickets: int
    requests_made: int
    clips_made: int
    hosts: tuple[AccountId, ...]
    """Primary admin, then co-hosts in order of addition; on stage now."""
    speakers: tuple[AccountId, ...]
    """In order of addition; on stage now."""
    invited: tuple[AccountId, ...]
    """Asked to speak or to co-host, ascending."""
    spoke: tuple[AccountId, ...]
    """Had the mic at any time, ascending."""
    hosted: tuple[AccountId, ...]
    """Host or co-host at any time, ascending."""
    participants: int = 0
    """Inside, as last noted."""
    peak: int = 0
    attendance: int = 0
    replay_plays: int = 0


class Position(NamedTuple):
    """A place in a list: the value that it is sorted by, and the Space's id where values are equal."""

    value: int
    id: SpaceId


def by_ids(c: sa.Connection, ids: Iterable[SpaceId]) -> dict[SpaceId, Summary]:
    """Those that exist, whatever their state, in the order asked for."""
    wanted = list(dict.fromkeys(ids))
    found: dict[SpaceId, Summary] = {}
    for start in range(0, len(wanted), _MOST_PARAMETERS):
        found |= _by_ids(c, wanted[start : start + _MOST_PARAMETERS])
    return {space: found[space] for space in wanted if space in found}


def by_creators(
    c: sa.Connection, creators: Sequence[AccountId], states: Sequence[Status] = (Status.LIVE, Status.SCHEDULED)
) -> list[Summary]:
    """All Spaces in `states` that these accounts created, the newest first."""
    return _list(c, _of_status(states).where(spaces.c.creator.in_(creators)).order_by(spaces.c.id.desc()))


def live_ids(c: sa.Connection) -> list[SpaceId]:
    """All live Spaces, to be folded when the process starts."""
    return list(c.scalars(sa.select(spaces.c.id).where(spaces.c.status == Status.LIVE.value).order_by(spaces.c.id)))


def ended_ids(c: sa.Connection, since_ms: int) -> list[SpaceId]:
    """Spaces that ended then or later."""
    ended = spaces.c.status == Status.ENDED.value, spaces.c.ended_ms >= since_ms
    return list(c.scalars(sa.select(spaces.c.id).where(*ended).order_by(spaces.c.id)))


def live(c: sa.Connection, limit: int, after: Position | None = None) -> list[Summary]:
    """Live Spaces by their start, the latest first. `Position.value`: `started_ms`."""
    return _list(c, _page(_of_status([Status.LIVE]), spaces.c.started_ms, after, limit, descending=True))


def upcoming(c: sa.Connection, limit: int, after: Position | None = None) -> list[Summary]:
    """Scheduled Spaces, the next one first. `Position.value`: `scheduled_start_ms`."""
    query = _of_status([Status.SCHEDULED])
    return _list(c, _page(query, spaces.c.scheduled_start_ms, after, limit, descending=False))


def trending(c: sa.Connection, limit: int, after: Position | None = None) -> list[Summary]:
    """Live Spaces by the people inside, most first. `Position.value`: `participants`."""
    people = sa.func.coalesce(space_counts.c.participants, 0)
    query = _of_status([Status.LIVE]).outerjoin(space_counts, space_counts.c.space == spaces.c.id)
    return _list(c, _page(query, people, after, limit, descending=True))


def with_topic(
    c: sa.Connection,
    topics: Sequence[str],
    limit: int,
    before: SpaceId | None = None,
    states: Sequence[Status] = (Status.LIVE, Status.SCHEDULED),
) -> list[Summary]:
    """Spaces under any of the topics, the newest first, ids below `before`."""
    under = sa.select(space_topics.c.space).where(space_topics.c.topic.in_(topics))
    return _list(c, _newest(_of_status(states).where(spaces.c.id.in_(under)), before, limit))


def in_community(
    c: sa.Connection,
    community: int,
    limit: int,
    before: SpaceId | None = None,
    states: Sequence[Status] = (Status.LIVE, Status.SCHEDULED),
) -> list[Summary]:
    """Spaces of a community, the newest first, ids below `before`."""
    return _list(c, _newest(_of_status(states).where(spaces.c.community == community), before, limit))


def with_hosts(c: sa.Connection, accounts: Sequence[AccountId]) -> list[Summary]:
    """Live Spaces in which any of the accounts is on stage now, the newest first: the bar of people one follows."""
    found: dict[SpaceId, Summary] = {}
    for start in range(0, len(accounts), _MOST_PARAMETERS):
        part = accounts[start : start + _MOST_PARAMETERS]
        on_stage = sa.select(space_people.c.space).where(
            space_people.c.account.in_(part), space_people.c.role.is_not(None)
        )
        query = _of_status([Status.LIVE]).where(spaces.c.id.in_(on_stage))
        found |= {summary.id: summary for summary in _list(c, query)}
    return sorted(found.values(), key=lambda summary: -summary.id)


def hosted_by(
    c: sa.Connection, account: AccountId, states: Sequence[Status], limit: int, before: SpaceId | None = None
) -> list[Summary]:
    """Spaces that the account hosted or co-hosted at any time, the newest first, ids below `before`."""
    return _list(c, _newest(_of_status(states).where(_hosted(account)), before, limit))


def recorded_by(c: sa.Connection, account: AccountId, limit: int, before: SpaceId | None = None) -> list[Summary]:
    """Ended Spaces that the account hosted or co-hosted and whose replay may be played, the newest first."""
    query = _of_status([Status.ENDED]).where(_hosted(account), spaces.c.replay_status == ReplayStatus.AVAILABLE.value)
    return _list(c, _newest(query, before, limit))


def unfinished_of(c: sa.Connection, accounts: Iterable[AccountId]) -> list[SpaceId]:
    """Spaces that are not over and that one of the accounts hosted or co-hosted at any time."""
    open_ = _of_status([Status.LOBBY, Status.SCHEDULED, Status.LIVE])
    return [space for account in accounts for space in c.scalars(open_.where(_hosted(account)))]


def note_counts(c: sa.Connection, space: SpaceId, *, participants: int, attendance: int = 0, peak: int = 0) -> None:
    """The engine's count of people inside now, of all who ever were and the most at once (0: as before, but that the
    peak follows the people inside).
    """
    insert = insert_into(c, space_counts).values(
        space=space,
        participants=participants,
        peak=max(participants, peak),
        attendance=attendance,
        replay_plays=0,
    )
    grown = {
        name: sa.case((insert.excluded[name] > space_counts.c[name], insert.excluded[name]), else_=space_counts.c[name])
        for name in ("peak", "attendance")
    }
    c.execute(
        insert.on_conflict_do_update(
            index_elements=[space_counts.c.space], set_={"participants": participants, **grown}
        )
    )


def add_plays(c: sa.Connection, space: SpaceId, plays: int) -> None:
    """Counts plays of the replay."""
    c.execute(
        insert_into(c, space_counts)
        .values(space=space, participants=0, peak=0, attendance=0, replay_plays=plays)
        .on_conflict_do_update(
            index_elements=[space_counts.c.space], set_={"replay_plays": space_counts.c.replay_plays + plays}
        )
    )


def _of_status(states: Sequence[Status]) -> sa.Select[int]:
    return sa.select(spaces.c.id).where(spaces.c.status.in_([state.value for state in states]))


def _hosted(account: AccountId) -> sa.ColumnElement[bool]:
    return spaces.c.id.in_(
        sa.select(space_people.c.space).where(space_people.c.account == account, space_people.c.hosted)
    )


def _newest(query: sa.Select[int], before: SpaceId | None, limit: int) -> sa.Select[int]:
    if before is not None:
        query = query.where(spaces.c.id < before)
    return query.order_by(spaces.c.id.desc()).limit(limit)


def _page(
    query: sa.Select[int], key: sa.ColumnElement[Any], after: Position | None, limit: int, *, descending: bool
) -> sa.Select[int]:
    """A page of `query` by (key, id), both in the same direction."""
    place = sa.tuple_(key, spaces.c.id)
    if after is not None:
        last = sa.tuple_(sa.literal(after.value, sa.BigInteger), sa.literal(after.id, sa.BigInteger))
        query = query.where(place < last if descending else place > last)
    if descending:
        return query.order_by(key.desc(), spaces.c.id.desc()).limit(limit)
    return query.order_by(key, spaces.c.id).limit(limit)


def _list(c: sa.Connection, ids: sa.Select[int]) -> list[Summary]:
    return list(by_ids(c, c.scalars(ids)).values())


def _by_ids(c: sa.Connection, ids: list[SpaceId]) -> dict[SpaceId, Summary]:
    topics: dict[SpaceId, list[str]] = {}
    for row in c.execute(
        sa.select(space_topics)
        .where(space_topics.c.space.in_(ids))
        .order_by(space_topics.c.space, space_topics.c.place)
    ):
        topics.setdefault(row.space, []).append(row.topic)
    people: dict[SpaceId, list[Any]] = {}
    for row in c.execute(
        sa.select(space_people)
        .where(space_people.c.space.in_(ids))
        .order_by(space_people.c.space, space_people.c.place, space_people.c.account)
    ):
        people.setdefault(row.space, []).append(row)
    query = sa.select(
        spaces, *(space_counts.c[name] for name in ("participants", "peak", "attendance", "replay_plays"))
    )
    query = query.outerjoin(space_counts, space_counts.c.space == spaces.c.id).where(spaces.c.id.in_(ids))
    return {row.id: _summary(row, topics.get(row.id, []), people.get(row.id, [])) for row in c.execute(query)}


def _summary(row: Any, topics: list[str], people: list[Any]) -> Summary:
    values = dict(row._mapping)
    values.pop("transferred")
    price, currency, quantity = (values.pop(name) for name in ("price_minor", "currency", "quantity"))
    ticketed = values.pop("ticketed")
    ticketing = Ticketing(price_minor=price, currency=currency, quantity=quantity) if ticketed else None
    for count in ("participants", "peak", "attendance", "replay_plays"):
        values[count] = values[count] or 0
    return Summary(
        **{
            **values,
            "status": Status(row.status),
            "speak": Speak(row.speak),
            "replay_status": ReplayStatus(row.replay_status),
            "retention": Retention(row.retention),
        },
        topics=tuple(topics),
        ticketing=ticketing,
        hosts=tuple(p.account for p in people if p.role in (StageRole.HOST, StageRole.COHOST)),
        speakers=tuple(p.account for p in people if p.role == StageRole.SPEAKER),
        invited=tuple(sorted(p.account for p in people if p.invited)),
        spoke=tuple(sorted(p.account for p in people if p.spoke)),
        hosted=tuple(sorted(p.account for p in people if p.hosted)),
    )
