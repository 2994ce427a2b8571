"""Event streams over real sockets: nothing is missed, nothing comes twice, nobody sees what is not for them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.spaces.event_frames import frame
from spaces_ctl.api.spaces.subscribers import Subscriber
from spaces_ctl.engine import Counts
from spaces_ctl.model import SpaceId
from spaces_ctl.service.ports import Principal
from tests.support.api_server import Messages, serving, sse, ws
from tests.support.api_world import ANN, BEN, CID, DAN, HOST, MODERATOR, ApiWorld, bearer, path

TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "ws"])


@pytest.fixture
async def server(world: ApiWorld) -> AsyncIterator[str]:
    async with serving(world.app) as url:
        yield url


def stream(transport: str, url: str, who: int | None, *, after: int | None = None) -> Any:
    if transport == "sse":
        return sse(url + "/events", bearer(who), after=after)
    return ws(url + "/ws", bearer(who), after=after)


def of_space(server: str, space: SpaceId) -> str:
    return server + path(space)


async def block(world: ApiWorld, by: int, account: int) -> None:
    await world.accounts.execute(Principal(account=by, scopes=frozenset({"*"})), c.Block(account=account))


@TRANSPORTS
async def test_live_events_come_in_order(world: ApiWorld, server: str, transport: str) -> None:
    space = await world.live()
    async with stream(transport, of_space(server, space), None) as messages:
        hello = await messages.until("hello")
        assert hello["data"]["position"] == (await world.state(space)).version
        await world.speaks(space, ANN)
        added = await messages.until("speaker_added")
        assert added["data"]["account"] == str(ANN)
        assert added["at"].endswith("Z")
        await messages.until("unmuted")


@TRANSPORTS
async def test_resuming_under_concurrent_commands_misses_nothing_and_repeats_nothing(
    world: ApiWorld, server: str, transport: str
) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    first = (await world.state(space)).version
    dice = random.Random(7)

    async def commands() -> None:
        for n in range(120):
            await world.do(HOST, space, c.Edit(title=f"Title {n}"))
            await asyncio.sleep(dice.random() * 0.004)

    async def reader(seed: int) -> list[int]:
        own = random.Random(seed)
        position, seen = first, list[int]()
        while not seen or seen[-1] < first + 120:
            async with stream(transport, of_space(server, space), HOST, after=position) as messages:
                for _ in range(own.randrange(1, 30)):
                    message = await messages.next()
                    if message is None or (messages.versions() and messages.versions()[-1] >= first + 120):
                        break
                seen += messages.versions()
                assert messages.position is not None
                position = messages.position
        return seen

    _, *seen = await asyncio.gather(commands(), *(reader(seed) for seed in range(6)))
    for versions in seen:
        assert versions == list(range(first + 1, first + 121))


async def test_a_position_is_never_ahead_of_what_was_told(world: ApiWorld, server: str) -> None:
    """A reader that breaks off amid what it missed resumes there, not at the stream's head."""
    space = await world.live()
    for n in range(20):
        await world.do(HOST, space, c.Edit(title=f"{n}"))
    async with sse(of_space(server, space) + "/events", {}, after=1) as messages:
        for _ in range(4):
            await messages.next()
        assert messages.position == messages.versions()[-1]


async def test_what_the_bus_drops_is_read_from_the_log(
    world: ApiWorld, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = await world.live()
    async with sse(of_space(server, space) + "/events", {}) as messages:
        await messages.until("hello")

        async def lose(events: Any) -> None:
            pass

        with monkeypatch.context() as patch:
            patch.setattr(world.bus, "publish", lose)
            await world.do(HOST, space, c.Edit(title="unheard"))
        await world.do(HOST, space, c.Edit(title="heard"))
        titles = [(await messages.until("edited"))["data"]["title"] for _ in range(2)]
    assert titles == ["unheard", "heard"]


@TRANSPORTS
async def test_who_sees_what(world: ApiWorld, server: str, transport: str) -> None:
    space = await world.live()
    url = of_space(server, space)
    await world.enter(space, ANN, BEN, CID)
    viewers = (HOST, ANN, BEN, CID, MODERATOR, None)
    contexts = {who: stream(transport, url, who) for who in viewers}
    streams: dict[int | None, Messages] = {}
    for who, context in contexts.items():
        streams[who] = await context.__aenter__()
        await streams[who].until("hello")
    await world.do(ANN, space, c.Request())
    await world.do(HOST, space, c.Invite(account=BEN))
    await world.do(BEN, space, c.TakeMic())
    await world.do(BEN, space, c.Unmute())
    await world.do(HOST, space, c.Mute(account=BEN))
    await world.do(CID, space, c.ReportAccount(account=BEN, reason="spam"))
    await world.do(HOST, space, c.AddCohost(account=BEN))
    await block(world, HOST, CID)
    await world.do(HOST, space, c.Edit(title="end"))
    for messages in streams.values():
        await messages.until("edited")
    for context in contexts.values():
        await context.__aexit__(None, None, None)
    named = {who: set(messages.named()) for who, messages in streams.items()}
    everybody = {"speaker_added", "unmuted", "muted", "edited"}
    assert all(everybody <= names for names in named.values())
    assert [who for who in viewers if "requested" in named[who]] == [HOST, ANN]
    assert [who for who in viewers if "invited" in named[who]] == [HOST, BEN]
    assert [who for who in viewers if "removed" in named[who]] == [HOST, CID]
    for names in named.values():
        assert not names & {"reported", "deny_set_attached", "deny_set_detached", "poll_voted"}
    by = {who: next(m for m in s.seen if m["event"] == "muted")["data"].get("by") for who, s in streams.items()}
    assert by == {HOST: "1", BEN: "1", ANN: None, CID: None, MODERATOR: None, None: None}


@TRANSPORTS
async def test_nobody_learns_that_they_were_blocked(world: ApiWorld, server: str, transport: str) -> None:
    space = await world.live()
    url = of_space(server, space)
    await world.speaks(space, ANN)
    start = (await world.state(space)).version
    async with stream(transport, url, ANN) as own, stream(transport, url, None) as guest:
        await own.until("hello")
        await guest.until("hello")
        await block(world, HOST, ANN)
        await world.do(HOST, space, c.Edit(title="end"))
        await own.until("edited")
        await guest.until("edited")
        live = own.seen + guest.seen
    # The same when it is read from the log.
    async with stream(transport, url, ANN, after=start) as late:
        await late.until("edited")
    for message in [*live, *late.seen]:
        assert "block" not in str(message).lower()
        assert "bar" not in message["data"]
    assert next(m for m in late.seen if m["event"] == "removed")["data"] == {"account": str(ANN), "how": "removed"}


async def test_who_blocks_a_new_speaker_is_told_and_nobody_else(world: ApiWorld, server: str) -> None:
    space = await world.live()
    await block(world, BEN, ANN)
    url = of_space(server, space)
    async with sse(url + "/events", bearer(BEN)) as ben, sse(url + "/events", bearer(CID)) as cid:
        await ben.until("hello")
        await cid.until("hello")
        await world.speaks(space, ANN)
        told = await ben.until("blocked_speaker")
        await world.do(HOST, space, c.Edit(title="end"))
        await cid.until("edited")
    assert told["data"] == {"account": str(ANN), "text": "An account you blocked has joined as a speaker."}
    assert "blocked_speaker" not in cid.named()


async def test_anonymous_people_are_only_counted(world: ApiWorld, server: str) -> None:
    space = await world.live()
    async with sse(of_space(server, space) + "/events", {}) as messages:
        await messages.until("hello")
        assert world.engine.connect(space, DAN, DAN, anonymous=True) is None
        await world.hear()
        world.spaces.counters.count(Counts(0, space, 1, 1, 0, 2))
        counts = await messages.until("counts")
        assert (counts["data"]["named"], counts["data"]["anonymous"]) == (1, 1)
        assert str(DAN) not in str([m for m in messages.seen if m["event"] != "counts"])


async def test_counts_votes_and_reactions_are_one_message_for_all(world: ApiWorld) -> None:
    space = await world.live()
    await world.enter(space, ANN, BEN)
    async with world.app.lifespan():
        feeds = world.app.state["feeds"]
        feed = await feeds.of(space)
        readers = [feed.subscribe(account)[0] for account in (ANN, BEN, None)]
        world.spaces.counters.react(space, {"wave": 3})
        await world.do(HOST, space, c.CreatePoll(question="?", options=("a", "b")))
        poll = max((await world.state(space)).polls)
        for account in (ANN, BEN):
            await world.do(account, space, c.Vote(poll=poll, option=1))
        while feed.state.version < (await world.state(space)).version:
            await asyncio.sleep(0)
        feed.tick()
        feed.tick()
        last = [[message async for message in drained(reader)] for reader in readers]
        tallies = [[m for m in messages if b'"counts"' in m.json] for messages in last]
        assert [len(tally) for tally in tallies] == [1, 1, 1]
        assert tallies[0][0].json is tallies[2][0].json
        assert b'"reactions":{"wave":3}' in tallies[0][0].json
        assert b'"polls":{"%d":[0,2]}' % poll in tallies[0][0].json


async def test_counts_that_change_just_after_a_message_are_not_told_a_second_later(world: ApiWorld) -> None:
    space = await world.live()
    async with world.app.lifespan():
        feed = await world.app.state["feeds"].of(space)
        feed.tick()
        reader = feed.subscribe(None)[0]
        world.spaces.counters.react(space, {"wave": 1})
        feed.look(100.0)
        world.spaces.counters.react(space, {"wave": 1})
        feed.look(100.2)
        assert [b'{"wave":1}' in m.json for m in [m async for m in drained(reader)] if b'"counts"' in m.json][-1]
        feed.look(100.6)
        [later] = [message async for message in drained(reader)]
        assert b'{"wave":2}' in later.json


async def drained(reader: Subscriber) -> AsyncIterator[Any]:
    while (message := await reader.take(0.001)) is not None:
        yield message


async def test_a_slow_reader_is_closed_and_told_why() -> None:
    reader = Subscriber(None, most=3)
    message = frame("x", {"event": "x"})
    for _ in range(4):
        reader.offer(message)
    assert await reader.take(1) is None
    assert reader.closed == "stream.slow"


async def test_a_websocket_that_is_refused_says_the_code(world: ApiWorld, server: str) -> None:
    cases = [
        (path(12345, "/ws"), {}, 4404, "space.not_found"),
        ("/api/v1/me/ws", {}, 4401, "auth.token_missing"),
        ("/api/v1/me/ws", {"authorization": "Bearer nonsense"}, 4401, "auth.token_invalid"),
    ]
    for where, headers, code, reason in cases:
        async with websockets.connect(server.replace("http", "ws") + where, additional_headers=headers) as socket:
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (code, reason)


async def test_another_origins_websocket_with_our_cookie_is_refused(world: ApiWorld, server: str) -> None:
    for origin, expected in (("https://evil.example", "auth.csrf"), (world.settings.origin, None)):
        headers = {"cookie": "spaces_session=1", "origin": origin}
        async with websockets.connect(
            server.replace("http", "ws") + "/api/v1/me/ws", additional_headers=headers
        ) as socket:
            if expected is None:
                assert '"hello"' in str(await socket.recv())
            else:
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()
                assert socket.close_reason == expected


@TRANSPORTS
async def test_the_own_stream_over_all_spaces(world: ApiWorld, server: str, transport: str) -> None:
    space = await world.live()
    await world.enter(space, BEN)
    async with stream(transport, server + "/api/v1/me", ANN) as own:
        await own.until("hello")
        await world.do(BEN, space, c.Request())
        await world.do(HOST, space, c.Invite(account=ANN))
        invited = await own.until("invited")
        position = own.position
    assert invited["space"] == wire.space_text(space)
    assert own.named() == ["invited"]
    await world.enter(space, ANN)
    await world.do(ANN, space, c.TakeMic())
    await world.do(HOST, space, c.Edit(title="not for one's own stream"))
    async with stream(transport, server + "/api/v1/me", ANN, after=position) as own:
        await own.until("speaker_added")
        await world.do(HOST, space, c.AskUnmute(account=ANN))
        await own.until("asked_to_unmute")
    assert "invited" not in own.named()
    assert "edited" not in own.named()


async def test_a_host_hears_of_requests_in_the_own_stream(world: ApiWorld, server: str) -> None:
    space = await world.live()
    await world.enter(space, BEN)
    async with sse(server + "/api/v1/me/events", bearer(HOST)) as own:
        await own.until("hello")
        await world.do(BEN, space, c.Request())
        assert (await own.until("requested"))["data"]["account"] == str(BEN)


async def test_a_position_too_far_back_is_refused(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from litestar.testing import AsyncTestClient

    from spaces_ctl.api.spaces import account_feed

    monkeypatch.setattr(account_feed, "_MOST_BEHIND", 1)
    await world.live()
    async with AsyncTestClient(world.app) as client:
        answer = await client.get("/api/v1/me/events?after=0", headers=bearer(HOST))
    assert (answer.status_code, answer.json()["code"]) == (410, "stream.position")
