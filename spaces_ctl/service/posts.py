"""Posts: pinned in Spaces, made of clips, commented; invitations as direct messages.

`Posts` is what the rest uses; `EmbeddedPosts` is our own small store. A deployment that has posts brings its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import sqlalchemy as sa

from spaces_ctl import events
from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.hiding import Hiding
from spaces_ctl.service.outbound import Refused, check_url
from spaces_ctl.service.ports import Principal, SocialGraph
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import posts as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.posts import Message, Post

__all__ = ["EmbeddedPosts", "PostReaction", "PostView", "Posts"]

_MOST_TEXT = 1000
_MOST_LIMIT = 100


class PostView(msgspec.Struct, frozen=True, kw_only=True):
    """A post as a viewer sees it."""

    post: Post
    votes: tuple[int, ...] | None = None
    """By option, of a poll."""
    voted: int | None = None
    """The viewer's own vote."""


class Posts(Protocol):
    """Where posts come from."""

    async def exists(self, post: int) -> bool:
        """Whether it may be pinned."""
        ...

    async def many(self, viewer: AccountId | None, ids: Iterable[int]) -> Sequence[PostView]:
        """Posts in the order asked for, without those whose authors the viewer muted, blocks or is blocked by."""
        ...


class EmbeddedPosts:
    """Our own posts."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        graph: SocialGraph,
        muted_by: Callable[[AccountId], Awaitable[Sequence[AccountId]]],
    ) -> None:
        """`muted_by`: whom an account has muted."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._graph = graph
        self._hiding = Hiding(graph=graph, clock=clock, muted_by=muted_by)

    async def write(
        self,
        principal: Principal,
        text: str,
        *,
        link: str | None = None,
        poll: Sequence[str] = (),
        reply_to: int | None = None,
    ) -> Post:
        """A new post. Raises ServiceError request.invalid, post.not_found (of `reply_to`)."""
        author = _account(principal)
        text = text.strip()
        if not text or len(text) > _MOST_TEXT:
            raise ServiceError("request.invalid", f"text: 1 to {_MOST_TEXT} characters")
        if link is not None:
            try:
                link = str(check_url(link, plain_http=True))
            except Refused as error:
                raise ServiceError("request.invalid", f"link: {error}") from None
        options = tuple(option.strip() for option in poll)
        if options and not (2 <= len(options) <= 4 and all(0 < len(option) <= 100 for option in options)):
            raise ServiceError("request.invalid", "poll: 2 to 4 options of 1 to 100 characters")
        post = Post(
            id=self._new_id(),
            author=author,
            text=text,
            link=link,
            poll=options or None,
            reply_to=reply_to,
            created_ms=self._clock.now_ms(),
        )
        if reply_to is not None and not await self.many(author, [reply_to]):
            raise ServiceError("post.not_found")
        await self._db.write(lambda c: store.insert(c, post))
        return post

    async def delete(self, principal: Principal, post: int) -> None:
        """Deletes an own post. Raises ServiceError post.not_found."""
        author, now = _account(principal), self._clock.now_ms()
        if not await self._db.write(lambda c: store.delete(c, post, author, now)):
            raise ServiceError("post.not_found")

    async def vote(self, principal: Principal, post: int, option: int) -> PostView:
        """Votes in a post's poll. Raises ServiceError post.not_found, poll.not_found, poll.voted."""
        account = _account(principal)
        found = await self.many(account, [post])
        if not found:
            raise ServiceError("post.not_found")
        options = found[0].post.poll
        if options is None or not 0 <= option < len(options):
            raise ServiceError("poll.not_found")
        if not await self._db.write(lambda c: store.vote(c, post, account, option)):
            raise ServiceError("poll.voted")
        return (await self.many(account, [post]))[0]

    async def exists(self, post: int) -> bool:
        """See `Posts`."""
        return await self._db.read(lambda c: store.exists(c, post))

    async def many(self, viewer: AccountId | None, ids: Iterable[int]) -> Sequence[PostView]:
        """See `Posts`."""
        wanted = list(ids)
        found = await self._db.read(lambda c: store.many(c, wanted))
        return await self._seen(viewer, [found[id_] for id_ in wanted if id_ in found])

    async def of_author(
        self, principal: Principal, author: AccountId, before: int | None = None, limit: int = 50
    ) -> Sequence[PostView]:
        """An account's posts, latest first."""
        page = await self._db.read(lambda c: store.of_author(c, author, before, min(limit, _MOST_LIMIT)))
        return await self._seen(principal.account, page)

    async def replies(
        self, principal: Principal, post: int, before: int | None = None, limit: int = 50
    ) -> Sequence[PostView]:
        """Comments on a post, latest first."""
        page = await self._db.read(lambda c: store.replies(c, post, before, min(limit, _MOST_LIMIT)))
        return await self._seen(principal.account, page)

    async def invite(self, principal: Principal, to: AccountId, space: SpaceId, text: str = "") -> None:
        """Invites somebody to listen, by direct message. Silent if one of them blocks the other."""
        by, now = _account(principal), self._clock.now_ms()
        if len(text) > _MOST_TEXT:
            raise ServiceError("request.invalid", f"text: at most {_MOST_TEXT} characters")
        facts = await self._graph.facts(Needs(accounts=frozenset({to}), blocks=frozenset({(to, by), (by, to)})), now)
        if not facts.accounts[to].exists:
            raise ServiceError("account.not_found")
        if facts.blocks:
            return  # nobody learns that they were blocked
        message = Message(id=self._new_id(), to=to, by=by, text=text.strip(), space=space, created_ms=now)
        await self._db.write(lambda c: store.send(c, message))

    async def messages(self, principal: Principal, before: int | None = None, limit: int = 50) -> Sequence[Message]:
        """The account's direct messages, latest first; those of accounts it muted or blocks are left out."""
        me = _account(principal)
        page = await self._db.read(lambda c: store.messages(c, me, before, min(limit, _MOST_LIMIT)))
        hidden = await self._hiding.hidden(me, {message.by for message in page})
        return [message for message in page if message.by not in hidden]

    async def _seen(self, viewer: AccountId | None, posts: Sequence[Post]) -> Sequence[PostView]:
        if not posts:
            return ()
        hidden = await self._hiding.hidden(viewer, {post.author for post in posts})
        shown = [post for post in posts if post.author not in hidden]
        polls = [post.id for post in shown if post.poll is not None]
        votes = await self._db.read(lambda c: store.votes(c, polls)) if polls else {}
        own: dict[int, int] = {}
        if polls and viewer is not None:
            own = await self._db.read(lambda c: store.votes_of(c, polls, viewer))
        return [
            PostView(
                post=post,
                votes=None if post.poll is None else _counts(post.poll, votes.get(post.id, {})),
                voted=own.get(post.id),
            )
            for post in shown
        ]


class PostReaction:
    """Clips and published replays become posts, invitations become direct messages."""

    def __init__(
        self,
        *,
        new_id: Callable[[], int],
        spaces: Callable[[SpaceId], Awaitable[Space]],
        link: Callable[[SpaceId], str],
    ) -> None:
        """`link`: the URL of a Space's page; that of a clip is below it (`service.clip_pages`)."""
        self._new_id = new_id
        self._spaces = spaces
        self._link = link

    async def prepare(self, recorded: Sequence[Recorded]) -> Unit:
        """See `Reaction`."""
        creators = {
            item.space: (await self._spaces(item.space)).creator
            for item in recorded
            if isinstance(item.event, events.ReplayPosted)
        }

        def unit(c: sa.Connection) -> None:
            for item in recorded:
                self._write(c, item, creators)

        return unit

    def _write(self, c: sa.Connection, item: Recorded, creators: dict[SpaceId, AccountId]) -> None:
        source = f"event:{item.sequence}"
        match item.event:
            case events.ClipCreated(clip=clip, by=by, comment=comment):
                post = Post(
                    id=self._new_id(),
                    author=by,
                    text=comment,
                    link=f"{self._link(item.space)}/clips/{clip}",
                    space=item.space,
                    clip=clip,
                    source=source,
                    created_ms=item.at_ms,
                )
                store.insert(c, post)
            case events.ClipDeleted(clip=clip):
                store.delete_clip(c, item.space, clip, item.at_ms)
            case events.ReplayPosted(text=text):
                post = Post(
                    id=self._new_id(),
                    author=creators[item.space],
                    text=text,
                    link=self._link(item.space),
                    space=item.space,
                    source=source,
                    created_ms=item.at_ms,
                )
                store.insert(c, post)
            case events.Invited(account=account) if item.actor.account is not None:
                message = Message(
                    id=self._new_id(),
                    to=account,
                    by=item.actor.account,
                    text="",
                    space=item.space,
                    source=source,
                    created_ms=item.at_ms,
                )
                store.send(c, message)


def _counts(options: Sequence[str], votes: dict[int, int]) -> tuple[int, ...]:
    return tuple(votes.get(option, 0) for option in range(len(options)))


def _account(principal: Principal) -> AccountId:
    if principal.account is None:
        raise ServiceError("auth.token_missing")
    return principal.account
