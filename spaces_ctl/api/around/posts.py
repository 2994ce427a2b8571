"""Posts, comments, direct messages."""

from __future__ import annotations

import msgspec
from litestar import Router, delete, get, post, put
from litestar.params import JSONBody

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, before, next_before, read_id
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import AccountParam, Asker, Injected, SpaceParam, read_account, read_space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.posts import PostView as Seen

__all__ = ["router"]


class PostBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new post; `poll`: 2 to 4 options."""

    text: str
    link: str | None = None
    poll: list[str] = []
    reply_to: wire.AccountIdText | None = None


class PostVoteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which option, from 0."""

    option: wire.Number


class InviteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invitation to listen."""

    space: wire.SpaceIdText
    text: str = ""


class OptionView(msgspec.Struct, frozen=True, kw_only=True):
    """An option of a poll and its votes."""

    text: str
    votes: int


class PostView(msgspec.Struct, frozen=True, kw_only=True):
    """A post; `voted`: the viewer's own vote in its poll."""

    id: str
    author: str
    text: str
    link: str | None
    poll: list[OptionView] | None
    voted: int | None
    reply_to: str | None
    space: str | None
    clip: int | None
    created: str


class PostPage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first; without those whose authors one has muted or blocked."""

    data: list[PostView]
    next: str | None


class DirectMessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A direct message."""

    id: str
    by: str
    text: str
    space: str | None
    created: str


class DirectMessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[DirectMessageView]
    next: str | None


def _view(seen: Seen) -> PostView:
    one = seen.post
    poll = None
    if one.poll is not None:
        counted = seen.votes or (0,) * len(one.poll)
        poll = [OptionView(text=text, votes=votes) for text, votes in zip(one.poll, counted, strict=True)]
    return PostView(
        id=str(one.id),
        author=str(one.author),
        text=one.text,
        link=one.link,
        poll=poll,
        voted=seen.voted,
        reply_to=None if one.reply_to is None else str(one.reply_to),
        space=None if one.space is None else wire.space_text(one.space),
        clip=one.clip,
        created=wire.timestamp(one.created_ms),
    )


def _id(text: str) -> int:
    return read_id(text, "post.not_found")


@post(
    "/posts",
    operation_id="createPost",
    summary="A new post",
    responses=problems("auth.token_missing", "post.not_found"),
)
async def write(data: JSONBody[PostBody], principal: Asker, posts: Injected) -> PostView:
    """With a link, a poll, or as a comment on another."""
    reply_to = None if data.reply_to is None else _id(data.reply_to)
    made = await posts.write(principal, data.text, link=data.link, poll=data.poll, reply_to=reply_to)
    return _view(Seen(post=made))


@get("/posts/{post:str}", operation_id="getPost", summary="A post", responses=problems("post.not_found"))
async def one(post: IdParam, principal: Asker, posts: Injected) -> PostView:
    """As the viewer may see it."""
    found = await posts.many(principal.account, [_id(post)])
    if not found:
        raise ServiceError("post.not_found")
    return _view(found[0])


@delete(
    "/posts/{post:str}",
    operation_id="deletePost",
    summary="Deletes an own post",
    responses=problems("auth.token_missing", "post.not_found"),
)
async def remove(post: IdParam, principal: Asker, posts: Injected) -> None:
    """It is not shown any more."""
    await posts.delete(principal, _id(post))


@put(
    "/posts/{post:str}/vote",
    operation_id="votePost",
    summary="Votes in a post's poll",
    responses=problems("auth.token_missing", "post.not_found", "poll.not_found", "poll.voted"),
)
async def vote(post: IdParam, data: JSONBody[PostVoteBody], principal: Asker, posts: Injected) -> PostView:
    """Once."""
    return _view(await posts.vote(principal, _id(post), data.option))


@get(
    "/posts/{post:str}/replies",
    operation_id="listReplies",
    summary="Comments",
    responses=problems("request.cursor", "post.not_found"),
)
async def replies(
    post: IdParam, principal: Asker, posts: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> PostPage:
    """Latest first."""
    name = f"replies:{post}"
    found = await posts.replies(principal, _id(post), before(cursors, name, cursor), limit)
    return PostPage(
        data=[_view(seen) for seen in found], next=next_before(cursors, name, [seen.post.id for seen in found], limit)
    )


@get(
    "/accounts/{account:str}/posts",
    operation_id="listAccountPosts",
    summary="An account's posts",
    responses=problems("request.cursor", "account.not_found"),
)
async def of_author(
    account: AccountParam,
    principal: Asker,
    posts: Injected,
    cursors: Injected,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> PostPage:
    """Latest first."""
    name = f"posts:{account}"
    found = await posts.of_author(principal, read_account(account), before(cursors, name, cursor), limit)
    return PostPage(
        data=[_view(seen) for seen in found], next=next_before(cursors, name, [seen.post.id for seen in found], limit)
    )


@get(
    "/spaces/{space:str}/posts",
    operation_id="listPinned",
    summary="Pinned posts",
    responses=problems("space.not_found"),
)
async def pinned(space: SpaceParam, principal: Asker, posts: Injected, reading: Injected) -> PostPage:
    """In the order of pinning."""
    look = await reading.look(principal.actor(), read_space(space))
    found = await posts.many(principal.account, look.space.posts)
    return PostPage(data=[_view(seen) for seen in found], next=None)


@get(
    "/me/messages",
    operation_id="listMessages",
    summary="Direct messages to one",
    responses=problems("auth.token_missing", "request.cursor"),
)
async def messages(
    principal: Asker, posts: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> DirectMessagePage:
    """Latest first."""
    found = await posts.messages(principal, before(cursors, "messages", cursor), limit)
    return DirectMessagePage(
        data=[
            DirectMessageView(
                id=str(one.id),
                by=str(one.by),
                text=one.text,
                space=None if one.space is None else wire.space_text(one.space),
                created=wire.timestamp(one.created_ms),
            )
            for one in found
        ],
        next=next_before(cursors, "messages", [one.id for one in found], limit),
    )


@post(
    "/accounts/{account:str}/messages",
    operation_id="inviteToListen",
    summary="Invites to listen",
    status_code=202,
    responses=problems("auth.token_missing", "account.not_found", "space.not_found"),
)
async def invite(
    account: AccountParam, data: JSONBody[InviteBody], principal: Asker, posts: Injected, reading: Injected
) -> None:
    """By direct message. Where a block is between, nothing is sent and nothing is said."""
    space = read_space(data.space)
    await reading.look(principal.actor(), space)
    await posts.invite(principal, read_account(account), space, data.text)


router = Router(
    path="",
    route_handlers=[write, one, remove, vote, replies, of_author, pinned, messages, invite],
    tags=["Posts"],
)
