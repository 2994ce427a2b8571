"""Tables of what was recorded, each Space's key, and what is still to be done with recordings."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["media_work", "recordings"]

recordings = sa.Table(
    "recordings",
    metadata,
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("first_group", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("summary", sa.JSON, nullable=True),
)
"""`state`: `following`, then `closed`. `key` encrypts the source; without the row nobody can read it, in no backup of
the store. `summary`: what the replay has become (`media.requests.Finalized`)."""

media_work = sa.Table(
    "media_work",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False, index=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("error", sa.Text, nullable=False),
)
"""Events of the log (by sequence) that recordings have not followed yet, in the order of their Space."""
