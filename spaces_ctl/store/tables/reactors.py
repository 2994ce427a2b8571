"""Where each reader of the event log is, and what it could not digest."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["reactor_cursors", "reactor_parked"]

reactor_cursors = sa.Table(
    "reactor_cursors",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)

reactor_parked = sa.Table(
    "reactor_parked",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
