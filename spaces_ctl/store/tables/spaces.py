"""Tables that are read instead of folding logs: projections of the Spaces' events, and counts that the engine knows."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["poll_votes", "space_counts", "space_people", "space_topics", "spaces", "subscriptions", "tickets"]


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


spaces = sa.Table(
    "spaces",
    metadata,
    _key("id"),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("creator", sa.BigInteger, nullable=False),
    sa.Column("admin", sa.BigInteger),
    _flag("transferred"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("lang", sa.String(64), nullable=False),
    sa.Column("community", sa.BigInteger, index=True),
    _flag("ticketed"),
    sa.Column("price_minor", sa.BigInteger),
    sa.Column("currency", sa.String(3)),
    sa.Column("quantity", sa.BigInteger),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("scheduled_start_ms", sa.BigInteger),
    sa.Column("started_ms", sa.BigInteger),
    sa.Column("ended_ms", sa.BigInteger),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.Column("speak", sa.String(16), nullable=False),
    _flag("requests_open"),
    _flag("record"),
    _flag("clips_on"),
    _flag("captions_on"),
    sa.Column("replay_status", sa.String(16), nullable=False),
    sa.Column("replay_duration_ms", sa.BigInteger, nullable=False),
    sa.Column("replay_start_ms", sa.BigInteger, nullable=False),
    sa.Column("replay_available_ms", sa.BigInteger),
    sa.Column("retention", sa.String(16), nullable=False),
    _flag("violation"),
    _count("subscribers"),
    _count("tickets"),
    _count("requests_made"),
    _count("clips_made"),
    sa.Index(None, "status", "started_ms", "id"),
    sa.Index(None, "status", "scheduled_start_ms", "id"),
    sa.Index(None, "creator", "status"),
    sa.Index(None, "admin", "status"),
)

space_people = sa.Table(
    "space_people",
    metadata,
    _key("space"),
    _key("account"),
    sa.Column("role", sa.String(16)),
    sa.Column("place", sa.Integer),
    _flag("invited"),
    _flag("spoke"),
    _flag("hosted"),
    sa.Index(None, "account", "role"),
    sa.Index(None, "account", "hosted"),
)
"""`role` and `place` (0: first) on stage now; `invited` and not taken back; `spoke`, `hosted`: at any time."""

space_topics = sa.Table(
    "space_topics",
    metadata,
    _key("space"),
    sa.Column("topic", sa.String(64), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Index(None, "topic", "space"),
)

tickets = sa.Table(
    "tickets",
    metadata,
    _key("space"),
    _key("account"),
    sa.Column("payment", sa.Text, nullable=False),
    sa.Column("bought_ms", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Index(None, "space", "sequence"),
    sa.Index(None, "account"),
)
"""Tickets that are held. `sequence`: of the event by which it was bought, the order of buyers."""

subscriptions = sa.Table(
    "subscriptions",
    metadata,
    _key("space"),
    _key("account"),
    sa.Column("since_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "account"),
)
"""Who wants to be told when a Space starts."""

poll_votes = sa.Table(
    "poll_votes",
    metadata,
    _key("space"),
    _key("poll"),
    _key("account"),
    sa.Column("option", sa.Integer, nullable=False),
)

space_counts = sa.Table(
    "space_counts",
    metadata,
    _key("space"),
    _count("participants"),
    _count("peak"),
    _count("attendance"),
    _count("replay_plays"),
)
"""What no event tells: people inside (last known), the most at once, all who ever were, plays of the replay."""
