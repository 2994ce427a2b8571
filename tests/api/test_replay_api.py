"""Replays over HTTP: what is told, who may hear, files in ranges, plays."""

from __future__ import annotations

import re

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.media.layout import replay_prefix
from spaces_ctl.model import SYSTEM, SpaceId
from spaces_ctl.service.ports import Principal
from tests.support.api_world import ANN, BEN, EVE, HOST, MODERATOR, ApiWorld, bearer, path
from tests.support.replay_objects import SECONDS, put_replay

Client = AsyncTestClient[Litestar]
FILES = ["audio.opus", "audio.m4a", "peaks.json", "timeline.json", "hls/main.m3u8", "hls/opus-init.mp4"]
TYPES = {
    "audio.opus": "audio/ogg",
    "audio.m4a": "audio/mp4",
    "peaks.json": "application/json",
    "timeline.json": "application/json",
    "hls/main.m3u8": "application/vnd.apple.mpegurl",
    "hls/opus-init.mp4": "audio/mp4",
}


async def ended(world: ApiWorld) -> SpaceId:
    """8 s, in which Ann came to the stage, the title changed and something was asked."""
    space = await world.live(record=True, title="Tea")
    world.clock.advance(seconds=2)
    await world.speaks(space, ANN)
    world.clock.advance(seconds=1)
    await world.do(HOST, space, c.Edit(title="Cake"))
    await world.do(HOST, space, c.CreatePoll(question="More?", options=("yes", "no")))
    world.clock.advance(seconds=SECONDS - 3)
    await world.do(HOST, space, c.End())
    return space


async def replayed(world: ApiWorld) -> SpaceId:
    space = await ended(world)
    started_ms = (await world.spaces.get(space)).started_ms or 0
    await put_replay(world.more.objects, space, started_at_ms=started_ms, accounts=(HOST, ANN))
    await world.spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=SECONDS * 1000))
    return space


async def test_a_replay_is_told_with_people_chapters_and_addresses(world: ApiWorld, client: Client) -> None:
    space = await replayed(world)
    told = (await client.get(path(space, "/replay"))).json()
    assert (told["title"], told["status"], told["duration_ms"], told["start_ms"]) == ("Cake", "available", 8000, 0)
    assert [person["handle"] for person in told["speakers"]] == [f"user{HOST}", f"user{ANN}"]
    assert [(chapter["at_ms"], chapter["kind"], chapter["text"]) for chapter in told["chapters"]] == [
        (0, "title", "Tea"),
        (2000, "speaker", f"User {ANN}"),
        (3000, "title", "Cake"),
        (3000, "poll", "More?"),
    ]
    assert told["loudness_lufs"] + told["gain_db"] == pytest.approx(-16, abs=0.02)
    assert told["started"] == (await client.get(path(space))).json()["started"]
    for name in ("hls", "hls_opus", "opus", "m4a", "timeline", "peaks"):
        assert (await client.get(told["urls"][name])).status_code == 200, name
    when = (await client.get(told["urls"]["timeline"])).json()
    assert [(one["handle"], round(one["spans"][0][0] / 1000)) for one in when["people"]] == [
        (f"user{HOST}", 0),
        (f"user{ANN}", 4),
    ]
    assert when["chapters"] == told["chapters"]


@pytest.mark.parametrize("name", FILES)
async def test_everybody_may_hear_it_in_the_right_form(world: ApiWorld, client: Client, name: str) -> None:
    space = await replayed(world)
    for who in (None, EVE, MODERATOR):
        answer = await client.get(path(space, f"/replay/{name}"), headers=bearer(who))
        assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[name]), answer.text
        assert answer.headers.get("cache-control") in ("private, no-cache", None)
    if name != "timeline.json":
        assert answer.content == await world.more.objects.get(f"{replay_prefix(space)}/{name}")


@pytest.mark.parametrize("name", ["", *FILES])
async def test_what_is_withheld_or_deleted_is_refused_at_once(world: ApiWorld, client: Client, name: str) -> None:
    """Although every object is still there."""
    url = f"/replay/{name}".rstrip("/")
    space = await replayed(world)
    assert (await client.get(path(space, url))).status_code == 200
    await world.spaces.execute(Principal(moderator=True, account=MODERATOR).actor(), space, c.MarkViolation(note="x"))
    refused = await client.get(path(space, url), headers=bearer(HOST))
    assert (refused.status_code, refused.json()["code"]) == (409, "replay.withheld")
    assert (await client.head(path(space, url))).status_code in (405, 409)
    other = await replayed(world)
    await world.do(HOST, other, c.DeleteReplay())
    refused = await client.get(path(other, url), headers={"range": "bytes=0-1"})
    assert (refused.status_code, refused.json()["code"]) == (404, "replay.deleted")


async def test_what_is_not_ready_is_refused(world: ApiWorld, client: Client) -> None:
    space = await ended(world)
    started_ms = (await world.spaces.get(space)).started_ms or 0
    await put_replay(world.more.objects, space, started_at_ms=started_ms)
    for url in ("/replay", "/replay/audio.opus", "/replay/hls/main.m3u8"):
        refused = await client.get(path(space, url))
        assert (refused.status_code, refused.json()["code"]) == (409, "replay.unavailable")
    live = await world.live(record=True)
    assert (await client.get(path(live, "/replay"))).json()["code"] == "state.live"
    lobby = (await world.spaces.create(Principal(account=HOST).actor(), c.Create())).space.id
    assert (await client.get(path(lobby, "/replay"))).json()["code"] == "space.not_found"


async def test_a_replay_whose_files_are_gone_is_unavailable(world: ApiWorld, client: Client) -> None:
    space = await replayed(world)
    await world.more.objects.delete(replay_prefix(space))
    assert (await client.get(path(space, "/replay"))).json()["code"] == "replay.unavailable"
    assert (await client.get(path(space, "/replay/audio.opus"))).json()["code"] == "resource.not_found"


async def test_what_only_its_maker_needs_is_served_to_nobody(world: ApiWorld, client: Client) -> None:
    space = await replayed(world)
    for name in ("work/index.msgpack", "hls/..%2Fwork%2Findex.msgpack", "replay.json", "hls/..%2f..%2fsource"):
        assert (await client.get(path(space, f"/replay/{name}"))).status_code in (400, 404, 422), name


async def test_a_play_counts(world: ApiWorld, client: Client) -> None:
    space = await replayed(world)
    for who in (None, BEN):
        assert (await client.post(path(space, "/replay/plays"), headers=bearer(who))).status_code == 200
    assert (await client.get(path(space, "/replay"))).json()["plays"] == 2
    await world.do(HOST, space, c.DeleteReplay())
    assert (await client.post(path(space, "/replay/plays"))).json()["code"] == "replay.deleted"


async def test_playlists_lead_to_every_segment(world: ApiWorld, client: Client) -> None:
    space = await replayed(world)
    mains = [(await client.get(path(space, f"/replay/hls/{name}.m3u8"))).text for name in ("main", "main-opus")]
    lists = [name for text in mains for name in re.findall(r"^[^#\n]+$", text, re.MULTILINE)]
    assert lists == ["aac.m3u8", "opus.m3u8"]
    for name in lists:
        text = (await client.get(path(space, f"/replay/hls/{name}"))).text
        uris = re.findall(r"^[^#\n]+$", text, re.MULTILINE) + re.findall(r'URI="([^"]+)"', text)
        assert len(uris) == 3
        for uri in uris:
            assert (await client.get(path(space, f"/replay/hls/{uri}"))).status_code == 200
