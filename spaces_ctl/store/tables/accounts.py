"""Tables of accounts: profiles, bans and appeals, logins by other providers, e-mail links.

Times are milliseconds since 1970. Secrets of 256 random bits are stored as SHA-256 digests, passwords as argon2id.
"""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

_Id = sa.BigInteger()

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=False),
    sa.Column("handle", sa.String(15), nullable=False, unique=True),
    sa.Column("name", sa.String(50), nullable=False),
    sa.Column("description", sa.String(160), nullable=False, server_default=""),
    sa.Column("picture", sa.String(2048), nullable=False, server_default=""),
    sa.Column("protected", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("listening_visible", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("moderator", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("operator", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("password", sa.String(255), nullable=True),
    sa.Column("email", sa.String(254), nullable=True),
    sa.Column("email_verified", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("namespace", sa.String(40), nullable=True),
    sa.Column("external", sa.String(255), nullable=True),
    sa.Column("followers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("namespace", "external"),
)
sa.Index(
    "ux_accounts_email",
    accounts.c.email,
    unique=True,
    sqlite_where=accounts.c.email_verified,
    postgresql_where=accounts.c.email_verified,
)
"""`followers` counts the rows of `follows`, so that a rule on it never counts a million of them. `namespace` and
`external` name somebody of another product for whom a service key speaks. Only a verified address belongs to one
account alone: so registering tells nobody whether an address is known here."""

live_bans = sa.Table(
    "live_bans",
    metadata,
    sa.Column("account", _Id, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.String(400), nullable=False),
    sa.Column("until_ms", sa.BigInteger, nullable=True),
    sa.Column("by", _Id, nullable=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)

appeals = sa.Table(
    "appeals",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=False),
    sa.Column("account", _Id, nullable=False, index=True),
    sa.Column("space", _Id, nullable=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("filed_ms", sa.BigInteger, nullable=False),
    sa.Column("resolved_ms", sa.BigInteger, nullable=True),
    sa.Column("resolved_by", _Id, nullable=True),
    sa.Column("granted", sa.Boolean, nullable=True),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
)

oidc_links = sa.Table(
    "oidc_links",
    metadata,
    sa.Column("issuer", sa.String(255), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    sa.Column("account", _Id, nullable=False, index=True),
    sa.Column("linked_ms", sa.BigInteger, nullable=False),
)

oidc_states = sa.Table(
    "oidc_states",
    metadata,
    sa.Column("state", sa.LargeBinary(32), primary_key=True),
    sa.Column("browser", sa.LargeBinary(32), nullable=False),
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(128), nullable=False),
    sa.Column("return_to", sa.Text, nullable=False),
    sa.Column("account", _Id, nullable=True),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
)
"""Logins under way. `browser` is the digest of a cookie, so that a callback finishes only where it began."""

email_links = sa.Table(
    "email_links",
    metadata,
    sa.Column("digest", sa.LargeBinary(32), primary_key=True),
    sa.Column("account", _Id, nullable=False, index=True),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
)
"""Links sent by e-mail, to verify the address or to choose a new password."""
