"""Captions over HTTP: to whom, in which state, in which form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.captions.messages import Heard
from spaces_ctl.model import SYSTEM, SpaceId, Ticketing
from tests.support.api_scenarios import stored_replay
from tests.support.api_server import Messages, serving, sse, ws
from tests.support.api_world import ANN, BEN, DAN, HOST, MODERATOR, ApiWorld, bearer, path
from tests.support.patience import PATIENCE_S

Client = AsyncTestClient[Litestar]
TRANSPORTS = pytest.mark.parametrize("transport", ["sse", "ws"])


@pytest.fixture
async def server(world: ApiWorld) -> AsyncIterator[str]:
    async with serving(world.app) as url:
        yield url


def stream(transport: str, url: str, who: int | None, query: str = "") -> Any:
    return sse(f"{url}/events{query}", bearer(who)) if transport == "sse" else ws(f"{url}/ws{query}", bearer(who))


async def captioned(world: ApiWorld, **create: Any) -> SpaceId:
    space = await world.live(**create)
    if "ticketing" in create:
        await world.spaces.execute(SYSTEM, space, c.BuyTicket(account=ANN, payment="a"))
    await world.speaks(space, ANN)
    await world.do(ANN, space, c.CaptionConsent(on=True))
    return space


async def says(world: ApiWorld, space: SpaceId, text: str, line: int = 0, *, ms: int = 0, final: bool = True) -> None:
    seat = (await world.state(space)).seat_of(ANN)
    assert seat is not None
    heard = Heard(
        space=space,
        seat=seat.seat,
        generation=seat.generation,
        line=line,
        start_ms=ms,
        end_ms=ms + 1_000,
        text=text,
        final=final,
    )
    await world.captions.take(heard)
    await world.captions.flush()


async def code(client: Client, url: str, who: int | None = None) -> tuple[int, str]:
    answer = await client.get(url, headers=bearer(who))
    return answer.status_code, answer.json().get("code", "")


@TRANSPORTS
async def test_lines_come_on_the_stream_to_those_who_want_them(world: ApiWorld, server: str, transport: str) -> None:
    space = await captioned(world)
    url = server + path(space)
    async with stream(transport, url, None, "?captions=true") as wants, stream(transport, url, DAN) as other:
        for messages in (wants, other):
            await messages.until("hello")
        await says(world, space, "good", final=False)
        await says(world, space, "good morning")
        await world.do(HOST, space, c.Edit(title="next"))
        first, second = await wants.until("caption"), await wants.until("caption")
        assert "version" not in first
        assert first["data"] == {
            "n": 1,
            "account": str(ANN),
            "start_ms": 0,
            "end_ms": 1_000,
            "text": "good",
            "final": False,
        }
        assert second["data"] | {"text": "", "final": 0} == first["data"] | {"text": "", "final": 0}
        assert (second["data"]["text"], second["data"]["final"]) == ("good morning", True)
        await other.until("edited")
        assert "caption" not in {message["event"] for message in other.seen}
    feeds = world.app.state["feeds"]
    async with asyncio.timeout(PATIENCE_S):
        while feeds.streams:
            await asyncio.sleep(0.01)
    await feeds.close_idle()
    assert world.captions._viewers == {}, "nobody is told any more"


@TRANSPORTS
async def test_captions_of_a_ticketed_space_are_for_who_may_hear(world: ApiWorld, server: str, transport: str) -> None:
    space = await captioned(world, ticketing=Ticketing(price_minor=100, currency="EUR", quantity=10))
    url = server + path(space)
    await world.spaces.execute(SYSTEM, space, c.BuyTicket(account=DAN, payment="p"))
    await _refused(transport, url, BEN, "ticket.required")
    await _refused(transport, url, None, "ticket.required")
    async with stream(transport, url, DAN, "?captions=true") as messages:
        await messages.until("hello")
        await says(world, space, "for those who paid")
        assert (await messages.until("caption"))["data"]["text"] == "for those who paid"
        await world.spaces.execute(SYSTEM, space, c.RefundTicket(account=DAN, payment="p"))
        await messages_settle(messages, world, space)
        await says(world, space, "not any more", 1)
        await world.do(HOST, space, c.Edit(title="next"))
        await messages.until("edited")
        assert "not any more" not in str(messages.seen)


async def messages_settle(messages: Messages, world: ApiWorld, space: SpaceId) -> None:
    """The stream has told what was decided so far."""
    await world.do(HOST, space, c.Edit(title="settled"))
    await messages.until("edited")


async def _refused(transport: str, url: str, who: int | None, code_: str) -> None:
    with pytest.raises(Exception, match="402"):
        async with stream(transport, url, who, "?captions=true") as messages:
            await messages.until("hello")


async def test_the_lines_before_for_who_comes_later(world: ApiWorld, client: Client) -> None:
    space = await captioned(world)
    for line in range(5):
        await says(world, space, f"line {line}", line, ms=line * 1_000)
    first = (await client.get(path(space, "/captions?limit=3"))).json()
    assert [one["text"] for one in first["data"]] == ["line 4", "line 3", "line 2"]
    rest = (await client.get(path(space, f"/captions?limit=3&cursor={first['next']}"))).json()
    assert [one["n"] for one in rest["data"]] == [2, 1]
    assert rest["next"] is None
    await world.do(ANN, space, c.CaptionConsent(on=False))
    assert await code(client, path(space, "/captions")) == (403, "captions.no_consent")
    await world.do(HOST, space, c.End())
    assert await code(client, path(space, "/captions")) == (409, "state.ended")


async def test_the_lines_before_are_for_who_may_hear(world: ApiWorld, client: Client) -> None:
    space = await captioned(world, ticketing=Ticketing(price_minor=100, currency="EUR", quantity=10))
    assert await code(client, path(space, "/captions"), DAN) == (402, "ticket.required")
    assert (await code(client, path(space, "/captions"), ANN))[0] == 200


async def replay(world: ApiWorld) -> SpaceId:
    space = await captioned(world, record=True)
    await says(world, space, "before the <start>", 0, ms=500)
    await says(world, space, "good morning & welcome", 1, ms=4_000)
    await says(world, space, "", 2, ms=7_000)
    await says(world, space, "after the recording was stopped", 3, ms=8_000)
    await world.do(HOST, space, c.End())
    await world.spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=60_000))
    await stored_replay(world, space, 0, 60_000)
    return space


async def test_the_replays_captions_are_shifted_with_it(world: ApiWorld, client: Client, tmp_path: Path) -> None:
    space = await replay(world)
    url = path(space, "/replay/captions.vtt")
    whole = await client.get(url)
    assert whole.headers["content-type"] == "text/vtt; charset=utf-8"
    assert whole.headers["content-language"] == "en"
    assert whole.text.startswith("WEBVTT\n")
    assert whole.text.count("-->") == 4
    assert f"<v User {ANN}>before the &lt;start&gt;</v>" in whole.text
    await stored_replay(world, space, 3_000, 7_500)
    trimmed = (await client.get(url)).text
    assert "before" not in trimmed
    assert "stopped" not in trimmed
    assert "00:00:01.000 --> 00:00:02.000\n<v User 2>good morning &amp; welcome</v>" in trimmed
    file = tmp_path / "captions.vtt"
    file.write_text(trimmed)
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux() if packet.pts is not None]
    assert [(packet.pts, packet.duration) for packet in packets] == [(1_000, 1_000), (4_000, 500)], "ffmpeg reads it"


async def test_the_replays_captions_are_refused_with_the_replay(world: ApiWorld, client: Client) -> None:
    live = await captioned(world, record=True)
    assert await code(client, path(live, "/replay/captions.vtt")) == (409, "state.live")
    await world.do(HOST, live, c.End())
    assert await code(client, path(live, "/replay/captions.vtt")) == (409, "replay.unavailable")
    space = await replay(world)
    await world.do(MODERATOR, space, c.MarkViolation(), moderator=True)
    assert await code(client, path(space, "/replay/captions.vtt")) == (409, "replay.withheld")
    await world.do(MODERATOR, space, c.ClearViolation(), moderator=True)
    assert (await client.get(path(space, "/replay/captions.vtt"))).status_code == 200
    await world.do(HOST, space, c.DeleteReplay())
    assert await code(client, path(space, "/replay/captions.vtt")) == (404, "replay.deleted")


async def test_a_space_in_a_language_that_nobody_here_writes_has_no_captions(world: ApiWorld, client: Client) -> None:
    space = await captioned(world, lang="ja")
    assert await code(client, path(space, "/captions"), DAN) == (409, "captions.unavailable")
