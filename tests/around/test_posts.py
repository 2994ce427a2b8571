from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import AccountId, Actor, StageRole
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.posts import EmbeddedPosts, PostReaction
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.store.database import Database
from tests.support.around import FakeLog
from tests.support.graph import FakeGraph

ANN, BOB, EVE = (Principal(account=account) for account in (2, 3, 4))


@pytest.fixture
def graph() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
def posts(db: Database, clock: ManualClock, new_id: Callable[[], int], graph: FakeGraph) -> EmbeddedPosts:
    async def muted_by(owner: AccountId) -> Sequence[AccountId]:
        return [account for by, account in graph.mutes if by == owner]

    return EmbeddedPosts(db=db, clock=clock, new_id=new_id, graph=graph, muted_by=muted_by)


@pytest.fixture
def reactor(db: Database, clock: ManualClock, log: FakeLog, new_id: Callable[[], int]) -> Reactor:
    log.spaces[5] = Space(id=5, creator=1)
    reaction = PostReaction(new_id=new_id, spaces=log.get, link=lambda space: f"https://spaces.example/s/{space}")
    return Reactor("posts", reaction, db=db, clock=clock, log_after=log.after)


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceError) as error:
        await call
    return error.value.code


async def texts(posts: EmbeddedPosts, viewer: int | None, ids: Sequence[int]) -> list[str]:
    return [seen.post.text for seen in await posts.many(viewer, ids)]


async def test_posts_are_shown_in_the_order_asked_without_muted_and_blocked_authors(
    posts: EmbeddedPosts, graph: FakeGraph
) -> None:
    ann, bob, eve = [(await posts.write(who, f"by {who.account}")).id for who in (ANN, BOB, EVE)]
    assert await texts(posts, 9, [eve, ann, bob, 999]) == ["by 4", "by 2", "by 3"]
    graph.mutes = {(9, 2)}
    graph.blocks = {(3, 9)}
    assert await texts(posts, 9, [eve, ann, bob]) == ["by 4"]
    assert await texts(posts, None, [ann]) == ["by 2"], "a guest mutes nobody"
    assert await posts.exists(ann)
    await posts.delete(ANN, ann)
    assert not await posts.exists(ann)
    assert await refused(posts.delete(BOB, eve)) == "post.not_found"


async def test_comments_and_links(posts: EmbeddedPosts) -> None:
    first = await posts.write(ANN, "hello", link="https://example.com/a")
    assert first.link == "https://example.com/a"
    comment = await posts.write(BOB, "indeed", reply_to=first.id)
    assert [seen.post.id for seen in await posts.replies(EVE, first.id)] == [comment.id]
    assert [seen.post.id for seen in await posts.of_author(EVE, 3)] == [comment.id]
    assert await refused(posts.write(BOB, "x", reply_to=999)) == "post.not_found"
    for text, link in (("", None), ("x" * 1001, None), ("x", "javascript:alert(1)")):
        assert await refused(posts.write(ANN, text, link=link)) == "request.invalid"


async def test_a_poll_counts_one_vote_an_account(posts: EmbeddedPosts) -> None:
    poll = await posts.write(ANN, "tea?", poll=["yes", "no"])
    assert (await posts.vote(BOB, poll.id, 1)).votes == (0, 1)
    assert (await posts.vote(EVE, poll.id, 0)).votes == (1, 1)
    assert await refused(posts.vote(BOB, poll.id, 0)) == "poll.voted"
    assert await refused(posts.vote(ANN, poll.id, 2)) == "poll.not_found"
    plain = await posts.write(ANN, "no poll")
    assert await refused(posts.vote(BOB, plain.id, 0)) == "poll.not_found"
    assert await refused(posts.write(ANN, "x", poll=["one"])) == "request.invalid"


async def test_clips_and_replays_become_posts_once_and_go_with_their_clip(
    posts: EmbeddedPosts, log: FakeLog, reactor: Reactor
) -> None:
    log.add(5, e.ClipCreated(clip=1, by=2, start_ms=0, end_ms=9, comment="listen"), Actor(account=2))
    log.add(5, e.ReplayPosted(text="again"), Actor(account=1))
    await reactor.drain()
    [clip] = await posts.of_author(BOB, 2)
    assert (clip.post.text, clip.post.space, clip.post.clip) == ("listen", 5, 1)
    [replay] = await posts.of_author(BOB, 1)
    assert replay.post.link == "https://spaces.example/s/5"
    log.add(5, e.ClipDeleted(clip=1, how=e.ReplayGoneHow.AUTHOR))
    await reactor.drain()
    assert not await posts.of_author(BOB, 2)


async def test_invitations_are_direct_messages_and_blocks_are_silent(
    posts: EmbeddedPosts, graph: FakeGraph, log: FakeLog, reactor: Reactor
) -> None:
    log.add(5, e.Invited(account=3, role=StageRole.SPEAKER), Actor(account=1))
    await reactor.drain()
    await posts.invite(ANN, 3, 5, "come and listen")
    assert [(message.by, message.space) for message in await posts.messages(BOB)] == [(2, 5), (1, 5)]
    graph.blocks = {(3, 4)}
    await posts.invite(EVE, 3, 5)
    assert len(await posts.messages(BOB)) == 2
    graph.mutes = {(3, 1)}
    assert [message.by for message in await posts.messages(BOB)] == [2]
