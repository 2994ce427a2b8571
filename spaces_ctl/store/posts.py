"""Rows of posts, votes and direct messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store.chunks import chunks
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.posts import direct_messages, post_votes, posts

__all__ = [
    "Message",
    "Post",
    "delete",
    "delete_clip",
    "exists",
    "insert",
    "many",
    "messages",
    "of_author",
    "replies",
    "send",
    "vote",
    "votes",
    "votes_of",
]


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A post."""

    id: int
    author: AccountId
    text: str
    link: str | None = None
    poll: tuple[str, ...] | None = None
    """Options."""
    reply_to: int | None = None
    space: SpaceId | None = None
    clip: int | None = None
    """A clip of `space`."""
    source: str | None = None
    created_ms: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A direct message."""

    id: int
    to: AccountId
    by: AccountId
    text: str
    space: SpaceId | None = None
    """What it invites to."""
    source: str | None = None
    created_ms: int = 0


def insert(c: sa.Connection, post: Post) -> bool:
    """Adds a post; False if its `source` made one before."""
    row = msgspec.structs.asdict(post)
    # The JSON column would store None as the JSON value null.
    row["poll"] = sa.null() if post.poll is None else list(post.poll)
    return insert_new(c, posts, [row]) == 1


def _page(c: sa.Connection, where: sa.ColumnElement[bool], before: int | None, limit: int) -> list[Post]:
    query = sa.select(posts).where(where, posts.c.deleted_ms.is_(None)).order_by(posts.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(posts.c.id < before)
    return [struct_of(row, Post) for row in c.execute(query)]


def many(c: sa.Connection, ids: Iterable[int]) -> dict[int, Post]:
    """Those of the posts that exist."""
    found: dict[int, Post] = {}
    for chunk in chunks(ids):
        query = sa.select(posts).where(posts.c.id.in_(chunk), posts.c.deleted_ms.is_(None))
        found.update((row.id, struct_of(row, Post)) for row in c.execute(query))
    return found


def exists(c: sa.Connection, id: int) -> bool:
    """Whether there is such a post."""
    query = sa.select(posts.c.id).where(posts.c.id == id, posts.c.deleted_ms.is_(None))
    return c.execute(query).first() is not None


def of_author(c: sa.Connection, author: AccountId, before: int | None, limit: int) -> list[Post]:
    """An account's posts, latest first."""
    return _page(c, posts.c.author == author, before, limit)


def replies(c: sa.Connection, post: int, before: int | None, limit: int) -> list[Post]:
    """Comments on a post, latest first."""
    return _page(c, posts.c.reply_to == post, before, limit)


def delete(c: sa.Connection, id: int, author: AccountId, now_ms: int) -> bool:
    """Deletes an own post."""
    mine = (posts.c.id == id, posts.c.author == author, posts.c.deleted_ms.is_(None))
    return c.execute(posts.update().where(*mine).values(deleted_ms=now_ms, text="", link=None)).rowcount == 1


def delete_clip(c: sa.Connection, space: SpaceId, clip: int, now_ms: int) -> None:
    """Deletes the posts of a clip that is gone."""
    mine = (posts.c.space == space, posts.c.clip == clip)
    c.execute(posts.update().where(*mine).values(deleted_ms=now_ms))


def vote(c: sa.Connection, post: int, account: AccountId, option: int) -> bool:
    """One vote an account; False if there was one."""
    return insert_new(c, post_votes, [{"post": post, "account": account, "option": option}]) == 1


def votes(c: sa.Connection, ids: Sequence[int]) -> dict[int, dict[int, int]]:
    """Votes by post and option."""
    table = post_votes
    query = sa.select(table.c.post, table.c.option, sa.func.count().label("number")).where(table.c.post.in_(ids))
    counted: dict[int, dict[int, int]] = {}
    for row in c.execute(query.group_by(table.c.post, table.c.option)):
        counted.setdefault(row.post, {})[row.option] = row.number
    return counted


def votes_of(c: sa.Connection, ids: Sequence[int], account: AccountId) -> dict[int, int]:
    """What the account voted for, by post."""
    table = post_votes
    query = sa.select(table.c.post, table.c.option).where(table.c.post.in_(ids), table.c.account == account)
    return {row.post: row.option for row in c.execute(query)}


def send(c: sa.Connection, message: Message) -> bool:
    """Adds a direct message; False if its `source` made one before."""
    row: dict[str, Any] = msgspec.structs.asdict(message)
    return insert_new(c, direct_messages, [row]) == 1


def messages(c: sa.Connection, to: AccountId, before: int | None, limit: int) -> list[Message]:
    """What an account got, latest first."""
    table = direct_messages
    query = sa.select(table).where(table.c.to == to).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    return [struct_of(row, Message) for row in c.execute(query)]
