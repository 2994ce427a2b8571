"""Live HLS over HTTP: who gets a playlist, what its links are good for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.engine import Counts
from spaces_ctl.media.errors import WorkerGone
from spaces_ctl.model import SpaceId
from spaces_ctl.service.tables import Audience
from tests.support.api_world import ANN, BEN, HOST, ApiWorld, bearer

Client = AsyncTestClient[Litestar]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    world = await ApiWorld.open(tmp_path)
    yield world
    await world.opened.aclose()


def live(space: SpaceId, name: str) -> str:
    return f"/api/v1/spaces/{wire.space_text(space)}/live/hls/{name}"


async def test_whoever_may_hear_gets_a_playlist_with_links_that_play(world: ApiWorld) -> None:
    space = await world.live()
    async with AsyncTestClient(world.app) as client:
        for who in (None, ANN):
            main = await client.get(live(space, "main.m3u8"), headers=bearer(who))
            assert main.status_code == 200
            assert main.text.endswith("aac.m3u8\n")
            newest = await client.get(live(space, "aac.m3u8"), headers=bearer(who))
            assert newest.headers["content-type"].startswith("application/vnd.apple.mpegurl")
            assert newest.headers["cache-control"] == "private, no-store"
            assert "#EXT-X-MEDIA-SEQUENCE:7\n" in newest.text
            links = re.findall(r"^\.\./(segments/.*)$", newest.text, re.MULTILINE)
            assert len(links) == 3
            base = f"/api/v1/spaces/{wire.space_text(space)}/live"
            # As a player asks: without anybody's credentials.
            segment = await client.get(f"{base}/{links[1]}")
            assert (segment.status_code, segment.content) == (200, b"....styp")
            gone = await client.get(f"{base}/{links[0]}")
            assert (gone.status_code, gone.json()["code"]) == (404, "resource.not_found")
            for_another = await client.get(f"{base}/{links[1].replace('/8.', '/9.')}")
            assert (for_another.status_code, for_another.json()["code"]) == (403, "link.invalid")
        world.clock.advance(seconds=31)
        late = await client.get(f"{base}/{links[1]}")
        assert (late.status_code, late.json()["code"]) == (410, "link.expired")
        head = await client.get(live(space, "init.mp4"))
        assert (head.status_code, head.content) == (200, b"....ftyp")


async def test_who_reads_the_playlist_is_counted_as_long_as_they_do(world: ApiWorld) -> None:
    space = await world.live()
    counters = world.spaces.counters
    async with AsyncTestClient(world.app) as client:

        async def read(who: int | None, agent: str) -> None:
            headers = {**bearer(who), "user-agent": agent}
            assert (await client.get(live(space, "aac.m3u8"), headers=headers)).status_code == 200

        await client.get(live(space, "main.m3u8"))
        assert counters.audience(space) == Audience(), "a look is not a listener"
        for who, agent in ((None, "phone"), (None, "phone"), (None, "car"), (ANN, "phone"), (ANN, "car")):
            await read(who, agent)
        assert counters.audience(space) == Audience(anonymous=1, guests=2)
        counters.count(Counts(1, space, 3, 0, 1, 4))
        assert counters.audience(space) == Audience(named=3, anonymous=1, guests=3)
        assert counters.of(space).peak == 7
        counters.take_changed()
        world.clock.advance(seconds=6)
        await read(None, "car")
        world.clock.advance(seconds=6)
        assert counters.take_changed() == {space}
        assert counters.audience(space) == Audience(named=3, guests=2), "who stopped asking has gone"
        world.clock.advance(seconds=6)
        assert counters.take_changed() == {space}
        assert counters.take_changed() == frozenset()
        assert counters.audience(space) == Audience(named=3, guests=1)


async def test_who_may_not_hear_gets_none_from_the_next_playlist_on(world: ApiWorld) -> None:
    space = await world.live()
    async with AsyncTestClient(world.app) as client:

        async def code(who: int | None, name: str = "aac.m3u8") -> str | None:
            answer = await client.get(live(space, name), headers=bearer(who))
            return None if answer.status_code == 200 else str(answer.json()["code"])

        assert await code(BEN) is None
        await world.enter(space, BEN)
        await world.do(HOST, space, c.Remove(account=BEN))
        assert await code(BEN) == "participant.removed"
        assert await code(BEN, "main.m3u8") == "participant.removed"
        assert await code(ANN) is None
        await world.do(HOST, space, c.End())
        assert await code(ANN) == "state.ended"


async def test_without_a_worker_it_is_told_that_there_is_none_now(world: ApiWorld) -> None:
    space = await world.live()
    world.more.media.fails = WorkerGone("gone", "the media worker died")
    async with AsyncTestClient(world.app) as client:
        answer = await client.get(live(space, "aac.m3u8"), headers=bearer(ANN))
    assert (answer.status_code, answer.json()["code"]) == (503, "media.unavailable")
