"""What is refused, and how X's clients see it."""

from __future__ import annotations

import socket
import time

import httpx
import pytest
import requests
import sqlalchemy as sa
import tweepy

from spaces_ctl import commands as c
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.clock import SystemClock
from spaces_ctl.model import Ticketing
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.service.xapi import SpeakerIds
from spaces_ctl.store.errors import Unavailable
from spaces_ctl.store.tables.logins import oauth_grants
from tests.support.xapi import XWorld, rebased_tweepy, run, served, text, xdk_app, xdk_user

X = "https://api.x.com/2/problems/"
OPERATIONS = (
    "/2/spaces/{id}",
    "/2/spaces?ids={id}",
    "/2/spaces/by/creator_ids?user_ids=1",
    "/2/spaces/search?query=a",
    "/2/spaces/{id}/buyers",
    "/2/spaces/{id}/tweets",
)


async def ask(place: XWorld, path: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=place.url, headers=headers) as client:
        return await client.get(path)


@pytest.mark.parametrize("path", OPERATIONS)
async def test_no_token_or_a_wrong_one_is_401(place: XWorld, path: str) -> None:
    ada = await place.person("ada")
    revoked = await place.user_token(ada)
    await place.identity.oauth.withdraw(ada, await place.db.read(_only_grant))
    for token in (None, "nonsense", "spa_" + "x" * 43, revoked):
        answer = await ask(place, path.format(id="1abc"), token)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json() == {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": "Unauthorized",
        }
        assert {"x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"} <= set(answer.headers)


def _only_grant(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.select(oauth_grants.c.id)))


async def test_clients_raise_unauthorized(place: XWorld) -> None:
    with pytest.raises(tweepy.Unauthorized, match="Unauthorized"):
        await run(rebased_tweepy(place.url, "nonsense").get_space, "1abc")
    with pytest.raises(requests.HTTPError, match="401"):
        await run(xdk_app(place.url, "nonsense").spaces.get_by_id, "1abc")


async def test_an_expired_token_is_401(place: XWorld) -> None:
    token = await place.user_token(await place.person("ada"))
    assert (await ask(place, "/2/spaces/1abc", token)).status_code == 200
    place.clock.advance(seconds=7_201)
    assert (await ask(place, "/2/spaces/1abc", token)).status_code == 401


async def test_all_three_scopes_are_needed(place: XWorld) -> None:
    ada = await place.person("ada")
    for scopes in ("space.read tweet.read", "users.read tweet.read", "space.read users.read", "space.write"):
        with pytest.raises(tweepy.Forbidden, match="scope"):
            await run(rebased_tweepy(place.url, await place.user_token(ada, scopes)).get_space, "1abc")


async def test_buyers_are_for_the_creator_in_person(place: XWorld) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=10)
    space = await place.live(ada, title="Paid", ticketing=ticketing)
    await place.sell(space, bob)
    with pytest.raises(tweepy.Forbidden, match="Application-Only") as refused:
        await run(rebased_tweepy(place.url, await place.app_token(ada)).get_space_buyers, text(space))
    assert refused.value.response.json()["type"] == X + "unsupported-authentication"
    with pytest.raises(tweepy.Forbidden) as refused:
        await run(rebased_tweepy(place.url, await place.user_token(bob)).get_space_buyers, text(space))
    assert refused.value.response.json()["type"] == X + "not-authorized-for-resource"
    bobs = xdk_user(place.url, await place.user_token(bob))
    with pytest.raises(requests.HTTPError, match="403"):
        await run(lambda: list(bobs.spaces.get_buyers(text(space))))
    ended = await place.user_token(ada)
    await place.give(ada, space, c.End())
    answer = (await ask(place, f"/2/spaces/{text(space)}/buyers", ended)).json()
    assert [error["type"] for error in answer["errors"]] == [X + "resource-not-found"]


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("/2/spaces/not-an-id", "id", "not-an-id"),
        ("/2/spaces/12345678901234", "id", "12345678901234"),
        ("/2/spaces", "ids", ""),
        ("/2/spaces?ids=", "ids", ""),
        ("/2/spaces?ids=1a,,1b", "ids", "1a,,1b"),
        ("/2/spaces?ids=1a,b!", "ids", "b!"),
        ("/2/spaces?ids=1a&ids=1b", "ids", "1b"),
        ("/2/spaces/by/creator_ids?user_ids=ada", "user_ids", "ada"),
        ("/2/spaces/by/creator_ids?user_ids=12345678901234567890", "user_ids", "12345678901234567890"),
        ("/2/spaces/search", "query", ""),
        ("/2/spaces/search?query=%20", "query", " "),
        ("/2/spaces/search?query=a&state=ended", "state", "ended"),
        ("/2/spaces/search?query=a&max_results=0", "max_results", "0"),
        ("/2/spaces/search?query=a&max_results=101", "max_results", "101"),
        ("/2/spaces/search?query=a&max_results=many", "max_results", "many"),
        ("/2/spaces/search?query=a&pagination_token=1234567890123456", "pagination_token", "1234567890123456"),
        ("/2/spaces/1a?space.fields=titel", "space.fields", "titel"),
        ("/2/spaces/1a?expansions=pinned_tweet_id", "expansions", "pinned_tweet_id"),
        ("/2/spaces/1a?user.fields=shoe_size", "user.fields", "shoe_size"),
        ("/2/spaces/1a?foo=bar", "foo", "bar"),
        ("/2/spaces/1a/tweets?expansions=creator_id", "expansions", "creator_id"),
        ("/2/spaces/1a/tweets?pagination_token=short", "pagination_token", "short"),
        ("/2/spaces/1a/tweets?pagination_token=1234567890123456", "pagination_token", "1234567890123456"),
    ],
)
async def test_a_parameter_that_cannot_be_is_named(place: XWorld, path: str, parameter: str, value: str) -> None:
    answer = await ask(place, path, await place.user_token(await place.person("ada")))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["title"]) == (X + "invalid-request", "Invalid Request")
    assert (body["parameter"], body["value"]) == (parameter, value)
    assert body["detail"] == "One or more parameters to your request was invalid."
    assert body["errors"][0]["parameters"] == {parameter: [value]}


async def test_more_than_a_hundred_ids_are_refused_and_a_hundred_are_not(place: XWorld) -> None:
    token = await place.user_token(await place.person("ada"))
    client = rebased_tweepy(place.url, token)
    found = await run(client.get_spaces, ids=[f"1a{n}" for n in range(100)])
    assert len(found.errors) == 100
    with pytest.raises(tweepy.BadRequest, match="between 1 and 100"):
        await run(client.get_spaces, ids=[f"1a{n}" for n in range(101)])


async def test_tokens_of_one_list_are_not_good_for_another(place: XWorld) -> None:
    ada = await place.person("ada")
    first = await place.live(ada, title="First")
    for n in range(3):
        await place.share(ada, first, f"post {n}")
    token = await place.user_token(ada)
    page = (await ask(place, f"/2/spaces/{text(first)}/tweets?max_results=1", token)).json()
    next_token = page["meta"]["next_token"]
    elsewhere = await ask(place, f"/2/spaces/1abc/tweets?pagination_token={next_token}", token)
    assert elsewhere.status_code == 400


async def test_what_is_no_operation_is_404(place: XWorld) -> None:
    client = rebased_tweepy(place.url, await place.user_token(await place.person("ada")))
    with pytest.raises(tweepy.NotFound):
        await run(client.request, "GET", "/2/spaces/1abc/listeners")


async def test_300_in_a_quarter_of_an_hour_for_each_operation_and_person(place: XWorld) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    adas, bobs, app = await place.user_token(ada), await place.user_token(bob), await place.app_token(ada)
    async with httpx.AsyncClient(base_url=place.url, headers={"authorization": f"Bearer {adas}"}) as client:
        for n in range(300):
            answer = await client.get("/2/spaces/1abc")
            assert answer.status_code == 200
            assert answer.headers["x-rate-limit-remaining"] == str(299 - n)
            assert answer.headers["x-rate-limit-limit"] == "300"
        reset = int(answer.headers["x-rate-limit-reset"])
        assert reset == place.clock.now_ms() // 1000 + 900
    with pytest.raises(tweepy.TooManyRequests) as refused:
        await run(rebased_tweepy(place.url, adas).get_space, "1abc")
    assert refused.value.response.json()["title"] == "Too Many Requests"
    assert refused.value.reset_time == reset
    again = await place.user_token(ada)
    assert (await ask(place, "/2/spaces/1abc", again)).status_code == 429, "another token of the same person"
    for path, token in (("/2/spaces?ids=1abc", adas), ("/2/spaces/1abc", bobs), ("/2/spaces/1abc", app)):
        assert (await ask(place, path, token)).status_code == 200
    place.clock.advance(seconds=900)
    assert (await ask(place, "/2/spaces/1abc", adas)).status_code == 200


async def test_by_creator_ids_once_a_second(place: XWorld) -> None:
    token = await place.user_token(await place.person("ada"))
    path = "/2/spaces/by/creator_ids?user_ids=1"
    assert (await ask(place, path, token)).status_code == 200
    refused = await ask(place, path, token)
    assert refused.status_code == 429
    assert int(refused.headers["x-rate-limit-reset"]) == place.clock.now_ms() // 1000 + 1
    place.clock.advance(seconds=1)
    assert (await ask(place, path, token)).status_code == 200


async def test_tweepy_waits_for_the_window_and_goes_on(place: XWorld) -> None:
    """In real time, as tweepy sleeps by the machine's clock: a window of two requests in a second."""
    place.rates = XRates(Windows(SystemClock()), quarter=Window(2, 1_000))
    listener = socket.create_server(("127.0.0.1", 0))
    place.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    token = await place.user_token(await place.person("ada"))
    async with served(place, listener) as url:
        client = rebased_tweepy(url, token, wait_on_rate_limit=True)
        begun = time.monotonic()
        for _ in range(3):
            await run(client.get_space, "1abc")
        assert 0.9 < time.monotonic() - begun < 10


async def test_speaker_ids_of_everybody_who_ever_had_the_mic(place: XWorld) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    space = await place.live(ada, title="Engines")
    await place.world.enter(space, bob)
    await place.give(ada, space, c.Invite(account=bob))
    await place.give(bob, space, c.TakeMic())
    await place.give(bob, space, c.StepDown())
    token = await place.user_token(ada)
    path = f"/2/spaces/{text(space)}?space.fields=speaker_ids"
    assert (await ask(place, path, token)).json()["data"]["speaker_ids"] == [str(ada)]
    place.speaker_ids = SpeakerIds.EVER
    listener = socket.create_server(("127.0.0.1", 0))
    place.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with served(place, listener):
        assert (await ask(place, path, token)).json()["data"]["speaker_ids"] == [str(ada), str(bob)]


async def test_a_database_that_does_not_answer_is_503(place: XWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await place.user_token(await place.person("ada"))

    async def down(*_: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(place.db, "read", down)
    with pytest.raises(tweepy.TwitterServerError, match="503"):
        await run(rebased_tweepy(place.url, token).get_space, "1abc")
