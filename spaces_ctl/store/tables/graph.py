"""Tables of the embedded social graph: who follows, blocks, mutes whom; roles in communities.

Each list is read by both ends, in ascending order of the other's id, a page at a time.
"""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["blocks", "community_roles", "follows", "mutes"]


def _edges(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("by", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Index(f"ix_{name}_account_by", "account", "by"),
    )


follows = _edges("follows")
blocks = _edges("blocks")
mutes = _edges("mutes")

community_roles = sa.Table(
    "community_roles",
    metadata,
    sa.Column("community", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Index("ix_community_roles_account_community", "account", "community"),
)
"""Those who have a role; `model.CommunityRole`."""
