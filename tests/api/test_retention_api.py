"""Deletions, reviews, exports, plays and what is told before joining, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.media.errors import MediaError
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.limits import PRESETS, Limits
from spaces_ctl.service.ports import Principal
from spaces_ctl.store.tables.recordings import recordings
from spaces_ctl.store.tables.reviews import review_reads
from tests.support.api_scenarios import replay_of, standing
from tests.support.api_scenarios_retention import exported, keep, reviewable, reviewed
from tests.support.api_world import ANN, BEN, HOST, MODERATOR, OPERATOR, ApiWorld, bearer, path

API = "/api/v1"
Client = AsyncTestClient[Litestar]


async def asked(client: Client, method: str, url: str, who: int | None, status: int = 200, **more: Any) -> Any:
    answer = await client.request(method, url, headers=bearer(who) | more.pop("headers", {}), **more)
    assert answer.status_code == status, answer.text
    return answer


async def refused(client: Client, method: str, url: str, who: int | None, **more: Any) -> str:
    answer = await client.request(method, url, headers=bearer(who), **more)
    assert answer.status_code >= 400
    code: str = answer.json()["code"]
    return code


def local(url: str) -> str:
    """A link's path and query."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


async def test_moderators_and_operators_see_what_was_deleted_and_why(client: Client, world: ApiWorld) -> None:
    space = await replay_of(world)
    await world.do(HOST, space, c.DeleteReplay())
    await world.more.react()
    await world.more.retention.settle()
    for who in (MODERATOR, OPERATOR):
        page = (await asked(client, "GET", f"{API}/moderation/deletions?limit=1", who)).json()
        [row] = page["data"]
        assert (row["space"], row["why"], row["state"], row["tries"]) == (wire.space_text(space), "creator", "done", 0)
        following = (await asked(client, "GET", f"{API}/moderation/deletions?cursor={page['next']}", who)).json()
        assert {row["what"]} | {one["what"] for one in following["data"]} == {"replay", "clip"}
    pending = await asked(client, "GET", f"{API}/moderation/deletions?state=pending", MODERATOR)
    assert pending.json()["data"] == []
    other = await asked(client, "GET", f"{API}/moderation/deletions?space={wire.space_text(space + 1)}", MODERATOR)
    assert other.json()["data"] == []
    assert await refused(client, "GET", f"{API}/moderation/deletions", HOST) == "role.forbidden"
    assert await refused(client, "GET", f"{API}/moderation/deletions?state=x", MODERATOR) == "request.invalid"


async def test_a_moderator_gets_links_that_play_by_themselves_for_ten_minutes(client: Client, world: ApiWorld) -> None:
    case = await reviewable(world)
    opened = await asked(client, "POST", f"{API}/moderation/cases/{case}/review", MODERATOR, 201, json={"why": "hm"})
    told = opened.json()
    assert [track["account"] for track in told["tracks"]] == [None, str(HOST), str(ANN)]
    link = local(told["tracks"][0]["url"])
    for who in (None, MODERATOR):
        sound = await asked(client, "GET", link, who)
        assert (sound.content, sound.headers["content-type"]) == (b"OggS of None", "audio/ogg")
        assert sound.headers["cache-control"] == "private, no-store"
    assert (await asked(client, "GET", link, None, 206, headers={"range": "bytes=0-3"})).content == b"OggS"
    assert await refused(client, "GET", link, ANN) == "link.invalid", "somebody else's credentials"
    assert await refused(client, "GET", link.replace("/mix?", "/1?"), None) == "link.invalid"
    assert await refused(client, "GET", link.replace(f"for={MODERATOR}", f"for={ANN}"), None) == "link.invalid"
    assert await refused(client, "GET", link.replace("expires=1", "expires=2"), None) == "link.invalid"
    world.clock.advance(seconds=600)
    assert await refused(client, "GET", link, None) == "link.expired"
    [read] = (await asked(client, "GET", f"{API}/moderation/reviews", OPERATOR)).json()["data"]
    assert (read["moderator"], read["case"], read["why"], read["fetched"]) == (str(MODERATOR), str(case), "hm", 1)
    assert read["stretch"] == told["stretch"]
    trail = (await asked(client, "GET", f"{API}/moderation/trail", MODERATOR)).json()["data"]
    assert [(line["action"], line["outcome"], line["case"]) for line in trail[:2]] == [
        ("hear", "done", str(case)),
        ("hear", "asked", str(case)),
    ]


async def test_listening_needs_rights_a_reason_and_something_that_is_there(client: Client, world: ApiWorld) -> None:
    case = await reviewable(world)
    url, body = f"{API}/moderation/cases/{case}/review", {"why": "hm"}
    assert await refused(client, "POST", url, HOST, json=body) == "role.forbidden"
    assert await refused(client, "POST", url, MODERATOR, json={"why": " "}) == "report.reason_required"
    assert await refused(client, "POST", url, MODERATOR, json={}) == "request.invalid"
    assert await refused(client, "POST", url, MODERATOR, json={**body, "from_ms": 10**9}) == "setting.invalid"
    assert await refused(client, "POST", f"{API}/moderation/cases/5/review", MODERATOR, json=body) == "report.not_found"
    assert await refused(client, "GET", f"{API}/moderation/reviews", MODERATOR) == "role.forbidden"
    world.more.media.fails = MediaError("gone")
    assert await refused(client, "POST", url, MODERATOR, json=body) == "media.unavailable"
    world.more.media.fails = MediaError("source.gone")
    assert await refused(client, "POST", url, MODERATOR, json=body) == "evidence.none"
    await world.db.write(lambda k: k.execute(sa.delete(recordings)))
    assert await refused(client, "POST", url, MODERATOR, json=body) == "evidence.gone"
    assert len((await asked(client, "GET", f"{API}/moderation/reviews", OPERATOR)).json()["data"]) == 3


async def test_an_operator_without_an_account_listens_too(client: Client, world: ApiWorld) -> None:
    reviews, links = world.more.retention.reviews, world.more.retention.links
    opened = await reviews.open(Principal(operator=True), await reviewable(world), "for the court")
    url = f"{API}/moderation/reviews/{opened.read.id}/mix"
    await asked(client, "GET", f"{url}?{links.query(url, None, opened.read.expires_ms)}", None)


async def test_a_link_of_a_read_that_nobody_wrote_down_leads_nowhere(client: Client, world: ApiWorld) -> None:
    read, query = await reviewed(world)
    await world.db.write(lambda k: k.execute(sa.delete(review_reads)))
    assert await refused(client, "GET", f"{API}/moderation/reviews/{read}/mix?{query}", None) == "link.invalid"


async def test_a_creator_polls_and_downloads_in_parts(client: Client, world: ApiWorld) -> None:
    space = await replay_of(world)
    await keep(world, space)
    await asked(client, "POST", path(space, "/export"), HOST)
    await world.more.react()
    [export] = (await asked(client, "GET", path(space, "/exports"), HOST)).json()["data"]
    assert (export["number"], export["state"], export["url"]) == (1, "making", None)
    await world.more.retention.settle()
    export = (await asked(client, "GET", path(space, "/exports/1"), HOST)).json()
    assert (export["state"], export["files"]) == ("ready", ["mix.opus", "metadata.json"])
    link = local(export["url"])
    for who in (None, HOST):
        whole = await asked(client, "GET", link, who)
        assert (whole.content, whole.headers["content-type"]) == (b"PK of an archive", "application/zip")
        assert whole.headers["content-disposition"] == f'attachment; filename="space-{wire.space_text(space)}.zip"'
    part = await asked(client, "GET", link, None, 206, headers={"range": "bytes=3-"})
    assert (part.content, part.headers["content-range"]) == (b"of an archive", "bytes 3-15/16")
    assert (await asked(client, "GET", link, None, 416, headers={"range": "bytes=99-"})).json()["code"] == (
        "request.range"
    )
    assert await refused(client, "GET", link, ANN) == "link.invalid"
    assert await refused(client, "GET", link.replace("exports/1", "exports/2"), None) == "link.invalid"
    told = (await asked(client, "GET", f"{API}/me/notifications", HOST)).json()["data"]
    assert "export_ready" in {one["kind"] for one in told}
    world.clock.advance(seconds=3_600)
    assert await refused(client, "GET", link, None) == "link.expired"
    for who in (ANN, MODERATOR, None):
        assert await refused(client, "GET", path(space, "/exports/1"), who) == "role.forbidden"
    assert await refused(client, "GET", path(space, "/exports/9"), HOST) == "export.not_found"


async def test_a_link_to_an_export_ends_with_what_it_was_made_of(client: Client, world: ApiWorld) -> None:
    space, query = await exported(world)
    link = f"{path(space, '/exports/1/download')}?{query}"
    await asked(client, "GET", link, None)
    await world.more.objects.delete(f"spaces/{space}/export")
    assert await refused(client, "GET", link, None) == "export.gone"


async def test_a_link_to_what_is_not_ready_says_so(client: Client, world: ApiWorld) -> None:
    space = await replay_of(world)
    await keep(world, space)
    await world.do(HOST, space, c.Export())
    await world.more.react()
    url = path(space, "/exports/1/download")
    query = world.more.retention.links.query(url, HOST, world.clock.now_ms() + 1_000)
    assert await refused(client, "GET", f"{url}?{query}", None) == "export.not_ready"


async def test_plays_are_counted_once_a_viewer_and_half_an_hour(client: Client, world: ApiWorld) -> None:
    space = await replay_of(world)

    async def plays() -> int:
        count: int = (await asked(client, "GET", path(space, "/analytics"), HOST)).json()["replay_plays"]
        return count

    for who in (ANN, ANN, BEN, None, None):
        await asked(client, "POST", path(space, "/replay/plays"), who)
    assert await plays() == 3
    world.clock.advance(seconds=29 * 60)
    await asked(client, "POST", path(space, "/replay/plays"), ANN)
    assert await plays() == 3
    world.clock.advance(seconds=61)
    await asked(client, "POST", path(space, "/replay/plays"), ANN)
    assert await plays() == 4
    await world.do(HOST, space, c.DeleteReplay())
    assert await refused(client, "POST", path(space, "/replay/plays"), ANN) == "replay.deleted"
    assert await plays() == 4


async def told_of(client: Client, space: SpaceId, where: str = "") -> Any:
    answer = (await asked(client, "GET", path(space, where), None)).json()
    return answer.get("space", answer)["disclosure"]


async def test_before_joining_everybody_is_told_what_becomes_of_it(client: Client, world: ApiWorld) -> None:
    space = await standing(world)
    expected = {
        "recorded": True,
        "replay_days": None,
        "review_days": 30,
        "violation_days": 120,
        "clips": True,
        "captions": True,
    }
    assert await told_of(client, space) == await told_of(client, space, "/peek") == expected
    await world.do(HOST, space, c.SetClips(on=False))
    assert (await told_of(client, space, "/peek"))["clips"] is False


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(audit_copy=False), {"review_days": None, "violation_days": None, "replay_days": None}),
        (PRESETS["replay30"], {"review_days": 30, "violation_days": 120, "replay_days": 30}),
    ],
)
async def test_the_deployments_own_times_are_told(tmp_path: Any, limits: Limits, told: dict[str, Any]) -> None:
    world = await ApiWorld.open(tmp_path, limits=limits)
    async with AsyncTestClient(world.app) as client:
        space = await world.live(record=True)
        assert told.items() <= (await told_of(client, space)).items()
        # That somebody reported it, nobody learns.
        await world.enter(space, ANN)
        await world.do(ANN, space, c.ReportSpace(reason="spam"))
        await world.do(HOST, space, c.End())
        assert told.items() <= (await told_of(client, space)).items()
    await world.aclose()
