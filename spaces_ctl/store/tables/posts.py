"""The embedded posts: texts with a link, a poll or a clip, comments, direct messages."""

from __future__ import annotations

import sqlalchemy as sa

from spaces_ctl.store.tables import metadata

__all__ = ["direct_messages", "post_votes", "posts"]

posts = sa.Table(
    "posts",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("author", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("link", sa.String(2048), nullable=True),
    sa.Column("poll", sa.JSON, nullable=True),
    sa.Column("reply_to", sa.BigInteger, nullable=True),
    sa.Column("space", sa.BigInteger, nullable=True),
    sa.Column("clip", sa.Integer, nullable=True),
    sa.Column("source", sa.String(64), nullable=True, unique=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("deleted_ms", sa.BigInteger, nullable=True),
    sa.Index("ix_posts_author_id", "author", "id"),
    sa.Index("ix_posts_reply_to_id", "reply_to", "id"),
    sa.Index("ix_posts_space_clip", "space", "clip"),
)
"""`source` names the event from which a post came, so that hearing of it twice makes one post."""

post_votes = sa.Table(
    "post_votes",
    metadata,
    sa.Column("post", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("option", sa.Integer, nullable=False),
)

direct_messages = sa.Table(
    "direct_messages",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("to", sa.BigInteger, nullable=False),
    sa.Column("by", sa.BigInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("space", sa.BigInteger, nullable=True),
    sa.Column("source", sa.String(64), nullable=True, unique=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index("ix_direct_messages_to_id", "to", "id"),
)
