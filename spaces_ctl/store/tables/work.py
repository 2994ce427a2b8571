"""Tables of who does what when: timers of the Spaces, and which node looks after which Space."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["space_leases", "space_timers"]

space_timers = sa.Table(
    "space_timers",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("ready_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("command", sa.LargeBinary, nullable=False),
)
"""`command` is msgpack. `ready_ms`: when it may be taken, which is `due_ms`, or the end of the lease of who took it."""

space_leases = sa.Table(
    "space_leases",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("node", sa.String(64), nullable=False, index=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False),
)
"""`epoch` grows with every change of node and with every lease that was let expire."""
