"""What was deleted of recordings, why and when: the account that is given of it, and the list of what is to be done."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["deletions"]

deletions = sa.Table(
    "deletions",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("why", sa.String(16), nullable=False),
    sa.Column("cause", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("asked_ms", sa.BigInteger, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=True, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("done_ms", sa.BigInteger, nullable=True),
    sa.Column("objects", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.UniqueConstraint("space", "what", "number", "cause"),
    sa.Index("ix_deletions_state_id", "state", "id"),
)
"""`what`, `why`, `state` as in `store.deletions`; `number`: of the clip or export, else 0; `cause`: sequence of the
event that it follows from, 0 for none. `due_ms`: when it is tried, or looked after once more; NULL: never again. Rows
are never taken out."""
