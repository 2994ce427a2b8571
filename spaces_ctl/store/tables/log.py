"""Tables of what has happened: the logs of events, their heads, snapshots and the cursors of those who follow them."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["account_events", "log_heads", "space_events", "space_snapshots"]

log_heads = sa.Table(
    "log_heads",
    metadata,
    sa.Column("log", sa.String(16), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)
"""The last sequence number of each log. Its row is the log's lock: see `event_log`."""

space_events = sa.Table(
    "space_events",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("actor", sa.LargeBinary, nullable=False),
    sa.Column("event", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("space", "version"),
)
"""`kind` is the event's tag, `actor` and `event` are msgpack."""

account_events = sa.Table(
    "account_events",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.BigInteger, nullable=False, index=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("actor", sa.LargeBinary, nullable=False),
    sa.Column("event", sa.LargeBinary, nullable=False),
)
"""`account` is whom the event is about."""

space_snapshots = sa.Table(
    "space_snapshots",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("shape", sa.String(64), nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
"""A folded Space as msgpack, so that a long log need not be read from its beginning."""
