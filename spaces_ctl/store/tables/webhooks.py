"""Webhook endpoints, what is to be delivered to them, in lanes of one Space each, and what came of it."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["webhook_attempts", "webhook_endpoints", "webhook_lanes", "webhook_messages"]

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.String(255), nullable=False, index=True),
    sa.Column("space", sa.BigInteger, nullable=True, index=True),
    sa.Column("url", sa.String(2048), nullable=False),
    sa.Column("events", sa.JSON, nullable=False),
    sa.Column("secrets", sa.JSON, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("failing_since_ms", sa.BigInteger, nullable=True),
    sa.Column("disabled_ms", sa.BigInteger, nullable=True),
    sa.Column("disabled_why", sa.String(255), nullable=False, server_default=""),
)
"""`owner` is `operator`, `app:ID` or `account:ID`. `secrets` is `[[secret, valid until ms or null], ...]`, newest
first; they have to be readable, as they sign."""

webhook_messages = sa.Table(
    "webhook_messages",
    metadata,
    sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("first_try_ms", sa.BigInteger, nullable=True),
    sa.Index("ix_webhook_messages_lane", "endpoint", "space", "state", "sequence"),
)
"""`state`: pending, delivered, failed (given up)."""

webhook_lanes = sa.Table(
    "webhook_lanes",
    metadata,
    sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("space", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("claim", sa.BigInteger, nullable=False),
)
"""Exists while there are pending messages. Only the first of them is under way, so order holds; `due_ms` is its next
try, or while it is claimed when the claim is over. `claim` counts claims: an answer that comes after its claim was over
is not booked on the next one."""

webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("endpoint", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("status", sa.Integer, nullable=True),
    sa.Column("error", sa.String(255), nullable=False),
    sa.Column("took_ms", sa.Integer, nullable=False),
    sa.Index("ix_webhook_attempts_endpoint_id", "endpoint", "id"),
)
