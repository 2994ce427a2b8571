"""What `spaces serve` refuses, and how X's clients see it."""

from __future__ import annotations

import time

import httpx
import pytest
import requests
import tweepy

from spaces_ctl.model import Ticketing
from tests.support.x_place import XPlace
from tests.support.xapi import rebased_tweepy, run, xdk_app, xdk_user

X = "https://api.x.com/2/problems/"
OPERATIONS = (
    "/2/spaces/{id}",
    "/2/spaces?ids={id}",
    "/2/spaces/by/creator_ids?user_ids=1",
    "/2/spaces/search?query=a",
    "/2/spaces/{id}/buyers",
    "/2/spaces/{id}/tweets",
)
_tokens: dict[tuple[str, str], str] = {}


async def ask(place: XPlace, path: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=place.url, headers=headers) as client:
        return await client.get(path)


async def token_of(place: XPlace, name: str) -> str:
    """Somebody's token, made once a server: a login is slow, and an address may not log in without end."""
    if (place.url, name) not in _tokens:
        person = await place.person(name)
        token = await place.user_token(person)
        if name == "revoked":
            [grant] = (await place.call(person, "GET", "/oauth/grants"))["data"]
            await person.client.transport.request("DELETE", f"/api/v1/oauth/grants/{grant['id']}", type(None))
        _tokens[place.url, name] = token
    return _tokens[place.url, name]


@pytest.mark.parametrize("path", OPERATIONS)
async def test_no_token_or_a_wrong_one_is_401(place: XPlace, path: str) -> None:
    for token in (None, "nonsense", "spa_" + "x" * 43, await token_of(place, "revoked")):
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


async def test_clients_raise_unauthorized(place: XPlace) -> None:
    with pytest.raises(tweepy.Unauthorized, match="Unauthorized"):
        await run(rebased_tweepy(place.url, "nonsense").get_space, "1abc")
    with pytest.raises(requests.HTTPError, match="401"):
        await run(xdk_app(place.url, "nonsense").spaces.get_by_id, "1abc")


async def test_all_three_scopes_are_needed(place: XPlace) -> None:
    ada = await place.person("ada")
    for scopes in ("space.read tweet.read", "users.read tweet.read", "space.read users.read", "space.write"):
        with pytest.raises(tweepy.Forbidden, match="scope"):
            await run(rebased_tweepy(place.url, await place.user_token(ada, scopes)).get_space, "1abc")


async def test_buyers_are_for_the_creator_in_person(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=10)
    space = await place.live(ada, title="Paid", ticketing=ticketing)
    await place.sell(space.id, bob)
    with pytest.raises(tweepy.Forbidden, match="Application-Only") as refused:
        await run(rebased_tweepy(place.url, await place.app_token(ada)).get_space_buyers, space.id)
    assert refused.value.response.json()["type"] == X + "unsupported-authentication"
    bobs = await place.user_token(bob)
    with pytest.raises(tweepy.Forbidden) as refused:
        await run(rebased_tweepy(place.url, bobs).get_space_buyers, space.id)
    assert refused.value.response.json()["type"] == X + "not-authorized-for-resource"
    with pytest.raises(requests.HTTPError, match="403"):
        await run(lambda: list(xdk_user(place.url, bobs).spaces.get_buyers(space.id)))
    adas = await place.user_token(ada)
    await space.end()
    answer = (await ask(place, f"/2/spaces/{space.id}/buyers", adas)).json()
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
async def test_a_parameter_that_cannot_be_is_named(place: XPlace, path: str, parameter: str, value: str) -> None:
    # One may ask by creators once a second: two of these are two people's.
    answer = await ask(place, path, await token_of(place, "bob" if value == "ada" else "ada"))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["title"]) == (X + "invalid-request", "Invalid Request")
    assert (body["parameter"], body["value"]) == (parameter, value)
    assert body["detail"] == "One or more parameters to your request was invalid."
    assert body["errors"][0]["parameters"] == {parameter: [value]}


async def test_more_than_a_hundred_ids_are_refused_and_a_hundred_are_not(place: XPlace) -> None:
    client = rebased_tweepy(place.url, await token_of(place, "ada"))
    found = await run(client.get_spaces, ids=[f"1a{n}" for n in range(100)])
    assert len(found.errors) == 100
    with pytest.raises(tweepy.BadRequest, match="between 1 and 100"):
        await run(client.get_spaces, ids=[f"1a{n}" for n in range(101)])


async def test_tokens_of_one_list_are_not_good_for_another(place: XPlace) -> None:
    ada = await place.person("ada")
    first = await place.live(ada, title="First")
    for n in range(3):
        await place.share(ada, first.id, f"post {n}")
    token = await place.user_token(ada)
    page = (await ask(place, f"/2/spaces/{first.id}/tweets?max_results=1", token)).json()
    next_token = page["meta"]["next_token"]
    elsewhere = await ask(place, f"/2/spaces/1abc/tweets?pagination_token={next_token}", token)
    assert elsewhere.status_code == 400


async def test_what_is_no_operation_is_404(place: XPlace) -> None:
    client = rebased_tweepy(place.url, await token_of(place, "ada"))
    with pytest.raises(tweepy.NotFound):
        await run(client.request, "GET", "/2/spaces/1abc/listeners")


async def test_300_in_a_quarter_of_an_hour_for_each_operation_and_person(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    adas, bobs, app = await place.user_token(ada), await place.user_token(bob), await place.app_token(ada)
    begun = int(time.time())
    async with httpx.AsyncClient(base_url=place.url, headers={"authorization": f"Bearer {adas}"}) as client:
        for n in range(300):
            answer = await client.get("/2/spaces/1abc")
            assert answer.status_code == 200
            assert answer.headers["x-rate-limit-remaining"] == str(299 - n)
            assert answer.headers["x-rate-limit-limit"] == "300"
        reset = int(answer.headers["x-rate-limit-reset"])
        assert begun + 900 <= reset <= time.time() + 901  # whole seconds, rounded up
    with pytest.raises(tweepy.TooManyRequests) as refused:
        await run(rebased_tweepy(place.url, adas).get_space, "1abc")
    assert refused.value.response.json()["title"] == "Too Many Requests"
    assert refused.value.reset_time == reset
    again = await place.user_token(ada)
    assert (await ask(place, "/2/spaces/1abc", again)).status_code == 429, "another token of the same person"
    for path, token in (("/2/spaces?ids=1abc", adas), ("/2/spaces/1abc", bobs), ("/2/spaces/1abc", app)):
        assert (await ask(place, path, token)).status_code == 200


async def test_speaker_ids_of_everybody_who_has_the_mic_now(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    space = await place.live(ada, title="Engines")
    await place.enter(space.id, bob)
    await space.invite(bob.id)
    theirs = bob.client.space(space.id)
    await theirs.take_mic()
    path, token = f"/2/spaces/{space.id}?space.fields=speaker_ids", await token_of(place, "ada")
    assert (await ask(place, path, token)).json()["data"]["speaker_ids"] == [str(ada.id), str(bob.id)]
    await theirs.step_down()
    assert (await ask(place, path, token)).json()["data"]["speaker_ids"] == [str(ada.id)]
