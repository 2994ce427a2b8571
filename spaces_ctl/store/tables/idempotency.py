"""The table of idempotency keys and the answers that were given."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["idempotency_keys"]

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("owner", sa.LargeBinary(32), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("holder", sa.LargeBinary(16), nullable=False),
    sa.Column("held_until_ms", sa.BigInteger, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=True),
    sa.Column("expires_ms", sa.BigInteger, nullable=False, index=True),
)
"""`owner` is the digest of who asked, `fingerprint` that of what was asked. No `answer`: `holder` works on it, until
`held_until_ms`."""
