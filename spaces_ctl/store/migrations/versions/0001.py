"""The schema. Written by `tools/generate-migration`."""

# ruff: noqa: E501
from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SEARCH = {
    "sqlite": [
        (
            "CREATE VIRTUAL TABLE space_search_fts USING fts5(words, names, content = 'space_search', content_rowid = 'space', tokenize = \"unicode61 remove_diacritics 0 categories 'L* N* M* Co Cn'\")",
            "DROP TABLE space_search_fts",
        ),
        (
            "CREATE TRIGGER space_search_inserted AFTER INSERT ON space_search BEGIN INSERT INTO space_search_fts (rowid, words, names) VALUES (new.space, new.words, new.names); END",
            "DROP TRIGGER space_search_inserted",
        ),
        (
            "CREATE TRIGGER space_search_deleted AFTER DELETE ON space_search BEGIN INSERT INTO space_search_fts (space_search_fts, rowid, words, names) VALUES ('delete', old.space, old.words, old.names); END",
            "DROP TRIGGER space_search_deleted",
        ),
        (
            "CREATE TRIGGER space_search_updated AFTER UPDATE ON space_search BEGIN INSERT INTO space_search_fts (space_search_fts, rowid, words, names) VALUES ('delete', old.space, old.words, old.names); INSERT INTO space_search_fts (rowid, words, names) VALUES (new.space, new.words, new.names); END",
            "DROP TRIGGER space_search_updated",
        ),
    ],
    "postgresql": [
        (
            "CREATE INDEX ix_space_search_vector ON space_search USING gin (array_to_tsvector(array_remove(string_to_array(words || ' ' || names, ' '), '')))",
            "DROP INDEX ix_space_search_vector",
        )
    ],
}
"""Full-text index: statements that create and drop it, by database."""


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "account_events",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.LargeBinary(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_account_events")),
    )
    op.create_index(op.f("ix_account_events_account"), "account_events", ["account"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("handle", sa.String(length=15), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("description", sa.String(length=160), server_default="", nullable=False),
        sa.Column("picture", sa.String(length=2048), server_default="", nullable=False),
        sa.Column("protected", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("listening_visible", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("moderator", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("operator", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("email_verified", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("namespace", sa.String(length=40), nullable=True),
        sa.Column("external", sa.String(length=255), nullable=True),
        sa.Column("followers", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("handle", name=op.f("uq_accounts_handle")),
        sa.UniqueConstraint("namespace", "external", name=op.f("uq_accounts_namespace_external")),
    )
    op.create_index(
        "ux_accounts_email",
        "accounts",
        ["email"],
        unique=True,
        sqlite_where=sa.text("email_verified"),
        postgresql_where=sa.text("email_verified"),
    )
    op.create_table(
        "appeals",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("filed_ms", sa.BigInteger(), nullable=False),
        sa.Column("resolved_ms", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.BigInteger(), nullable=True),
        sa.Column("granted", sa.Boolean(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
    )
    op.create_index(op.f("ix_appeals_account"), "appeals", ["account"], unique=False)
    op.create_table(
        "assertions_seen",
        sa.Column("service_key", sa.String(length=40), nullable=False),
        sa.Column("jti", sa.String(length=128), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service_key", "jti", name=op.f("pk_assertions_seen")),
    )
    op.create_index(op.f("ix_assertions_seen_expires_ms"), "assertions_seen", ["expires_ms"], unique=False)
    op.create_table(
        "blocks",
        sa.Column("by", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("by", "account", name=op.f("pk_blocks")),
    )
    op.create_index("ix_blocks_account_by", "blocks", ["account", "by"], unique=False)
    op.create_table(
        "captions",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("space", "n", name=op.f("pk_captions")),
    )
    op.create_table(
        "communities",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("handle", sa.String(length=30), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=400), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_communities")),
        sa.UniqueConstraint("handle", name=op.f("uq_communities_handle")),
    )
    op.create_table(
        "community_roles",
        sa.Column("community", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("community", "account", name=op.f("pk_community_roles")),
    )
    op.create_index("ix_community_roles_account_community", "community_roles", ["account", "community"], unique=False)
    op.create_table(
        "deletions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
        sa.UniqueConstraint("space", "what", "number", "cause", name=op.f("uq_deletions_space_what_number_cause")),
    )
    op.create_index(op.f("ix_deletions_due_ms"), "deletions", ["due_ms"], unique=False)
    op.create_index("ix_deletions_state_id", "deletions", ["state", "id"], unique=False)
    op.create_table(
        "direct_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("to", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_direct_messages")),
        sa.UniqueConstraint("source", name=op.f("uq_direct_messages_source")),
    )
    op.create_index("ix_direct_messages_to_id", "direct_messages", ["to", "id"], unique=False)
    op.create_table(
        "email_links",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_email_links")),
    )
    op.create_index(op.f("ix_email_links_account"), "email_links", ["account"], unique=False)
    op.create_table(
        "exports",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("requested_ms", sa.BigInteger(), nullable=False),
        sa.Column("ready_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        sa.UniqueConstraint("cause", name=op.f("uq_exports_cause")),
        sa.UniqueConstraint("space", "number", name=op.f("uq_exports_space_number")),
    )
    op.create_index(op.f("ix_exports_due_ms"), "exports", ["due_ms"], unique=False)
    op.create_table(
        "follows",
        sa.Column("by", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("by", "account", name=op.f("pk_follows")),
    )
    op.create_index("ix_follows_account_by", "follows", ["account", "by"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.LargeBinary(length=32), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("holder", sa.LargeBinary(length=16), nullable=False),
        sa.Column("held_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_ms"), "idempotency_keys", ["expires_ms"], unique=False)
    op.create_table(
        "live_bans",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_live_bans")),
    )
    op.create_table(
        "log_heads",
        sa.Column("log", sa.String(length=16), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", name=op.f("pk_log_heads")),
    )
    op.create_table(
        "media_work",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_media_work")),
    )
    op.create_index(op.f("ix_media_work_due_ms"), "media_work", ["due_ms"], unique=False)
    op.create_index(op.f("ix_media_work_space"), "media_work", ["space"], unique=False)
    op.create_table(
        "moderation_actions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("of", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("moderator", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("case", sa.BigInteger(), nullable=True),
        sa.Column("space", sa.BigInteger(), nullable=True),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moderation_actions")),
    )
    op.create_table(
        "mutes",
        sa.Column("by", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("by", "account", name=op.f("pk_mutes")),
    )
    op.create_index("ix_mutes_account_by", "mutes", ["account", "by"], unique=False)
    op.create_table(
        "notification_deliveries",
        sa.Column("notification", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("target", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("notification", "channel", "target", name=op.f("pk_notification_deliveries")),
    )
    op.create_index(op.f("ix_notification_deliveries_due_ms"), "notification_deliveries", ["due_ms"], unique=False)
    op.create_table(
        "notification_fanouts",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("of", sa.BigInteger(), nullable=False),
        sa.Column("notice", sa.JSON(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_fanouts")),
        sa.UniqueConstraint("key", name=op.f("uq_notification_fanouts_key")),
    )
    op.create_index("ix_notification_fanouts_done_due_ms", "notification_fanouts", ["done", "due_ms"], unique=False)
    op.create_table(
        "notification_settings",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("push", sa.Boolean(), nullable=False),
        sa.Column("email", sa.Boolean(), nullable=False),
        sa.Column("off", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_notification_settings")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("account", "kind", "source", name=op.f("uq_notifications_account_kind_source")),
    )
    op.create_index("ix_notifications_account_id", "notifications", ["account", "id"], unique=False)
    op.create_index(op.f("ix_notifications_created_ms"), "notifications", ["created_ms"], unique=False)
    op.create_table(
        "oauth_apps",
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=32), nullable=True),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_oauth_apps")),
    )
    op.create_index(op.f("ix_oauth_apps_owner"), "oauth_apps", ["owner"], unique=False)
    op.create_table(
        "oauth_codes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("challenge", sa.String(length=43), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_codes")),
    )
    op.create_table(
        "oauth_grants",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_grants")),
    )
    op.create_index(op.f("ix_oauth_grants_account"), "oauth_grants", ["account"], unique=False)
    op.create_index(op.f("ix_oauth_grants_client_id"), "oauth_grants", ["client_id"], unique=False)
    op.create_table(
        "oauth_tokens",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_tokens")),
    )
    op.create_index(op.f("ix_oauth_tokens_expires_ms"), "oauth_tokens", ["expires_ms"], unique=False)
    op.create_index(op.f("ix_oauth_tokens_grant_id"), "oauth_tokens", ["grant_id"], unique=False)
    op.create_table(
        "oidc_links",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("linked_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_oidc_links")),
    )
    op.create_index(op.f("ix_oidc_links_account"), "oidc_links", ["account"], unique=False)
    op.create_table(
        "oidc_states",
        sa.Column("state", sa.LargeBinary(length=32), nullable=False),
        sa.Column("browser", sa.LargeBinary(length=32), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=128), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_oidc_states")),
    )
    op.create_table(
        "poll_votes",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("poll", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("option", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("space", "poll", "account", name=op.f("pk_poll_votes")),
    )
    op.create_table(
        "post_votes",
        sa.Column("post", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("option", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("post", "account", name=op.f("pk_post_votes")),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("link", sa.String(length=2048), nullable=True),
        sa.Column("poll", sa.JSON(), nullable=True),
        sa.Column("reply_to", sa.BigInteger(), nullable=True),
        sa.Column("space", sa.BigInteger(), nullable=True),
        sa.Column("clip", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
        sa.UniqueConstraint("source", name=op.f("uq_posts_source")),
    )
    op.create_index("ix_posts_author_id", "posts", ["author", "id"], unique=False)
    op.create_index("ix_posts_reply_to_id", "posts", ["reply_to", "id"], unique=False)
    op.create_index("ix_posts_space_clip", "posts", ["space", "clip"], unique=False)
    op.create_table(
        "push_subscriptions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.String(length=1024), nullable=False),
        sa.Column("p256dh", sa.String(length=128), nullable=False),
        sa.Column("auth", sa.String(length=64), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscriptions")),
        sa.UniqueConstraint("endpoint", name=op.f("uq_push_subscriptions_endpoint")),
    )
    op.create_index(op.f("ix_push_subscriptions_account"), "push_subscriptions", ["account"], unique=False)
    op.create_table(
        "reactor_cursors",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reactor_cursors")),
    )
    op.create_table(
        "reactor_parked",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "sequence", name=op.f("pk_reactor_parked")),
    )
    op.create_table(
        "recordings",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("first_group", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_recordings")),
    )
    op.create_index(op.f("ix_recordings_state"), "recordings", ["state"], unique=False)
    op.create_table(
        "report_cases",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reporters", sa.Integer(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("latest_ms", sa.BigInteger(), nullable=False),
        sa.Column("evidence_from_ms", sa.BigInteger(), nullable=False),
        sa.Column("evidence_to_ms", sa.BigInteger(), nullable=False),
        sa.Column("moderator", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("resolved_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_cases")),
    )
    op.create_index(op.f("ix_report_cases_space"), "report_cases", ["space"], unique=False)
    op.create_index("ix_report_cases_state_id", "report_cases", ["state", "id"], unique=False)
    op.create_table(
        "reports",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("case", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_reports")),
    )
    op.create_index("ix_reports_by_at_ms", "reports", ["by", "at_ms"], unique=False)
    op.create_index(op.f("ix_reports_case"), "reports", ["case"], unique=False)
    op.create_table(
        "review_reads",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("moderator", sa.BigInteger(), nullable=True),
        sa.Column("case", sa.BigInteger(), nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_reads")),
    )
    op.create_index(op.f("ix_review_reads_space"), "review_reads", ["space"], unique=False)
    op.create_table(
        "revoked_sids",
        sa.Column("sid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sid", name=op.f("pk_revoked_sids")),
    )
    op.create_index(op.f("ix_revoked_sids_until_ms"), "revoked_sids", ["until_ms"], unique=False)
    op.create_table(
        "service_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("namespace", sa.String(length=40), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("jwks", sa.JSON(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_keys")),
        sa.UniqueConstraint("secret", name=op.f("uq_service_keys_secret")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=True),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("rotated_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_sessions_digest")),
    )
    op.create_index(op.f("ix_sessions_account"), "sessions", ["account"], unique=False)
    op.create_index(op.f("ix_sessions_previous"), "sessions", ["previous"], unique=False)
    op.create_table(
        "space_analytics",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket_ms", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.JSON(), nullable=False),
        sa.Column("peak", sa.BigInteger(), nullable=False),
        sa.Column("reactions", sa.JSON(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_space_analytics")),
    )
    op.create_table(
        "space_counts",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("participants", sa.BigInteger(), nullable=False),
        sa.Column("peak", sa.BigInteger(), nullable=False),
        sa.Column("attendance", sa.BigInteger(), nullable=False),
        sa.Column("replay_plays", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_space_counts")),
    )
    op.create_table(
        "space_events",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.LargeBinary(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_space_events")),
        sa.UniqueConstraint("space", "version", name=op.f("uq_space_events_space_version")),
    )
    op.create_table(
        "space_leases",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_space_leases")),
    )
    op.create_index(op.f("ix_space_leases_node"), "space_leases", ["node"], unique=False)
    op.create_table(
        "space_people",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=16), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("invited", sa.Boolean(), nullable=False),
        sa.Column("spoke", sa.Boolean(), nullable=False),
        sa.Column("hosted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("space", "account", name=op.f("pk_space_people")),
    )
    op.create_index(op.f("ix_space_people_account_hosted"), "space_people", ["account", "hosted"], unique=False)
    op.create_index(op.f("ix_space_people_account_role"), "space_people", ["account", "role"], unique=False)
    op.create_table(
        "space_search",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_space_search")),
    )
    op.create_table(
        "space_snapshots",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("shape", sa.String(length=64), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_space_snapshots")),
    )
    op.create_table(
        "space_timers",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("ready_ms", sa.BigInteger(), nullable=False),
        sa.Column("command", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("space", "key", name=op.f("pk_space_timers")),
    )
    op.create_index(op.f("ix_space_timers_ready_ms"), "space_timers", ["ready_ms"], unique=False)
    op.create_table(
        "space_topics",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("space", "topic", name=op.f("pk_space_topics")),
    )
    op.create_index(op.f("ix_space_topics_topic_space"), "space_topics", ["topic", "space"], unique=False)
    op.create_table(
        "space_trends",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reach", sa.Float(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_space_trends")),
    )
    op.create_index("ix_space_trends_score_space", "space_trends", ["score", "space"], unique=False)
    op.create_table(
        "spaces",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("creator", sa.BigInteger(), nullable=False),
        sa.Column("admin", sa.BigInteger(), nullable=True),
        sa.Column("transferred", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("lang", sa.String(length=64), nullable=False),
        sa.Column("community", sa.BigInteger(), nullable=True),
        sa.Column("ticketed", sa.Boolean(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("scheduled_start_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("speak", sa.String(length=16), nullable=False),
        sa.Column("requests_open", sa.Boolean(), nullable=False),
        sa.Column("record", sa.Boolean(), nullable=False),
        sa.Column("clips_on", sa.Boolean(), nullable=False),
        sa.Column("captions_on", sa.Boolean(), nullable=False),
        sa.Column("replay_status", sa.String(length=16), nullable=False),
        sa.Column("replay_duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("replay_start_ms", sa.BigInteger(), nullable=False),
        sa.Column("replay_available_ms", sa.BigInteger(), nullable=True),
        sa.Column("retention", sa.String(length=16), nullable=False),
        sa.Column("violation", sa.Boolean(), nullable=False),
        sa.Column("subscribers", sa.BigInteger(), nullable=False),
        sa.Column("tickets", sa.BigInteger(), nullable=False),
        sa.Column("requests_made", sa.BigInteger(), nullable=False),
        sa.Column("clips_made", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spaces")),
    )
    op.create_index(op.f("ix_spaces_admin_status"), "spaces", ["admin", "status"], unique=False)
    op.create_index(op.f("ix_spaces_community"), "spaces", ["community"], unique=False)
    op.create_index(op.f("ix_spaces_creator_status"), "spaces", ["creator", "status"], unique=False)
    op.create_index(
        op.f("ix_spaces_status_scheduled_start_ms_id"), "spaces", ["status", "scheduled_start_ms", "id"], unique=False
    )
    op.create_index(op.f("ix_spaces_status_started_ms_id"), "spaces", ["status", "started_ms", "id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", "account", name=op.f("pk_subscriptions")),
    )
    op.create_index(op.f("ix_subscriptions_account"), "subscriptions", ["account"], unique=False)
    op.create_table(
        "ticket_orders",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payment", sa.String(length=255), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_orders")),
        sa.UniqueConstraint("payment", name=op.f("uq_ticket_orders_payment")),
    )
    op.create_index(
        "ix_ticket_orders_space_state_account", "ticket_orders", ["space", "state", "account"], unique=False
    )
    op.create_index("ix_ticket_orders_state_due_ms", "ticket_orders", ["state", "due_ms"], unique=False)
    op.create_table(
        "ticket_sales",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_ticket_sales")),
    )
    op.create_table(
        "tickets",
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("bought_ms", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("space", "account", name=op.f("pk_tickets")),
    )
    op.create_index(op.f("ix_tickets_account"), "tickets", ["account"], unique=False)
    op.create_index(op.f("ix_tickets_space_sequence"), "tickets", ["space", "sequence"], unique=False)
    op.create_table(
        "topics",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(length=400), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("endpoint", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=255), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_attempts")),
    )
    op.create_index(op.f("ix_webhook_attempts_at_ms"), "webhook_attempts", ["at_ms"], unique=False)
    op.create_index("ix_webhook_attempts_endpoint_id", "webhook_attempts", ["endpoint", "id"], unique=False)
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=True),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("failing_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("disabled_ms", sa.BigInteger(), nullable=True),
        sa.Column("disabled_why", sa.String(length=255), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(op.f("ix_webhook_endpoints_owner"), "webhook_endpoints", ["owner"], unique=False)
    op.create_index(op.f("ix_webhook_endpoints_space"), "webhook_endpoints", ["space"], unique=False)
    op.create_table(
        "webhook_lanes",
        sa.Column("endpoint", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("claim", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "space", name=op.f("pk_webhook_lanes")),
    )
    op.create_index(op.f("ix_webhook_lanes_due_ms"), "webhook_lanes", ["due_ms"], unique=False)
    op.create_table(
        "webhook_messages",
        sa.Column("endpoint", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("space", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_try_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint", "sequence", name=op.f("pk_webhook_messages")),
    )
    op.create_index(op.f("ix_webhook_messages_created_ms"), "webhook_messages", ["created_ms"], unique=False)
    op.create_index(
        "ix_webhook_messages_lane", "webhook_messages", ["endpoint", "space", "state", "sequence"], unique=False
    )
    for create, _drop in SEARCH[op.get_bind().dialect.name]:
        op.execute(create)


def downgrade() -> None:
    """Back, losing what is in it."""
    for _create, drop in reversed(SEARCH[op.get_bind().dialect.name]):
        op.execute(drop)
    op.drop_index("ix_webhook_messages_lane", table_name="webhook_messages")
    op.drop_index(op.f("ix_webhook_messages_created_ms"), table_name="webhook_messages")
    op.drop_table("webhook_messages")
    op.drop_index(op.f("ix_webhook_lanes_due_ms"), table_name="webhook_lanes")
    op.drop_table("webhook_lanes")
    op.drop_index(op.f("ix_webhook_endpoints_space"), table_name="webhook_endpoints")
    op.drop_index(op.f("ix_webhook_endpoints_owner"), table_name="webhook_endpoints")
    op.drop_table("webhook_endpoints")
    op.drop_index("ix_webhook_attempts_endpoint_id", table_name="webhook_attempts")
    op.drop_index(op.f("ix_webhook_attempts_at_ms"), table_name="webhook_attempts")
    op.drop_table("webhook_attempts")
    op.drop_table("topics")
    op.drop_index(op.f("ix_tickets_space_sequence"), table_name="tickets")
    op.drop_index(op.f("ix_tickets_account"), table_name="tickets")
    op.drop_table("tickets")
    op.drop_table("ticket_sales")
    op.drop_index("ix_ticket_orders_state_due_ms", table_name="ticket_orders")
    op.drop_index("ix_ticket_orders_space_state_account", table_name="ticket_orders")
    op.drop_table("ticket_orders")
    op.drop_index(op.f("ix_subscriptions_account"), table_name="subscriptions")
    op.drop_table("subscriptions")
    op.drop_index(op.f("ix_spaces_status_started_ms_id"), table_name="spaces")
    op.drop_index(op.f("ix_spaces_status_scheduled_start_ms_id"), table_name="spaces")
    op.drop_index(op.f("ix_spaces_creator_status"), table_name="spaces")
    op.drop_index(op.f("ix_spaces_community"), table_name="spaces")
    op.drop_index(op.f("ix_spaces_admin_status"), table_name="spaces")
    op.drop_table("spaces")
    op.drop_index("ix_space_trends_score_space", table_name="space_trends")
    op.drop_table("space_trends")
    op.drop_index(op.f("ix_space_topics_topic_space"), table_name="space_topics")
    op.drop_table("space_topics")
    op.drop_index(op.f("ix_space_timers_ready_ms"), table_name="space_timers")
    op.drop_table("space_timers")
    op.drop_table("space_snapshots")
    op.drop_table("space_search")
    op.drop_index(op.f("ix_space_people_account_role"), table_name="space_people")
    op.drop_index(op.f("ix_space_people_account_hosted"), table_name="space_people")
    op.drop_table("space_people")
    op.drop_index(op.f("ix_space_leases_node"), table_name="space_leases")
    op.drop_table("space_leases")
    op.drop_table("space_events")
    op.drop_table("space_counts")
    op.drop_table("space_analytics")
    op.drop_index(op.f("ix_sessions_previous"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_account"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_table("service_keys")
    op.drop_index(op.f("ix_revoked_sids_until_ms"), table_name="revoked_sids")
    op.drop_table("revoked_sids")
    op.drop_index(op.f("ix_review_reads_space"), table_name="review_reads")
    op.drop_table("review_reads")
    op.drop_index(op.f("ix_reports_case"), table_name="reports")
    op.drop_index("ix_reports_by_at_ms", table_name="reports")
    op.drop_table("reports")
    op.drop_index("ix_report_cases_state_id", table_name="report_cases")
    op.drop_index(op.f("ix_report_cases_space"), table_name="report_cases")
    op.drop_table("report_cases")
    op.drop_index(op.f("ix_recordings_state"), table_name="recordings")
    op.drop_table("recordings")
    op.drop_table("reactor_parked")
    op.drop_table("reactor_cursors")
    op.drop_index(op.f("ix_push_subscriptions_account"), table_name="push_subscriptions")
    op.drop_table("push_subscriptions")
    op.drop_index("ix_posts_space_clip", table_name="posts")
    op.drop_index("ix_posts_reply_to_id", table_name="posts")
    op.drop_index("ix_posts_author_id", table_name="posts")
    op.drop_table("posts")
    op.drop_table("post_votes")
    op.drop_table("poll_votes")
    op.drop_table("oidc_states")
    op.drop_index(op.f("ix_oidc_links_account"), table_name="oidc_links")
    op.drop_table("oidc_links")
    op.drop_index(op.f("ix_oauth_tokens_grant_id"), table_name="oauth_tokens")
    op.drop_index(op.f("ix_oauth_tokens_expires_ms"), table_name="oauth_tokens")
    op.drop_table("oauth_tokens")
    op.drop_index(op.f("ix_oauth_grants_client_id"), table_name="oauth_grants")
    op.drop_index(op.f("ix_oauth_grants_account"), table_name="oauth_grants")
    op.drop_table("oauth_grants")
    op.drop_table("oauth_codes")
    op.drop_index(op.f("ix_oauth_apps_owner"), table_name="oauth_apps")
    op.drop_table("oauth_apps")
    op.drop_index(op.f("ix_notifications_created_ms"), table_name="notifications")
    op.drop_index("ix_notifications_account_id", table_name="notifications")
    op.drop_table("notifications")
    op.drop_table("notification_settings")
    op.drop_index("ix_notification_fanouts_done_due_ms", table_name="notification_fanouts")
    op.drop_table("notification_fanouts")
    op.drop_index(op.f("ix_notification_deliveries_due_ms"), table_name="notification_deliveries")
    op.drop_table("notification_deliveries")
    op.drop_index("ix_mutes_account_by", table_name="mutes")
    op.drop_table("mutes")
    op.drop_table("moderation_actions")
    op.drop_index(op.f("ix_media_work_space"), table_name="media_work")
    op.drop_index(op.f("ix_media_work_due_ms"), table_name="media_work")
    op.drop_table("media_work")
    op.drop_table("log_heads")
    op.drop_table("live_bans")
    op.drop_index(op.f("ix_idempotency_keys_expires_ms"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_follows_account_by", table_name="follows")
    op.drop_table("follows")
    op.drop_index(op.f("ix_exports_due_ms"), table_name="exports")
    op.drop_table("exports")
    op.drop_index(op.f("ix_email_links_account"), table_name="email_links")
    op.drop_table("email_links")
    op.drop_index("ix_direct_messages_to_id", table_name="direct_messages")
    op.drop_table("direct_messages")
    op.drop_index("ix_deletions_state_id", table_name="deletions")
    op.drop_index(op.f("ix_deletions_due_ms"), table_name="deletions")
    op.drop_table("deletions")
    op.drop_index("ix_community_roles_account_community", table_name="community_roles")
    op.drop_table("community_roles")
    op.drop_table("communities")
    op.drop_table("captions")
    op.drop_index("ix_blocks_account_by", table_name="blocks")
    op.drop_table("blocks")
    op.drop_index(op.f("ix_assertions_seen_expires_ms"), table_name="assertions_seen")
    op.drop_table("assertions_seen")
    op.drop_index(op.f("ix_appeals_account"), table_name="appeals")
    op.drop_table("appeals")
    op.drop_index(
        "ux_accounts_email",
        table_name="accounts",
        sqlite_where=sa.text("email_verified"),
        postgresql_where=sa.text("email_verified"),
    )
    op.drop_table("accounts")
    op.drop_index(op.f("ix_account_events_account"), table_name="account_events")
    op.drop_table("account_events")
