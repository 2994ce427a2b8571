"""Communities. Who is what in them is in `community_roles` (`tables.graph`)."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["communities"]

communities = sa.Table(
    "communities",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("handle", sa.String(30), nullable=False, unique=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("description", sa.String(400), nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("members", sa.Integer, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)
"""`open`: anybody may join; else admins and moderators add members. `members` counts all roles."""
