"""Sessions that were signed out while join tokens of theirs may still be about."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["revoked_sids"]

revoked_sids = sa.Table(
    "revoked_sids",
    metadata,
    sa.Column("sid", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("until_ms", sa.BigInteger, nullable=False, index=True),
)
"""`sid` is the engine's session id; from `until_ms` on no token of it is valid."""
