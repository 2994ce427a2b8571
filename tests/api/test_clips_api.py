"""Clips over HTTP: who sees which, files with ranges, pages for everybody, and when they are gone."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.media.clip_names import FAILED, FILES, LATER, name_of
from spaces_ctl.model import SYSTEM, SpaceId
from spaces_ctl.service.ports import Principal
from tests.support.api_scenarios_clips import made
from tests.support.api_world import ANN, BEN, CID, DAN, HOST, MODERATOR, ApiWorld, bearer, path

Client = AsyncTestClient[Litestar]


class Crawled(HTMLParser):
    """What others make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.metas: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "meta":
            self.metas[found.get("property", found.get("name", found.get("http-equiv", "")))] = found.get("content", "")

    def all(self, tag: str) -> list[dict[str, str]]:
        return [found for name, found in self.tags if name == tag]


async def asked(client: Client, url: str, who: int | None, status: int = 200, method: str = "GET", **more: Any) -> Any:
    answer = await client.request(method, url, headers=bearer(who), **more)
    assert answer.status_code == status, answer.text
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer


async def code(client: Client, url: str, who: int | None, method: str = "GET", **more: Any) -> str:
    answer = await client.request(method, url, headers=bearer(who), **more)
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


async def live(world: ApiWorld, **create: Any) -> SpaceId:
    """Half a minute on, with listeners."""
    space = await world.live(**({"title": "Jazz <night>"} | create))
    await world.enter(space, ANN, BEN)
    world.clock.advance(seconds=40)
    return space


async def clip(client: Client, space: SpaceId, who: int, **more: Any) -> int:
    body = {"end_ms": 35_000, "length_ms": 30_000, "comment": "Listen & learn"} | more
    return int((await asked(client, path(space, "/clips"), who, method="POST", json=body))["number"])


async def test_a_clip_is_processing_then_ready_and_says_who_made_it_when_and_of_what(
    client: Client, world: ApiWorld
) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    url = path(space, f"/clips/{number}")
    seen = await asked(client, url, None)
    assert (seen["status"], seen["files"]) == ("processing", {})
    assert (seen["author"]["id"], seen["start_ms"], seen["end_ms"]) == (str(ANN), 5_000, 35_000)
    assert seen["url"] == f"http://127.0.0.1:1/s/{wire.space_text(space)}/clips/{number}"
    assert await code(client, f"{url}/audio.opus", None) == "clip.processing"
    await made(world, space, number)
    seen = await asked(client, url, None)
    assert seen["status"] == "ready"
    assert seen["files"].keys() == FILES.keys()
    for file, at in seen["files"].items():
        answer = await client.get(at)
        assert answer.text == f"{file} of {number}"
        assert answer.headers["content-type"] == FILES[file]


async def test_a_clip_whose_source_is_gone_says_so(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await world.more.objects.put(name_of(space, number, FAILED), b"source.gone")
    seen = await asked(client, path(space, f"/clips/{number}"), None)
    assert (seen["status"], seen["files"]) == ("failed", {})


async def test_the_list_is_newest_first_in_pages(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    for end_ms in range(31_000, 36_000, 1_000):
        await clip(client, space, ANN, end_ms=end_ms)
    numbers: list[int] = []
    cursor, pages = "", 0
    while cursor is not None:
        page = await asked(client, path(space, f"/clips?limit=2{cursor and f'&cursor={cursor}'}"), None)
        numbers += [seen["clip"] for seen in page["data"]]
        cursor, pages = page["next"], pages + 1
    assert numbers == [5, 4, 3, 2, 1]
    assert pages == 3
    assert await code(client, path(space, "/clips?cursor=AAAA"), None) == "request.cursor"


async def test_clips_of_those_whom_one_muted_or_who_block_one_are_not_shown(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    first, second = await clip(client, space, ANN), await clip(client, space, BEN)
    await world.accounts.execute(Principal(account=CID), c.MuteAccount(account=ANN))
    await world.accounts.execute(Principal(account=BEN), c.Block(account=CID))
    assert (await asked(client, path(space, "/clips"), CID))["data"] == []
    for number in (first, second):
        assert await code(client, path(space, f"/clips/{number}"), CID) == "clip.not_found"
    for other in (ANN, DAN, None):
        assert [seen["clip"] for seen in (await asked(client, path(space, "/clips"), other))["data"]] == [2, 1]
    # A page with nothing to show has another behind it all the same.
    page = await asked(client, path(space, "/clips?limit=1"), CID)
    assert page["data"] == []
    assert page["next"] is not None


async def test_an_author_deletes_and_nobody_else_and_it_is_gone_at_once(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await made(world, space, number)
    url = path(space, f"/clips/{number}")
    assert await code(client, url, HOST, "DELETE") == "role.forbidden"
    await asked(client, url, ANN, method="DELETE")
    # The files are there still: what the state says counts.
    assert await world.more.objects.size(name_of(space, number, "audio.opus"))
    await all_gone(client, space, number)


async def all_gone(client: Client, space: SpaceId, number: int) -> None:
    url = path(space, f"/clips/{number}")
    for at in (url, *(f"{url}/{file}" for file in FILES)):
        assert await code(client, at, None) == "clip.not_found"
        assert (await client.head(at)).status_code in (404, 405)
    page = await client.get(f"/s/{wire.space_text(space)}/clips/{number}")
    assert page.status_code == 404
    assert "text/html" in page.headers["content-type"]
    embed = {"url": f"http://127.0.0.1:1/s/{wire.space_text(space)}/clips/{number}"}
    assert (await client.get("/oembed", params=embed)).status_code == 404


async def test_with_the_space_its_clips_go(client: Client, world: ApiWorld) -> None:
    space = await live(world, record=True)
    number = await clip(client, space, ANN)
    await made(world, space, number)
    await world.do(HOST, space, c.End())
    await world.spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=40_000))
    assert (await asked(client, path(space, f"/clips/{number}"), None))["status"] == "ready"
    await asked(client, path(space, "/replay"), HOST, method="DELETE")
    await all_gone(client, space, number)
    assert (await asked(client, path(space, "/clips"), None))["data"] == []


async def test_while_a_violation_stands_clips_are_withheld_as_the_replay_is(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await made(world, space, number)
    moderator = Principal(account=MODERATOR, moderator=True).actor()
    await world.spaces.execute(moderator, space, c.MarkViolation(note="no"))
    url = path(space, f"/clips/{number}")
    for at in (path(space, "/clips"), url, f"{url}/audio.m4a"):
        assert await code(client, at, ANN) == "replay.withheld"
    assert (await client.get(f"/s/{wire.space_text(space)}/clips/{number}")).status_code == 409
    await world.spaces.execute(moderator, space, c.ClearViolation())
    assert (await asked(client, url, None))["status"] == "ready"


async def test_the_hosts_switch_stops_new_clips_and_previews_and_leaves_old_ones(
    client: Client, world: ApiWorld
) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await made(world, space, number)
    await asked(client, path(space, "/settings/clips"), HOST, method="PUT", json={"on": False})
    body = {"end_ms": 35_000}
    assert await code(client, path(space, "/clips"), BEN, "POST", json=body) == "clips.off"
    assert await code(client, path(space, "/clips/preview"), BEN) == "clips.off"
    assert (await asked(client, path(space, f"/clips/{number}"), None))["status"] == "ready"


async def test_a_preview_obeys_the_rules_of_the_clip_and_leaves_nothing(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    answer = await asked(client, path(space, "/clips/preview"), ANN)
    assert (answer.content, answer.headers["content-type"]) == (b"OggS", "audio/ogg")
    assert answer.headers["clip-end-ms"] == "40000"
    assert answer.headers["cache-control"] == "no-store"
    assert world.more.recordings.calls[-1][0] == "preview"
    for who, query, refusal in (
        (None, "", "role.forbidden"),
        (DAN, "", "participant.not_in_space"),
        (ANN, "?end_ms=40001", "setting.invalid"),
        (ANN, "?length_ms=30001", "setting.invalid"),
        (ANN, "?end_ms=0", "setting.invalid"),
    ):
        assert await code(client, path(space, f"/clips/preview{query}"), who) == refusal, query
    assert (await world.state(space)).clips == {}


async def test_files_come_in_parts(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await world.more.objects.put(name_of(space, number, "audio.m4a"), bytes(range(200)))
    url = path(space, f"/clips/{number}/audio.m4a")
    for asked_for, first, last in (("bytes=10-19", 10, 19), ("bytes=190-", 190, 199), ("bytes=-5", 195, 199)):
        answer = await client.get(url, headers={"range": asked_for})
        assert answer.status_code == 206
        assert answer.content == bytes(range(first, last + 1))
        assert answer.headers["content-range"] == f"bytes {first}-{last}/200"
    whole = await client.get(url)
    assert (whole.status_code, whole.headers["accept-ranges"], whole.content) == (200, "bytes", bytes(range(200)))
    beyond = await client.get(url, headers={"range": "bytes=200-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */200")
    head = await client.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "200", b"")


async def test_a_video_that_was_lost_is_asked_for_again(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await made(world, space, number)
    for file in LATER:
        await world.more.objects.delete(name_of(space, number, file))
    assert (await asked(client, path(space, f"/clips/{number}"), None))["status"] == "ready"
    assert await code(client, path(space, f"/clips/{number}/video.mp4"), None) == "clip.processing"
    assert ("film", space, number) in world.more.recordings.calls


async def test_what_is_no_file_of_a_clip_is_not_found(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    for file in ("source.seg", "audio.wav"):
        assert await code(client, path(space, f"/clips/{number}/{file}"), None) == "clip.not_found"
    assert await code(client, path(space, "/clips/77"), None) == "clip.not_found"
    assert await code(client, "/api/v1/spaces/zzzz/clips/1", None) == "clip.not_found"


async def test_the_share_page_plays_without_a_script_and_tells_crawlers(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN, comment='<script>alert("x")</script>')
    name = wire.space_text(space)
    url = f"http://127.0.0.1:1/s/{name}/clips/{number}"
    early = Crawled((await client.get(f"/s/{name}/clips/{number}/player")).text)
    assert early.metas["refresh"] == "3"
    assert early.all("audio") == []
    await made(world, space, number)
    answer = await client.get(f"/s/{name}/clips/{number}")
    page = Crawled(answer.text)
    assert "alert" not in str(page.all("script"))
    assert [source["src"].rpartition("/")[2] for source in page.all("source")] == ["audio.opus", "audio.m4a"]
    assert "refresh" not in page.metas
    for source in page.all("source"):
        assert (await client.get(source["src"])).status_code == 200
    assert page.metas["og:title"] == '<script>alert("x")</script>'
    assert page.metas["og:url"] == url
    assert page.metas["og:video"].endswith(f"/clips/{number}/video.mp4")
    assert page.metas["twitter:card"] == "player"
    assert page.metas["twitter:player"] == f"{url}/player"
    player = await client.get(f"/s/{name}/clips/{number}/player")
    assert Crawled(player.text).all("script") == []
    policy = player.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert policy.endswith("frame-ancestors *")
    embed = (await client.get("/oembed", params={"url": url})).json()
    assert (embed["type"], embed["version"]) == ("rich", "1.0")
    assert f'src="{url}/player"' in embed["html"]
    assert embed["thumbnail_url"].endswith("/waveform.png")
    space_embed = (await client.get("/oembed", params={"url": f"http://127.0.0.1:1/s/{name}"})).json()
    assert space_embed["type"] == "link"


async def test_the_style_is_the_one_that_the_policy_names(client: Client, world: ApiWorld) -> None:
    import base64
    import hashlib

    space = await live(world)
    number = await clip(client, space, ANN)
    answer = await client.get(f"/s/{wire.space_text(space)}/clips/{number}/player")
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


async def test_a_reported_clip_lands_with_the_moderators(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    body = {"reason": world.limits.report_reasons[0], "detail": "listen"}
    await asked(client, path(space, f"/clips/{number}/reports"), DAN, method="POST", json=body)
    await world.more.react()
    [case] = (await asked(client, "/api/v1/moderation/cases", MODERATOR))["data"]
    assert (case["kind"], case["subject"]) == ("clip", str(number))


async def test_the_post_of_a_clip_links_to_its_page(client: Client, world: ApiWorld) -> None:
    space = await live(world)
    number = await clip(client, space, ANN)
    await world.more.react()
    [post] = (await asked(client, f"/api/v1/accounts/{ANN}/posts", None))["data"]
    assert (post["text"], post["clip"]) == ("Listen & learn", number)
    assert post["link"] == f"http://127.0.0.1:1/s/{wire.space_text(space)}/clips/{number}"
    await asked(client, path(space, f"/clips/{number}"), ANN, method="DELETE")
    await world.more.react()
    assert (await asked(client, f"/api/v1/accounts/{ANN}/posts", None))["data"] == []


async def test_what_was_trimmed_away_or_said_after_the_recording_stopped_is_in_no_clip(
    client: Client, world: ApiWorld
) -> None:
    """The review copy has it, and clips are cut from there: a clip of it would publish what the host has not."""
    space = await live(world, record=True)
    await world.do(HOST, space, c.StopRecording())
    await world.do(HOST, space, c.End())
    await world.spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=20_000))
    await world.do(HOST, space, c.TrimReplay(start_ms=6_000))
    for end_ms in (5_000, 6_000, 20_001, 35_000):
        assert await code(client, path(space, "/clips"), ANN, "POST", json={"end_ms": end_ms}) == "setting.invalid"
        assert await code(client, path(space, f"/clips/preview?end_ms={end_ms}"), ANN) == "setting.invalid"
    number = await clip(client, space, ANN, end_ms=20_000)
    seen = await asked(client, path(space, f"/clips/{number}"), None)
    assert (seen["start_ms"], seen["end_ms"]) == (6_000, 20_000)
    await asked(client, path(space, "/clips/preview?end_ms=20000"), ANN)
    assert world.more.recordings.previewed == (6_000, 20_000)
