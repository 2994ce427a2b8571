"""Topics, how much each live Space trends, and hosts' analytics."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["space_analytics", "space_trends", "topics"]

topics = sa.Table(
    "topics",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("description", sa.String(400), nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
)

space_trends = sa.Table(
    "space_trends",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reach", sa.Float, nullable=False),
    sa.Column("people", sa.BigInteger, nullable=False),
    sa.Column("score", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Index("ix_space_trends_score_space", "score", "space"),
)
"""`reach`: arrivals, decayed; `people`: at `at_ms`; `score` in thousandths. See `service.trends`."""

space_analytics = sa.Table(
    "space_analytics",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket_ms", sa.BigInteger, nullable=False),
    sa.Column("points", sa.JSON, nullable=False),
    sa.Column("peak", sa.BigInteger, nullable=False),
    sa.Column("reactions", sa.JSON, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)
"""`points`: `[[begin ms, named, anonymous, guests], ...]`, the most people in each stretch of `bucket_ms`."""
