"""Downloads of recorded Spaces that their creators asked for."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["exports"]

exports = sa.Table(
    "exports",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("account", sa.BigInteger, nullable=False),
    sa.Column("cause", sa.BigInteger, nullable=False, unique=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("requested_ms", sa.BigInteger, nullable=False),
    sa.Column("ready_ms", sa.BigInteger, nullable=True),
    sa.Column("expires_ms", sa.BigInteger, nullable=True),
    sa.Column("due_ms", sa.BigInteger, nullable=True, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.UniqueConstraint("space", "number"),
)
"""`state` as in `store.exports`; `number` counts a Space's exports from 1; `cause`: sequence of the event that
asked for it; `due_ms`: when it is made, or expires; NULL: nothing more happens to it."""
