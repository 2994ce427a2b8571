"""Tables of who may ask: browser and bearer sessions, OAuth apps and their tokens, service keys.

Every secret is stored as the SHA-256 digest of 256 random bits: a copy of the database logs nobody in.
"""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("previous", sa.LargeBinary(32), nullable=True, index=True),
    sa.Column("account", sa.BigInteger, nullable=False, index=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("device", sa.String(200), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("rotated_ms", sa.BigInteger, nullable=False),
    sa.Column("seen_ms", sa.BigInteger, nullable=False),
)
"""`previous` is the secret before the last rotation, good for a short while: requests may be under way."""

oauth_apps = sa.Table(
    "oauth_apps",
    metadata,
    sa.Column("client_id", sa.String(40), primary_key=True),
    sa.Column("secret", sa.LargeBinary(32), nullable=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("owner", sa.BigInteger, nullable=False, index=True),
    sa.Column("redirect_uris", sa.JSON, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)
"""No `secret`: a public client (RFC 6749 section 2.1)."""

oauth_grants = sa.Table(
    "oauth_grants",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("client_id", sa.String(40), nullable=False, index=True),
    sa.Column("account", sa.BigInteger, nullable=True, index=True),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger, nullable=True),
)
"""What somebody allowed an app once: the family of all tokens that come of one consent, revoked together."""

oauth_codes = sa.Table(
    "oauth_codes",
    metadata,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("grant_id", sa.String(32), nullable=False),
    sa.Column("redirect_uri", sa.Text, nullable=False),
    sa.Column("challenge", sa.String(43), nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("used_ms", sa.BigInteger, nullable=True),
)

oauth_tokens = sa.Table(
    "oauth_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("grant_id", sa.String(32), nullable=False, index=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=True, index=True),
    sa.Column("used_ms", sa.BigInteger, nullable=True),
)
"""`kind`: access or refresh. A refresh token with `used_ms` was exchanged: seen again, its whole grant is revoked."""

service_keys = sa.Table(
    "service_keys",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("secret", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("namespace", sa.String(40), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("jwks", sa.JSON, nullable=True),
    sa.Column("per_minute", sa.Integer, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger, nullable=True),
)
"""`jwks` verifies the key's assertions (RFC 7523); without it the key uses its secret only."""

assertions_seen = sa.Table(
    "assertions_seen",
    metadata,
    sa.Column("service_key", sa.String(40), primary_key=True),
    sa.Column("jti", sa.String(128), primary_key=True),
    sa.Column("expires_ms", sa.BigInteger, nullable=False, index=True),
)
"""An assertion is good once (RFC 7523 section 3, item 7)."""
