"""What accounts were told, how they want to be told, and what is still to be sent."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = [
    "notification_deliveries",
    "notification_fanouts",
    "notification_settings",
    "notifications",
    "push_subscriptions",
]

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("space", sa.BigInteger, nullable=True),
    sa.Column("by", sa.BigInteger, nullable=True),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("read_ms", sa.BigInteger, nullable=True),
    sa.UniqueConstraint("account", "kind", "source"),
    sa.Index("ix_notifications_account_id", "account", "id"),
)
"""`source` names what happened, so that hearing of it twice tells nobody twice."""

notification_settings = sa.Table(
    "notification_settings",
    metadata,
    sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("push", sa.Boolean, nullable=False),
    sa.Column("email", sa.Boolean, nullable=False),
    sa.Column("off", sa.JSON, nullable=False),
)
"""`off`: kinds that the account does not want at all."""

push_subscriptions = sa.Table(
    "push_subscriptions",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.BigInteger, nullable=False, index=True),
    sa.Column("endpoint", sa.String(1024), nullable=False, unique=True),
    sa.Column("p256dh", sa.String(128), nullable=False),
    sa.Column("auth", sa.String(64), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
)

notification_fanouts = sa.Table(
    "notification_fanouts",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(128), nullable=False, unique=True),
    sa.Column("audience", sa.String(16), nullable=False),
    sa.Column("of", sa.BigInteger, nullable=False),
    sa.Column("notice", sa.JSON, nullable=False),
    sa.Column("after", sa.BigInteger, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index("ix_notification_fanouts_done_due_ms", "done", "due_ms"),
)
"""Something to be told to all followers (members, ...) `of` somebody, in pages: `after` is the last account told."""

notification_deliveries = sa.Table(
    "notification_deliveries",
    metadata,
    sa.Column("notification", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("channel", sa.String(8), primary_key=True),
    sa.Column("target", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("due_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
)
"""To be sent by push (`target`: the subscription) or e-mail (`target`: 0). Gone when it was."""
