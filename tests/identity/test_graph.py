"""The same expectations on the embedded graph and on one behind HTTP."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from examples.social_graph_server import make_app
from spaces_ctl import events as ev
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import Actor, CommunityRole
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import EmbeddedGraph, WritableGraph
from spaces_ctl.service.graph_http import HttpGraph
from spaces_ctl.store import account_log
from spaces_ctl.store.database import Database
from tests.support.databases import sqlite_with_tables

KEY = b"both ends know it"
BY = Actor(account=1)


@pytest.fixture(params=["embedded", "http"])
async def here(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> AsyncIterator[Database]:
    """The platform's own database: the embedded graph's, or another one than the remote graph's."""
    if request.param == "embedded":
        yield db
        return
    database = await Database.open(await sqlite_with_tables(tmp_path / "platform.db"))
    yield database
    await database.aclose()


@pytest.fixture
async def graph(
    here: Database, embedded: EmbeddedGraph, db: Database, clock: ManualClock
) -> AsyncIterator[WritableGraph]:
    if here is db:
        yield embedded
        return
    server = _served(embedded, clock)
    remote = HttpGraph(url="http://graph.test/v1", key=KEY, db=here, clock=clock, transport=_Mounted(server))
    yield remote
    await remote.aclose()


def _served(graph: WritableGraph, clock: ManualClock) -> httpx.ASGITransport:
    return httpx.ASGITransport(cast("Any", make_app(graph, KEY, clock)))


class _Mounted(httpx.AsyncBaseTransport):
    """Puts the server below /v1, as behind a proxy that signs and checks whole paths."""

    def __init__(self, inner: httpx.ASGITransport) -> None:
        self.inner = inner
        self.requests: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.raw_path.decode()}")
        self.inner.root_path = "/v1"
        return await self.inner.handle_async_request(request)


@pytest.fixture
async def people(accounts: Accounts) -> list[int]:
    return [(await accounts.create(handle=handle)).id for handle in ("ada", "bob", "cyd")]


async def test_follow_is_told_by_facts_lists_and_counts(graph: WritableGraph, people: list[int]) -> None:
    ada, bob, cyd = people
    assert await graph.apply(ev.Followed(by=ada, account=bob), BY, 1)
    assert not await graph.apply(ev.Followed(by=ada, account=bob), BY, 2), "it was so already"
    assert await graph.apply(ev.Followed(by=cyd, account=bob), BY, 3)
    pairs = frozenset({(ada, bob), (bob, ada), (cyd, bob)})
    facts = await graph.facts(Needs(accounts=frozenset(people), follows=pairs), 4)
    assert facts.follows == {(ada, bob), (cyd, bob)}
    assert {account: facts.accounts[account].followers for account in people} == {ada: 0, bob: 2, cyd: 0}
    assert list(await graph.following(ada)) == [bob]
    assert list(await graph.followers(bob)) == [ada, cyd]
    assert list(await graph.followers(bob, limit=1)) == [ada]
    assert list(await graph.followers(bob, after=ada, limit=1)) == [cyd]
    assert await graph.apply(ev.Followed(by=ada, account=bob, on=False), BY, 5)
    facts = await graph.facts(Needs(accounts=frozenset({bob}), follows=pairs), 6)
    assert facts.follows == {(cyd, bob)}
    assert facts.accounts[bob].followers == 1


async def test_block_ends_follows_both_ways(graph: WritableGraph, people: list[int]) -> None:
    ada, bob, _ = people
    await graph.apply(ev.Followed(by=ada, account=bob), BY, 1)
    await graph.apply(ev.Followed(by=bob, account=ada), BY, 1)
    assert await graph.apply(ev.AccountBlocked(by=ada, account=bob), BY, 2)
    both = frozenset({(ada, bob), (bob, ada)})
    facts = await graph.facts(Needs(accounts=frozenset({ada, bob}), blocks=both, follows=both), 3)
    assert facts.blocks == {(ada, bob)}
    assert not facts.follows
    assert facts.accounts[ada].followers == facts.accounts[bob].followers == 0
    assert list(await graph.blocked_by(ada)) == [bob]
    assert list(await graph.blocked_by(bob)) == []
    assert await graph.apply(ev.AccountUnblocked(by=ada, account=bob), BY, 4)
    assert not (await graph.facts(Needs(blocks=both), 5)).blocks


async def test_mutes_are_private_and_in_no_log(graph: WritableGraph, people: list[int], here: Database) -> None:
    ada, bob, _ = people
    assert await graph.mute(ada, bob, True, 1)
    assert not await graph.mute(ada, bob, True, 1)
    assert list(await graph.muted_by(ada)) == [bob]
    assert await graph.mute(ada, bob, False, 2)
    assert list(await graph.muted_by(ada)) == []
    assert not await here.read(lambda c: account_log.read_all(c, 0, 100))


async def test_standing_and_profiles(graph: WritableGraph, people: list[int]) -> None:
    ada, bob, _ = people
    await graph.apply(ev.Protected(account=ada, on=True), BY, 1)
    await graph.apply(ev.ListeningVisibility(account=ada, visible=False), BY, 1)
    facts = await graph.facts(Needs(accounts=frozenset({ada, bob, 999})), 2)
    assert facts.accounts[ada].protected
    assert not facts.accounts[bob].protected
    assert not facts.accounts[999].exists
    profiles = await graph.profiles([ada, bob, 999, ada])
    assert set(profiles) == {ada, bob}
    assert (profiles[ada].handle, profiles[ada].protected, profiles[ada].listening_visible) == ("ada", True, False)
    assert (await graph.by_handle(["ADA", "nobody"]))["ada"].id == ada
    assert "nobody" not in await graph.by_handle(["nobody"])


async def test_a_ban_is_over_at_its_time(graph: WritableGraph, people: list[int]) -> None:
    ada, bob, _ = people
    await graph.apply(ev.LiveBanned(account=ada, reason="spam", until_ms=100), BY, 1)
    await graph.apply(ev.LiveBanned(account=bob, reason="abuse"), BY, 1)
    needs = Needs(accounts=frozenset({ada, bob}))
    assert [(await graph.facts(needs, now)).accounts[ada].live_banned for now in (99, 100)] == [True, False]
    assert (await graph.facts(needs, 10**15)).accounts[bob].live_banned
    assert await graph.apply(ev.BanLifted(account=bob), BY, 2)
    assert not await graph.apply(ev.BanLifted(account=bob), BY, 3)
    assert not (await graph.facts(needs, 4)).accounts[bob].live_banned


async def test_community_roles(graph: WritableGraph, embedded: EmbeddedGraph, people: list[int]) -> None:
    ada, bob, cyd = people
    await embedded.set_community_role(7, ada, CommunityRole.ADMIN)
    await embedded.set_community_role(7, bob, CommunityRole.MEMBER)
    assert (await graph.facts(Needs(community=(7, ada)), 0)).community_role is CommunityRole.ADMIN
    assert (await graph.facts(Needs(community=(7, cyd)), 0)).community_role is CommunityRole.NONE
    assert await graph.community_roles(7, people) == {ada: CommunityRole.ADMIN, bob: CommunityRole.MEMBER}
    assert list(await graph.community_members(7)) == sorted([ada, bob])
    assert list(await graph.community_members(7, after=ada)) == [bob]


async def test_every_change_is_in_the_log_once(graph: WritableGraph, people: list[int], here: Database) -> None:
    ada, bob, _ = people
    changes: list[ev.AccountEvent] = [
        ev.AccountBlocked(by=ada, account=bob),
        ev.AccountUnblocked(by=ada, account=bob),
        ev.Followed(by=ada, account=bob),
        ev.Protected(account=ada, on=True),
        ev.LiveBanned(account=bob, reason="spam", until_ms=10),
        ev.BanLifted(account=bob),
    ]
    for at, event in enumerate(changes):
        await graph.apply(event, BY, at)
        if not isinstance(event, ev.LiveBanned):
            assert not await graph.apply(event, BY, at), "the second time it is so already"
    log = await here.read(lambda c: account_log.read_all(c, 0, 100))
    assert [entry.event for entry in log] == changes
    assert [entry.at_ms for entry in log] == list(range(6))
    assert all(earlier.sequence < later.sequence for earlier, later in itertools.pairwise(log))
    assert await here.read(lambda c: account_log.read_all(c, log[3].sequence, 100)) == log[4:]


# What only the graph over HTTP does


class _Flaky(httpx.AsyncBaseTransport):
    """Answers with what it is told to, then as the server."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *first: int | Exception) -> None:
        self.inner = inner
        self.first = list(first)
        self.attempts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        match self.first.pop(0) if self.first else None:
            case None:
                return await self.inner.handle_async_request(request)
            case int(status):
                return httpx.Response(status)
            case error:
                raise error


def _remote(db: Database, clock: ManualClock, transport: httpx.AsyncBaseTransport, key: bytes = KEY) -> HttpGraph:
    return HttpGraph(url="http://graph.test", key=key, db=db, clock=clock, transport=transport, wait_s=0.001)


async def test_a_busy_graph_is_asked_again(
    embedded: EmbeddedGraph, db: Database, clock: ManualClock, people: list[int]
) -> None:
    flaky = _Flaky(_served(embedded, clock), 503, httpx.ConnectError("refused"))
    graph = _remote(db, clock, flaky)
    assert set(await graph.profiles(people)) == set(people)
    assert flaky.attempts == 3
    await graph.aclose()


@pytest.mark.parametrize("failure", [503, 500, 401, httpx.ReadTimeout("late")])
async def test_a_graph_that_does_not_answer_is_one_clear_refusal(
    db: Database, clock: ManualClock, failure: int | Exception
) -> None:
    flaky = _Flaky(httpx.MockTransport(lambda _: httpx.Response(200)), *[failure] * 9)
    graph = _remote(db, clock, flaky)
    with pytest.raises(ServiceError) as refused:
        await graph.facts(Needs(accounts=frozenset({1})), 0)
    assert refused.value.code == "graph.unavailable"
    assert flaky.attempts == (3 if failure not in {500, 401} else 1)
    await graph.aclose()


async def test_an_answer_that_is_not_the_contract_is_refused(db: Database, clock: ManualClock) -> None:
    graph = _remote(db, clock, httpx.MockTransport(lambda _: httpx.Response(200, text='{"ids": 7}')))
    with pytest.raises(ServiceError, match=r"graph\.unavailable"):
        await graph.blocked_by(1)
    await graph.aclose()


async def test_another_key_an_old_time_or_a_changed_body_is_refused(
    embedded: EmbeddedGraph, db: Database, clock: ManualClock
) -> None:
    app = _served(embedded, clock)
    graph = _remote(db, clock, app, key=b"another")
    with pytest.raises(ServiceError, match=r"graph\.unavailable"):
        await graph.profiles([1])
    late = ManualClock(clock.now_ms() - 301_000)
    slow = _remote(db, late, app)
    with pytest.raises(ServiceError, match=r"graph\.unavailable"):
        await slow.profiles([1])

    class Changed(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = request.content.replace(b'"1"', b'"2"')
            altered = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            return await app.handle_async_request(altered)

    meddled = _remote(db, clock, Changed())
    with pytest.raises(ServiceError, match=r"graph\.unavailable"):
        await meddled.profiles([1])
    for each in (graph, slow, meddled):
        await each.aclose()


async def test_cached_until_invalidated_or_old(
    embedded: EmbeddedGraph, db: Database, clock: ManualClock, people: list[int]
) -> None:
    counted = _Flaky(_served(embedded, clock))
    graph = _remote(db, clock, counted)
    ada, bob, _ = people
    needs = Needs(accounts=frozenset({ada}), blocks=frozenset({(ada, bob)}))
    for _ in range(3):
        assert not (await graph.facts(needs, 0)).blocks
        await graph.profiles(people)
    assert counted.attempts == 2
    await embedded.apply(ev.AccountBlocked(by=ada, account=bob), BY, 1)  # over there, unseen by us
    assert not (await graph.facts(needs, 0)).blocks
    graph.invalidate([bob])
    assert (await graph.facts(needs, 0)).blocks == {(ada, bob)}
    assert counted.attempts == 3, "of ada's standing we still know"
    clock.advance(seconds=2.1)
    await graph.facts(needs, 0)
    assert counted.attempts == 4
    await graph.aclose()


async def test_an_answer_older_than_an_invalidation_is_not_kept(
    embedded: EmbeddedGraph, db: Database, clock: ManualClock, people: list[int]
) -> None:
    ada, bob, _ = people
    server = _served(embedded, clock)

    class BlockedMeanwhile(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await server.handle_async_request(request)
            await answer.aread()
            if await embedded.apply(ev.AccountBlocked(by=ada, account=bob), BY, 1):
                remote.invalidate([ada])
            return answer

    remote = _remote(db, clock, BlockedMeanwhile())
    needs = Needs(blocks=frozenset({(ada, bob)}))
    assert not (await remote.facts(needs, 0)).blocks
    assert (await remote.facts(needs, 0)).blocks
    await remote.aclose()
