"""Who listened to what was kept for review."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["review_reads"]

review_reads = sa.Table(
    "review_reads",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("moderator", sa.BigInteger, nullable=True),
    sa.Column("case", sa.BigInteger, nullable=False),
    sa.Column("space", sa.BigInteger, nullable=False, index=True),
    sa.Column("from_ms", sa.BigInteger, nullable=False),
    sa.Column("to_ms", sa.BigInteger, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("fetched", sa.Integer, nullable=False),
)
"""A row is written before anything is read, and never taken out. `from_ms` and `to_ms` since the Space's start;
`fetched`: how many tracks were made of it; no `moderator`: an operator without an account."""
