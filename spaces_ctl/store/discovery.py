"""Rows of topics, trends and analytics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.store.chunks import chunks
from spaces_ctl.store.insert import insert_new, upsert
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.discovery import space_analytics, space_trends, topics
from spaces_ctl.store.tables.spaces import spaces, subscriptions

__all__ = [
    "Analytics",
    "Topic",
    "Trend",
    "all_topics",
    "analytics",
    "drop_topic",
    "forget_trends",
    "put_analytics",
    "put_topic",
    "put_trends",
    "reminders_of",
    "seed_topics",
    "trending_ids",
    "trends",
]


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic under which Spaces are found."""

    id: str
    name: str
    description: str = ""
    place: int = 0
    """Order in the catalogue."""


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """How much a Space trends."""

    space: SpaceId
    reach: float
    people: int
    score: int
    at_ms: int


class Analytics(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted of a Space."""

    space: SpaceId
    bucket_ms: int
    points: tuple[tuple[int, int, int, int], ...]
    """(begin ms, named, anonymous, guests): the most in each stretch of `bucket_ms`."""
    peak: int
    reactions: dict[str, int]
    updated_ms: int


def seed_topics(c: sa.Connection, catalogue: Sequence[Topic]) -> None:
    """Fills an empty catalogue; one that an operator has touched stays as it is."""
    if c.execute(sa.select(topics.c.id).limit(1)).first() is None:
        insert_new(c, topics, [msgspec.structs.asdict(topic) for topic in catalogue])


def all_topics(c: sa.Connection) -> list[Topic]:
    """The catalogue in its order."""
    return [struct_of(row, Topic) for row in c.execute(sa.select(topics).order_by(topics.c.place, topics.c.id))]


def put_topic(c: sa.Connection, topic: Topic) -> None:
    """Adds or changes a topic."""
    upsert(c, topics, msgspec.structs.asdict(topic), keys=("id",))


def drop_topic(c: sa.Connection, id: str) -> bool:
    """Takes a topic out of the catalogue; Spaces keep its id."""
    return c.execute(topics.delete().where(topics.c.id == id)).rowcount == 1


def trends(c: sa.Connection, ids: Iterable[SpaceId]) -> dict[SpaceId, Trend]:
    """What is known of these Spaces."""
    table = space_trends
    return {
        row.space: struct_of(row, Trend)
        for chunk in chunks(ids)
        for row in c.execute(sa.select(table).where(table.c.space.in_(chunk)))
    }


def put_trends(c: sa.Connection, new: Sequence[Trend]) -> None:
    """Overwrites what is known of Spaces."""
    for trend in new:
        upsert(c, space_trends, msgspec.structs.asdict(trend), keys=("space",))


def forget_trends(c: sa.Connection) -> None:
    """Forgets Spaces that are not live any more."""
    live = sa.select(spaces.c.id).where(spaces.c.status == Status.LIVE.value)
    c.execute(space_trends.delete().where(space_trends.c.space.not_in(live)))


def trending_ids(c: sa.Connection, limit: int, after: tuple[int, SpaceId] | None = None) -> list[tuple[int, SpaceId]]:
    """(score, Space) of live Spaces, highest first; those not measured yet have 0."""
    score = sa.func.coalesce(space_trends.c.score, 0)
    query = (
        sa.select(score.label("score"), spaces.c.id)
        .outerjoin(space_trends, space_trends.c.space == spaces.c.id)
        .where(spaces.c.status == Status.LIVE.value)
        .order_by(score.desc(), spaces.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        value, space = after
        query = query.where(sa.or_(score < value, sa.and_(score == value, spaces.c.id < space)))
    return [(row.score, row.id) for row in c.execute(query)]


def analytics(c: sa.Connection, space: SpaceId) -> Analytics | None:
    """What was counted of a Space."""
    row = c.execute(sa.select(space_analytics).where(space_analytics.c.space == space)).first()
    return None if row is None else struct_of(row, Analytics)


def put_analytics(c: sa.Connection, new: Analytics) -> None:
    """Overwrites what was counted of a Space."""
    row = msgspec.structs.asdict(new)
    row["points"] = [list(point) for point in new.points]
    upsert(c, space_analytics, row, keys=("space",))


def reminders_of(c: sa.Connection, account: AccountId) -> list[SpaceId]:
    """Scheduled Spaces of whose start the account wants to be told, the next one first."""
    query = (
        sa.select(spaces.c.id)
        .join(subscriptions, subscriptions.c.space == spaces.c.id)
        .where(subscriptions.c.account == account, spaces.c.status == Status.SCHEDULED.value)
        .order_by(spaces.c.scheduled_start_ms, spaces.c.id)
    )
    return list(c.scalars(query))
