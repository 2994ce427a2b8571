"""The handlers on a whole deployment in memory: real Spaces, real graph, real readers of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.engine import Counts
from spaces_ctl.model import SYSTEM, Ticketing
from spaces_ctl.service.ports import Principal
from tests.support.api_world import ANN, BEN, CID, HOST, MODERATOR, ApiWorld, bearer, path
from tests.support.patience import PATIENCE_S

API = "/api/v1"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    world = await ApiWorld.open(tmp_path, settings=ApiSettings(public_url="http://127.0.0.1:1"))
    yield world
    await world.aclose()


@pytest.fixture
async def client(world: ApiWorld) -> AsyncIterator[AsyncTestClient[Litestar]]:
    async with AsyncTestClient(world.app) as client:
        yield client


Client = AsyncTestClient[Litestar]


async def asked(client: Client, method: str, url: str, who: int | None, status: int | None = 200, **more: Any) -> Any:
    """`status` None: any success."""
    answer = await client.request(method, url, headers=bearer(who), **more)
    assert answer.is_success if status is None else answer.status_code == status, answer.text
    return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer


async def test_the_bar_tabs_search_and_a_profile(client: Client, world: ApiWorld) -> None:
    await world.accounts.execute(Principal(account=ANN), c.Follow(account=HOST))
    await world.accounts.execute(Principal(account=ANN), c.Follow(account=BEN))
    space = await world.live(title="Jazz night")
    other = (await world.spaces.create(Principal(account=CID).actor(), c.Create(title="Rock"))).space.id
    await world.spaces.execute(Principal(account=CID).actor(), other, c.Start())
    await asked(client, "POST", path(other, "/join"), BEN)
    await world.enter(other, BEN)
    await world.more.around.settle()
    bar = await asked(client, "GET", f"{API}/discover/bar", ANN)
    assert [(one["space"]["title"], one["hosting"], one["listening"]) for one in bar["data"]] == [
        ("Jazz night", [str(HOST)], []),
        ("Rock", [], [str(BEN)]),
    ]
    first = await asked(client, "GET", f"{API}/discover?tab=live&limit=1", None)
    second = await asked(client, "GET", f"{API}/discover?tab=live&limit=1&cursor={first['next']}", None)
    assert {first["data"][0]["title"], second["data"][0]["title"]} == {"Jazz night", "Rock"}
    await asked(client, "GET", f"{API}/discover?tab=upcoming&cursor={first['next']}", None, 422)
    found = await asked(client, "GET", f"{API}/search/spaces?query=jazz", None)
    assert [one["id"] for one in found["data"]] == [wire.space_text(space)]
    profile = await asked(client, "GET", f"{API}/accounts/{HOST}/spaces", None)
    assert [one["title"] for one in profile["live"]] == ["Jazz night"]
    assert (await asked(client, "GET", f"{API}/discover?tab=trending", None))["data"]


async def test_how_many_came_is_told_to_everybody_when_it_is_over(client: Client, world: ApiWorld) -> None:
    space = await world.live(record=True)
    await world.enter(space, ANN, BEN)
    world.spaces.counters.count(Counts(at_us=0, space=space, named=2, anonymous=0, guests=1, peak=3))
    await world.more.around.analytics.step()
    await asked(client, "GET", path(space, "/attendance"), None, 403)
    await world.do(HOST, space, c.End())
    told = await asked(client, "GET", path(space, "/attendance"), None)
    assert told == {"now": {"named": 0, "anonymous": 0, "guests": 0}, "peak": 3, "reactions": {}, "points": []}
    await world.spaces.execute(SYSTEM, space, c.ReplayReady(duration_ms=60_000))
    await world.more.around.analytics.step()
    await world.more.around.settle()
    recorded = (await asked(client, "GET", f"{API}/accounts/{HOST}/spaces", None))["recorded"]
    assert [one["participants"] for one in recorded] == [3]


async def test_a_profile_tells_followers_alone_where_somebody_is(client: Client, world: ApiWorld) -> None:
    await world.accounts.execute(Principal(account=ANN), c.Follow(account=BEN))
    space = await world.live(title="Jazz night")
    await asked(client, "POST", path(space, "/join"), BEN)
    await world.enter(space, BEN)
    await world.more.around.settle()

    async def now(of: int, who: int | None) -> list[tuple[list[str], list[str]]]:
        found = (await asked(client, "GET", f"{API}/accounts/{of}/spaces", who))["now"]
        return [(one["hosting"], one["listening"]) for one in found]

    assert await now(BEN, ANN) == [([], [str(BEN)])]
    assert await now(BEN, BEN) == [([], [str(BEN)])]
    assert await now(BEN, CID) == []
    assert await now(BEN, None) == []
    assert await now(HOST, HOST) == [([str(HOST)], [])]
    await world.accounts.execute(Principal(account=BEN), c.SetListeningVisibility(visible=False))
    assert await now(BEN, ANN) == []


async def test_topics_are_the_operators(client: Client, world: ApiWorld) -> None:
    await world.more.around.discovery.seed_topics()
    assert len((await asked(client, "GET", f"{API}/topics", None))["data"]) == 20
    await asked(client, "PUT", f"{API}/topics/jazz", ANN, 403, json={"name": "Jazz"})
    await asked(client, "DELETE", f"{API}/topics/music", ANN, 403)
    assert (await asked(client, "GET", f"{API}/topics/music/spaces", None))["data"] == []


async def test_a_shared_link_a_picture_a_calendar_and_oembed_for_anybody(client: Client, world: ApiWorld) -> None:
    at_ms = world.clock.now_ms() + 3_600_000
    outcome = await world.spaces.create(
        Principal(account=HOST).actor(), c.Create(title="<b>Talk</b>", scheduled_start_ms=at_ms)
    )
    name = wire.space_text(outcome.space.id)
    page = await client.get(f"/s/{name}")
    assert page.status_code == 200
    assert "&lt;b&gt;Talk" in page.text
    assert "<b>" not in page.text
    assert "<title>&lt;b&gt;Talk&lt;/b&gt; · Spaces</title>" in page.text
    assert (await client.get(f"/s/{name}/card.png")).content.startswith(b"\x89PNG")
    assert (await client.get(f"/s/{name}/calendar.ics")).headers["content-type"].startswith("text/calendar")
    embed = await client.get("/oembed", params={"url": f"http://127.0.0.1:1/s/{name}"})
    assert embed.json()["title"] == "<b>Talk</b>"
    assert embed.json()["version"] == "1.0"
    assert (await client.get("/oembed", params={"url": "https://evil.example/s/1"})).status_code == 404
    gone = await client.get("/s/1")
    assert gone.status_code == 404
    assert "text/html" in gone.headers["content-type"]


async def test_a_reminder_leads_to_a_notification_that_is_read(client: Client, world: ApiWorld) -> None:
    at_ms = world.clock.now_ms() + 3_600_000
    created = c.Create(title="Talk", scheduled_start_ms=at_ms)
    space = (await world.spaces.create(Principal(account=HOST).actor(), created)).space.id
    await asked(client, "PUT", path(space, "/reminder"), ANN)
    reminders = await asked(client, "GET", f"{API}/me/reminders", ANN)
    assert [one["title"] for one in reminders["data"]] == ["Talk"]
    await world.do(HOST, space, c.Start())
    await world.more.around.settle()
    page = await asked(client, "GET", f"{API}/me/notifications", ANN)
    assert [(one["kind"], one["data"]["title"], one["by"]) for one in page["data"]] == [
        ("space_started", "Talk", str(HOST))
    ]
    assert page["unread"] == 1
    up_to = {"up_to": page["data"][0]["id"]}
    assert await asked(client, "POST", f"{API}/me/notifications/read", ANN, json=up_to) == {"marked": 1}
    assert (await asked(client, "GET", f"{API}/me/notifications", ANN))["unread"] == 0
    new = {"push": False, "email": True, "off": ["removed"]}
    assert await asked(client, "PUT", f"{API}/me/notifications/settings", ANN, json=new) == new
    assert await asked(client, "GET", f"{API}/me/notifications/settings", ANN) == new
    await asked(client, "PUT", f"{API}/me/notifications/settings", ANN, 422, json={"off": ["nonsense"]})
    assert "space_started" in (await asked(client, "GET", f"{API}/notification-kinds", None))["data"]
    await asked(client, "GET", f"{API}/me/notifications", None, 401)


async def test_browsers_subscribe_and_are_forgotten(client: Client) -> None:
    body = {
        "endpoint": "https://push.example/1",
        "keys": {"p256dh": "A" * 87, "auth": "A" * 22},
        "expirationTime": None,
    }
    made = await asked(client, "POST", f"{API}/me/push", ANN, 201, json=body)
    listed = await asked(client, "GET", f"{API}/me/push", ANN)
    assert [one["id"] for one in listed["data"]] == [made["id"]]
    assert listed["public_key"] is None
    await asked(client, "DELETE", f"{API}/me/push/{made['id']}", BEN, 404)
    await asked(client, "DELETE", f"{API}/me/push/{made['id']}", ANN, 204)


async def test_webhooks_are_registered_rotated_stopped_and_deleted(client: Client, world: ApiWorld) -> None:
    space = await world.live()
    name = wire.space_text(space)
    body = {"url": "https://hooks.example/x", "events": ["space.ended"], "space": name}
    made = await asked(client, "POST", f"{API}/webhooks", HOST, 201, json=body)
    assert made["secrets"][0].startswith("whsec_")
    await asked(client, "POST", f"{API}/webhooks", ANN, 403, json=body)
    url = f"{API}/webhooks/{made['id']}"
    assert len((await asked(client, "POST", f"{url}/rotate", HOST))["secrets"]) == 2
    await world.do(HOST, space, c.End())
    for reactor in world.more.around.reactors:
        await reactor.drain()
    [message] = (await asked(client, "GET", f"{url}/messages", HOST))["data"]
    assert (message["kind"], message["state"], message["space"]) == ("space.ended", "pending", name)
    assert (await asked(client, "GET", f"{url}/attempts", HOST))["data"] == []
    await asked(client, "POST", f"{url}/messages/{message['sequence']}/redeliver", HOST, 202)
    assert (await asked(client, "PATCH", url, HOST, json={"enabled": False}))["disabled"] is not None
    await asked(client, "GET", f"{url}/messages", ANN, 404)
    await asked(client, "DELETE", url, HOST, 204)
    assert (await asked(client, "GET", f"{API}/webhooks", HOST))["data"] == []


async def test_a_ticket_is_bought_in_the_sandbox_and_lets_its_holder_in(client: Client, world: ApiWorld) -> None:
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=1)
    space = await world.live(ticketing=ticketing)
    await asked(client, "POST", path(space, "/join"), ANN, 402)
    order = await asked(client, "POST", path(space, "/tickets/checkout"), ANN, 201)
    await asked(client, "POST", path(space, "/tickets/checkout"), BEN, 402)
    page = urlsplit(order["url"]).path
    assert "5.00" in (await client.get(page)).text
    paid = await client.post(page, data={"outcome": "paid"}, follow_redirects=False)
    assert paid.status_code == 303, paid.text
    assert (await asked(client, "GET", f"{API}/me/orders/{order['id']}", ANN))["state"] == "paid"
    await asked(client, "GET", f"{API}/me/orders/{order['id']}", BEN, 404)
    await asked(client, "POST", path(space, "/join"), ANN)
    assert ANN in next(accounts for key, accounts in world.engine.acls(space).items() if "allow" in str(key).lower())
    assert (await asked(client, "GET", path(space, "/tickets/buyers"), HOST))["data"] == [str(ANN)]
    listed = await asked(client, "GET", f"{API}/me/orders", ANN)
    assert [(one["space"], one["state"]) for one in listed["data"]] == [(wire.space_text(space), "paid")]
    assert (await asked(client, "GET", f"{API}/me/orders", BEN))["data"] == []
    await asked(client, "GET", f"{API}/me/orders", None, 401)
    await asked(client, "GET", path(space, "/tickets/buyers"), ANN, 403)
    forged = await client.post(f"{API}/payments/messages", content=b"{}")
    assert forged.status_code == 422
    assert forged.json()["code"] == "payment.invalid"


async def test_whoever_is_signed_in_by_cookie_can_pay_and_is_led_back_to_the_order(
    client: Client, world: ApiWorld
) -> None:
    world.more.payments._return_url = "https://spaces.example/orders/{order}"
    space = await world.live(ticketing=Ticketing(price_minor=500, currency="EUR", quantity=1))
    order = await asked(client, "POST", path(space, "/tickets/checkout"), ANN, 201)
    browser = {"cookie": f"spaces_session={ANN}", "origin": "http://127.0.0.1:1", "sec-fetch-site": "same-origin"}
    page = urlsplit(order["url"]).path
    assert (await client.get(page, headers=browser)).status_code == 200
    paid = await client.post(page, data={"outcome": "paid"}, headers=browser, follow_redirects=False)
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://spaces.example/orders/{order['id']}")
    assert (await asked(client, "GET", f"{API}/me/orders/{order['id']}", ANN))["state"] == "paid"


async def test_a_community_its_members_and_its_spaces(client: Client, world: ApiWorld) -> None:
    made = await asked(client, "POST", f"{API}/communities", HOST, 201, json={"handle": "club", "name": "Club"})
    url = f"{API}/communities/{made['id']}"
    await asked(client, "PUT", f"{url}/membership", ANN, 204)
    await asked(client, "PUT", f"{url}/members/{BEN}", HOST, 204, json={"role": "moderator"})
    await asked(client, "PUT", f"{url}/members/{CID}", ANN, 403, json={"role": "member"})
    members = await asked(client, "GET", f"{url}/members", None)
    assert [(one["account"], one["role"]) for one in members["data"]] == [
        (str(HOST), "admin"),
        (str(ANN), "member"),
        (str(BEN), "moderator"),
    ]
    space = await world.live(title="Of the club", community=int(made["id"]))
    await world.more.around.settle()
    assert [one["title"] for one in (await asked(client, "GET", f"{url}/spaces", None))["data"]] == ["Of the club"]
    assert [one["kind"] for one in (await asked(client, "GET", f"{API}/me/notifications", ANN))["data"]] == [
        "space_started"
    ]
    refusal = await asked(client, "POST", f"{API}/spaces", ANN, 403, json={"title": "x", "community": made["id"]})
    assert refusal["code"] == "community.role_required"
    assert (await asked(client, "GET", f"{API}/me/communities", BEN))["data"][0]["role"] == "moderator"
    assert (await asked(client, "PATCH", url, HOST, json={"name": "New"}))["name"] == "New"
    assert (await asked(client, "GET", f"{API}/communities", None))["data"][0]["members"] == 3
    await asked(client, "DELETE", f"{url}/membership", ANN, 204)
    await asked(client, "GET", f"{API}/communities/99", None, 404)
    assert space


async def test_posts_are_pinned_hidden_from_those_who_muted_and_voted_on(client: Client, world: ApiWorld) -> None:
    space = await world.live()
    body = {"text": "tea?", "poll": ["yes", "no"]}
    made = await asked(client, "POST", f"{API}/posts", HOST, 201, json=body)
    await asked(client, "PUT", path(space, f"/posts/{made['id']}"), HOST)
    await asked(client, "PUT", path(space, "/posts/999"), HOST, 404)
    [pinned] = (await asked(client, "GET", path(space, "/posts"), ANN))["data"]
    assert pinned["poll"] == [{"text": "yes", "votes": 0}, {"text": "no", "votes": 0}]
    voted = await asked(client, "PUT", f"{API}/posts/{made['id']}/vote", ANN, json={"option": 1})
    assert voted["poll"][1]["votes"] == 1
    assert voted["voted"] == 1
    assert (await asked(client, "GET", f"{API}/posts/{made['id']}", BEN))["voted"] is None
    comment = {"text": "indeed", "reply_to": made["id"]}
    await asked(client, "POST", f"{API}/posts", BEN, 201, json=comment)
    assert len((await asked(client, "GET", f"{API}/posts/{made['id']}/replies", CID))["data"]) == 1
    await asked(client, "PUT", f"{API}/me/mutes/{BEN}", CID, None)
    assert (await asked(client, "GET", f"{API}/posts/{made['id']}/replies", CID))["data"] == []
    assert len((await asked(client, "GET", f"{API}/accounts/{HOST}/posts", CID))["data"]) == 1
    invitation = {"space": wire.space_text(space), "text": "come"}
    await asked(client, "POST", f"{API}/accounts/{ANN}/messages", BEN, 202, json=invitation)
    [message] = (await asked(client, "GET", f"{API}/me/messages", ANN))["data"]
    assert (message["by"], message["text"]) == (str(BEN), "come")
    await asked(client, "DELETE", f"{API}/posts/{made['id']}", HOST, 204)
    await asked(client, "GET", f"{API}/posts/{made['id']}", ANN, 404)


async def test_a_report_becomes_a_case_and_what_moderators_do_is_in_the_trail(client: Client, world: ApiWorld) -> None:
    space = await world.live()
    await world.enter(space, ANN)
    await asked(client, "POST", path(space, "/reports"), ANN, json={"reason": "spam", "detail": "look"})
    await world.more.around.settle()
    [case] = (await asked(client, "GET", f"{API}/moderation/cases", MODERATOR))["data"]
    url = f"{API}/moderation/cases/{case['id']}"
    assert (await asked(client, "GET", url, MODERATOR))["reports"][0]["detail"] == "look"
    assert (await asked(client, "POST", f"{url}/claim", MODERATOR))["state"] == "claimed"
    assert (await asked(client, "POST", f"{url}/release", MODERATOR))["state"] == "open"
    await asked(
        client, "POST", f"{API}/moderation/spaces/{wire.space_text(space)}/end", MODERATOR, 204, json={"why": "x"}
    )
    resolved = await asked(client, "POST", f"{url}/resolve", MODERATOR, json={"outcome": "upheld", "why": "spam"})
    assert resolved["state"] == "resolved"
    await asked(client, "PUT", f"{API}/moderation/bans/{HOST}", MODERATOR, None, json={"reason": "spam"})
    await asked(client, "POST", f"{API}/appeals", HOST, None, json={"text": "no"})
    [appeal] = (await asked(client, "GET", f"{API}/moderation/appeals", MODERATOR))["data"]
    grant = {"grant": True}
    await asked(client, "POST", f"{API}/moderation/appeals/{appeal['id']}/resolve", MODERATOR, None, json=grant)
    await world.more.around.settle()
    trail = (await asked(client, "GET", f"{API}/moderation/trail", MODERATOR))["data"]
    assert {"claim", "release", "end", "upheld", "live_banned", "appeal_resolved", "space_ended"} <= {
        line["action"] for line in trail
    }
    kinds = [one["kind"] for one in (await asked(client, "GET", f"{API}/me/notifications", HOST))["data"]]
    assert {"ended_for_violation", "live_banned", "appeal_granted"} <= set(kinds)
    for listed in ("cases", "trail", "appeals"):
        await asked(client, "GET", f"{API}/moderation/{listed}", ANN, 403)


async def test_analytics_are_the_hosts(client: Client, world: ApiWorld) -> None:
    space = await world.live()
    report = await asked(client, "GET", path(space, "/analytics"), HOST)
    assert report["requests"] == 0
    await asked(client, "GET", path(space, "/analytics"), ANN, 403)


async def test_readers_and_workers_run_until_cancelled_and_the_bus_wakes_them(client: Client, world: ApiWorld) -> None:
    import asyncio

    running = asyncio.create_task(world.more.around.run(world.bus))
    try:
        space = await world.live()
        await world.enter(space, ANN)
        await world.do(HOST, space, c.Invite(account=ANN))
        async with asyncio.timeout(PATIENCE_S):
            while not (await asked(client, "GET", f"{API}/me/notifications", ANN))["data"]:
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_every_operation_around_is_in_the_document(client: Client) -> None:
    paths = (await asked(client, "GET", f"{API}/openapi.json", None))["paths"]
    operations = {one["operationId"] for methods in paths.values() for one in methods.values() if "operationId" in one}
    assert {"getBar", "listNotifications", "createWebhook", "checkoutTicket", "createPost", "listCases"} <= operations
