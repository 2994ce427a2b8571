"""Spaces over HTTP: made, read by each viewer, commanded."""

from typing import Any

from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from tests.support.api_world import ANN, BEN, CID, HOST, MODERATOR, ApiWorld, bearer, path

Client = AsyncTestClient[Litestar]


async def test_a_space_from_its_making_to_its_end(world: ApiWorld, client: Client) -> None:
    made = await client.post("/api/v1/spaces", json={"title": "Books", "topics": ["books"]}, headers=bearer(HOST))
    assert made.status_code == 201, made.text
    space = made.json()
    assert made.headers["location"] == f"/api/v1/spaces/{space['id']}"
    assert (space["status"], space["title"], space["creator"], space["you"]["role"]) == ("lobby", "Books", "1", "host")
    base = f"/api/v1/spaces/{space['id']}"
    started = await client.post(f"{base}/start", headers=bearer(HOST))
    assert started.status_code == 200, started.text
    assert started.json()["version"] > space["version"]
    seen = (await client.get(base)).json()
    assert (seen["status"], seen["you"]["role"], seen["requests"]) == ("live", "guest", None)
    assert (await client.post(f"{base}/end", headers=bearer(HOST))).status_code == 200
    over = await client.post(f"{base}/leave", headers=bearer(ANN))
    assert (over.status_code, over.json()["code"]) == (409, "state.ended")
    assert over.headers["content-type"] == "application/problem+json"


async def test_a_lobby_is_nobodys_business_but_for_its_creator_and_the_invited(world: ApiWorld, client: Client) -> None:
    outcome = await world.spaces.create(bearer_actor(HOST), c.Create())
    space = outcome.space.id
    await world.do(HOST, space, c.Invite(account=ANN))
    answers = {who: (await client.get(path(space), headers=bearer(who))).status_code for who in (HOST, ANN, BEN, None)}
    assert answers == {HOST: 200, ANN: 200, BEN: 404, None: 404}
    assert (await client.get(path(space), headers=bearer(MODERATOR))).status_code == 200


async def test_what_a_viewer_sees_of_others(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    await world.enter(space, BEN)
    await world.do(BEN, space, c.Request())
    await world.do(HOST, space, c.Mute(account=ANN))
    await world.accounts.execute(principal(BEN), c.Block(account=ANN))

    async def seen(who: int | None) -> Any:
        answer = await client.get(path(space), headers=bearer(who))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ann(view: Any) -> Any:
        return next(seat for seat in view["stage"] if seat["account"] == str(ANN))

    host, own, ben, guest = [await seen(who) for who in (HOST, ANN, BEN, None)]
    assert (host["requests"], own["requests"], guest["requests"]) == (1, None, None)
    assert [ann(view)["muted_by"] for view in (host, own, ben, guest)] == ["1", "1", None, None]
    assert [ann(view)["blocked"] for view in (host, own, ben, guest)] == [False, False, True, False]
    assert ben["you"]["role"] == "listener"
    assert ben["you"]["requested"] is not None
    people = (await client.get(path(space, "/people"), headers=bearer(BEN))).json()["data"]
    assert {(one["profile"]["id"], one["role"], one["blocked"]) for one in people} == {
        ("1", "host", False),
        ("2", "speaker", True),
        ("3", "listener", False),
    }
    peek = (await client.get(path(space, "/peek"), headers=bearer(BEN))).json()
    assert peek["notices"] == ["You have blocked 1 person who is speaking."]


async def test_hosts_lists_are_for_hosts_and_moderators(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    await world.enter(space, ANN, BEN, CID)
    for account in (ANN, BEN, CID):
        await world.do(account, space, c.Request())
        world.clock.advance(seconds=1)
    await world.do(HOST, space, c.Invite(account=20))
    for list_ in ("requests", "invites", "attendance", "history"):
        codes = {
            who: (await client.get(path(space, f"/{list_}"), headers=bearer(who))).status_code
            for who in (HOST, ANN, MODERATOR, None)
        }
        assert codes == {HOST: 200, ANN: 403, MODERATOR: 200, None: 403}, list_
    first = (await client.get(path(space, "/requests?limit=2"), headers=bearer(HOST))).json()
    assert [one["profile"]["id"] for one in first["data"]] == ["2", "3"]
    rest = await client.get(path(space, f"/requests?limit=2&cursor={first['next']}"), headers=bearer(HOST))
    assert ([one["profile"]["id"] for one in rest.json()["data"]], rest.json()["next"]) == (["4"], None)
    other = await client.get(path(space, f"/invites?cursor={first['next']}"), headers=bearer(HOST))
    assert (other.status_code, other.json()["code"]) == (422, "request.cursor")


async def test_people_are_found_by_name(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    await world.enter(space, *range(20, 40))
    answer = (await client.get(path(space, "/people?q=USER%203&limit=4"))).json()
    assert [one["profile"]["id"] for one in answer["data"]] == ["30", "31", "32", "33"]
    more = (await client.get(path(space, f"/people?q=USER%203&limit=100&cursor={answer['next']}"))).json()
    assert [one["profile"]["id"] for one in more["data"]] == [str(n) for n in range(34, 40)]


async def test_joining(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    named = (await client.post(path(space, "/join"), headers=bearer(ANN))).json()
    assert (named["role"], named["seat"], named["certificate_sha256"]) == ("listener", None, "01" * 32)
    assert named["token"].count(".") == 2
    guest = await client.post(path(space, "/join"), json={"anonymous": False})
    assert guest.json()["role"] == "guest", guest.text
    assert (await client.post(path(space, "/join"), json={"anonymous": True}, headers=bearer(BEN))).status_code == 200
    seated = (await client.post(path(space, "/join"), json={"anonymous": True}, headers=bearer(HOST))).json()
    assert seated["code"] == "role.forbidden"


async def test_the_own_account(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    me = (await client.get("/api/v1/me", headers=bearer(HOST))).json()
    assert (me["account"]["handle"], me["live"][0]["role"]) == ("user1", "host")
    assert me["live"][0]["space"] == path(space).rsplit("/", 1)[1]
    nobody = await client.get("/api/v1/me")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "auth.token_missing")
    assert nobody.headers["www-authenticate"].startswith("Bearer")


async def test_a_block_is_carried_out_in_the_space_before_the_answer(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    await world.speaks(space, ANN)
    answer = await client.put(f"/api/v1/me/blocks/{ANN}", headers=bearer(HOST))
    assert answer.status_code == 204, answer.text
    assert (await world.state(space)).seat_of(ANN) is None
    again = await client.post(path(space, "/join"), headers=bearer(ANN))
    assert again.json()["code"] == "participant.blocked_by_host"


async def test_history_tells_hosts_what_they_may_know(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    await world.enter(space, ANN, BEN)
    await world.speaks(space, CID)
    await world.do(ANN, space, c.ReportAccount(account=BEN, reason="spam"))
    await world.accounts.execute(principal(HOST), c.Block(account=CID))
    entries, cursor = [], ""
    while True:
        page = (await client.get(path(space, f"/history?limit=5{cursor}"), headers=bearer(HOST))).json()
        entries += page["data"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    names = [entry["event"] for entry in entries]
    assert "started" in names
    assert not {"reported", "deny_set_attached"} & set(names)
    gone = next(entry for entry in entries if entry["event"] == "removed")
    assert gone["data"] == {"account": str(CID), "how": "removed"}
    assert gone["by"] is None


def bearer_actor(account: int) -> Any:
    return principal(account).actor()


def principal(account: int) -> Any:
    from spaces_ctl.service.ports import Principal

    return Principal(account=account, scopes=frozenset({"*"}))
