"""The six operations through unmodified tweepy (both kinds) and xdk; xdk's schemas judge every answer."""

from __future__ import annotations

from typing import Any

import pytest
import tweepy
import xdk.schemas
from tweepy.space import SPACE_FIELDS

from spaces_ctl import commands as c
from spaces_ctl.model import Ticketing
from tests.support.xapi import XWorld, rebased_async, rebased_tweepy, run, text, xdk_app, xdk_user

HOUR = 3_600_000
XDK_SPACE_FIELDS = ["created_at", "ended_at", "id", "is_ticketed", "lang", "participant_count", "scheduled_start"]
XDK_SPACE_FIELDS += ["started_at", "state", "subscriber_count", "title", "updated_at"]

# tweepy's complaint that it does not know max_results, by a deprecated method of the logger; it sends it all the same.
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")


async def test_tweepy_finds_a_live_space_with_all_fields_and_people(place: XWorld) -> None:
    ada, bob, cyd = [await place.person(handle) for handle in ("ada", "bob", "cyd")]
    space = await place.live(ada, title="Engines", topics=("math", "looms"), lang="en")
    await place.world.enter(space, bob, cyd)
    await place.give(ada, space, c.Invite(account=bob))
    await place.give(ada, space, c.Invite(account=cyd))
    await place.give(bob, space, c.TakeMic())
    await place.count(space)
    client = rebased_tweepy(place.url, await place.app_token(ada))
    found = await run(
        client.get_space, text(space), space_fields=SPACE_FIELDS, expansions=["host_ids", "speaker_ids", "creator_id"]
    )
    data = found.data
    assert (data.id, data.state, data.title, data.lang) == (text(space), "live", "Engines", "en")
    assert (data.creator_id, data.host_ids) == (ada, [str(ada)])
    assert data.speaker_ids == [str(ada), str(bob)]
    assert set(data.invited_user_ids) >= {str(cyd)}
    assert (data.is_ticketed, data.subscriber_count, data.participant_count) == (False, 0, 3)
    assert sorted(data.topic_ids) == ["looms", "math"]
    assert data.scheduled_start is None
    assert data.started_at.timestamp() * 1000 == place.clock.now_ms()
    assert [user.username for user in found.includes["users"]] == ["ada", "bob"]
    assert found.errors == []


async def test_only_what_is_asked_for_is_answered(place: XWorld) -> None:
    ada = await place.person("ada")
    space = await place.live(ada, title="Engines")
    client = rebased_tweepy(place.url, await place.app_token(ada), return_type=dict)
    assert await run(client.get_space, text(space)) == {"data": {"id": text(space), "state": "live"}}
    titled = await run(client.get_space, text(space), space_fields="title")
    assert titled == {"data": {"id": text(space), "state": "live", "title": "Engines"}}
    expanded = await run(client.get_space, text(space), expansions="creator_id", user_fields="protected,created_at")
    assert expanded["data"] == {"id": text(space), "state": "live", "creator_id": str(ada)}
    [user] = expanded["includes"]["users"]
    assert set(user) == {"id", "name", "username", "protected", "created_at"}


async def test_many_at_once_with_those_that_are_not_there(place: XWorld) -> None:
    """Lobbies, ended and canceled Spaces are not found, nor is what is no id of ours."""
    ada, bob, cyd, dan = [await place.person(handle) for handle in ("ada", "bob", "cyd", "dan")]
    live = await place.live(ada, title="Live")
    planned = await place.space(bob, title="Planned", scheduled_start_ms=place.clock.now_ms() + HOUR)
    lobby = await place.space(cyd, title="Lobby")
    over = await place.live(dan, title="Over")
    await place.give(dan, over, c.End())
    canceled = await place.space(dan, title="Canceled", scheduled_start_ms=place.clock.now_ms() + HOUR)
    await place.give(dan, canceled, c.Cancel())
    gone = [text(lobby), text(over), text(canceled), "1DXxyRYNejbKM", "0" + text(live)]
    client = rebased_tweepy(place.url, await place.app_token(ada))
    found = await run(client.get_spaces, ids=[text(live), *gone, text(planned)], space_fields=["scheduled_start"])
    assert [(space.id, space.state) for space in found.data] == [(text(live), "live"), (text(planned), "scheduled")]
    assert found.data[0].scheduled_start is None
    assert found.data[1].scheduled_start.timestamp() * 1000 == place.clock.now_ms() + HOUR
    assert found.errors[0] == {
        "value": gone[0],
        "detail": f"Could not find space with ids: [{gone[0]}].",
        "title": "Not Found Error",
        "resource_type": "space",
        "parameter": "ids",
        "resource_id": gone[0],
        "type": "https://api.x.com/2/problems/resource-not-found",
    }
    assert [error["value"] for error in found.errors] == gone
    single = await run(client.get_space, text(over))
    assert single.data is None
    assert [error["parameter"] for error in single.errors] == ["id"]


async def test_by_creators(place: XWorld) -> None:
    ada, bob, cyd = [await place.person(handle) for handle in ("ada", "bob", "cyd")]
    live = await place.live(ada, title="Live")
    planned = await place.space(ada, title="Planned", scheduled_start_ms=place.clock.now_ms() + HOUR)
    other = await place.live(bob, title="Other")
    client = rebased_tweepy(place.url, await place.app_token(ada))
    found = await run(client.get_spaces, user_ids=[ada, bob, cyd, 999], expansions=["creator_id"])
    assert [space.id for space in found.data] == [text(other), text(planned), text(live)]
    assert found.meta == {"result_count": 3}
    assert {user.username for user in found.includes["users"]} == {"ada", "bob"}
    assert [(error["parameter"], error["resource_type"], error["value"]) for error in found.errors] == [
        ("user_ids", "user", "999")
    ]


async def test_search_by_words_and_state(place: XWorld) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    live = await place.live(ada, title="Steam engines and looms")
    planned = await place.space(bob, title="Engines of war", scheduled_start_ms=place.clock.now_ms() + HOUR)
    client = rebased_tweepy(place.url, await place.app_token(ada))
    for state, expected in (
        (None, {live, planned}),
        ("all", {live, planned}),
        ("live", {live}),
        ("scheduled", {planned}),
    ):
        options = {} if state is None else {"state": state}
        found = await run(client.search_spaces, "engines", **options)
        assert {space.id for space in found.data} == {text(space) for space in expected}
        assert found.meta["result_count"] == len(expected)
    assert len((await run(client.search_spaces, "engines", max_results=1)).data) == 1
    nothing = await run(client.search_spaces, "submarines")
    assert (nothing.data, nothing.meta) == (None, {"result_count": 0})


async def test_buyers_page_by_page_for_the_creator(place: XWorld) -> None:
    ada = await place.person("ada")
    people = [await place.person(f"buyer{n}") for n in range(5)]
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=10)
    space = await place.live(ada, title="Paid", ticketing=ticketing)
    await place.sell(space, *people)
    client = rebased_tweepy(place.url, await place.user_token(ada))
    seen: list[str] = []
    pages: Any = tweepy.Paginator(client.get_space_buyers, text(space), max_results=2, user_fields=["protected"])
    for page in await run(lambda: list(pages)):
        assert page.meta["result_count"] == len(page.data)
        assert len(page.meta.get("next_token", "x" * 16)) >= 16
        seen += [user.username for user in page.data]
    assert seen == [f"buyer{n}" for n in range(5)]
    counted = await run(client.get_space, text(space), space_fields=["is_ticketed", "subscriber_count"])
    assert (counted.data.is_ticketed, counted.data.subscriber_count) == (True, 5)


async def test_posts_newest_first_page_by_page_in_both_dialects(place: XWorld) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    space = await place.live(ada, title="Links")
    posts = [await place.share(ada, space, f"post {n}") for n in range(5)]
    client = rebased_tweepy(place.url, await place.app_token(bob))
    pages: list[Any] = await run(
        list, tweepy.Paginator(client.get_space_tweets, text(space), max_results=2, expansions="author_id")
    )
    assert [[tweet.text for tweet in page.data] for page in pages] == [
        ["post 4", "post 3"],
        ["post 2", "post 1"],
        ["post 0"],
    ]
    assert pages[0].data[0].edit_history_tweet_ids == [posts[4]]
    assert pages[0].data[0].author_id == ada
    assert pages[0].includes["users"][0].username == "ada"
    assert "previous_token" in pages[1].meta
    back = await run(
        client.get_space_tweets, text(space), max_results=2, pagination_token=pages[1].meta["previous_token"]
    )
    assert [tweet.text for tweet in back.data] == ["post 4", "post 3"]
    token = await place.user_token(bob)
    new = await run(lambda: list(xdk_user(place.url, token).spaces.get_posts(text(space), max_results=3)))
    assert [[post.text for post in page.data] for page in new] == [["post 4", "post 3", "post 2"], ["post 1", "post 0"]]
    assert all(post.model_dump(mode="json")["edit_history_post_ids"] == [post.id] for page in new for post in page.data)


async def test_xdk_reads_all_six(place: XWorld) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=10)
    space = await place.live(ada, title="Engines", topics=("math",), ticketing=ticketing)
    await place.sell(space, bob)
    await place.share(ada, space, "look")
    spaces = xdk_app(place.url, await place.app_token(ada)).spaces
    everything = {
        "space_fields": XDK_SPACE_FIELDS,
        "expansions": ["creator_id", "host_ids", "invited_user_ids", "speaker_ids", "topic_ids"],
        "user_fields": ["created_at", "name", "protected", "username", "verified", "public_metrics"],
        "topic_fields": ["description", "id", "name"],
    }
    one = await run(spaces.get_by_id, text(space), **everything)
    many = await run(spaces.get_by_ids, [text(space), "1nothing"], **everything)
    mine = await run(spaces.get_by_creator_ids, [str(ada), "999"], **everything)
    found = await run(spaces.search, "engines", state="live", max_results=10, **everything)
    own = xdk_user(place.url, await place.user_token(ada)).spaces
    [buyers] = await run(lambda: list(own.get_buyers(text(space))))
    [posts] = await run(
        lambda: list(own.get_posts(text(space), post_fields=["author_id", "created_at"], expansions=["author_id"]))
    )
    # One that reads leniently proves little: what it wrote is judged again.
    schemas = xdk.schemas
    for answer, schema in (
        (one, schemas.GetSpacesByIdResponse),
        (many, schemas.GetSpacesByIdsResponse),
        (mine, schemas.GetSpacesByCreatorIdsResponse),
        (found, schemas.SearchSpacesResponse),
        (buyers, schemas.GetSpacesBuyersResponse),
        (posts, schemas.GetSpacesPostsResponse),
    ):
        assert isinstance(answer, schema)
        schema.model_validate(answer.model_dump(mode="json", exclude_unset=True))
    assert (one.data.id, one.data.title, one.data.creator_id) == (text(space), "Engines", str(ada))
    assert one.data.model_dump(mode="json")["host_ids"] == [str(ada)]
    assert one.includes.topics[0].model_dump(exclude_unset=True) == {
        "id": "math",
        "name": "math",
        "description": "math",
    }
    assert one.includes.users[0].username == "ada"
    assert [space.id for space in many.data] == [text(space)]
    assert len(many.errors) == len(mine.errors) == 1
    assert (found.meta.result_count, mine.meta.result_count) == (1, 1)
    assert [user.username for user in buyers.data] == ["bob"]
    assert (posts.data[0].text, posts.includes.users[0].username) == ("look", "ada")


async def test_tweepys_asynchronous_client(place: XWorld) -> None:
    ada = await place.person("ada")
    ticketing = Ticketing(price_minor=500, currency="EUR", quantity=10)
    space = await place.live(ada, title="Engines", ticketing=ticketing)
    await place.sell(space, await place.person("bob"))
    await place.share(ada, space, "look")
    async with rebased_async(place.url, await place.user_token(ada)) as client:
        assert (await client.get_space(text(space))).data.id == text(space)
        assert len((await client.get_spaces(ids=[text(space)])).data) == 1
        assert len((await client.get_spaces(user_ids=[ada])).data) == 1
        assert len((await client.search_spaces("engines")).data) == 1
        assert [user.username for user in (await client.get_space_buyers(text(space))).data] == ["bob"]
        assert [tweet.text for tweet in (await client.get_space_tweets(text(space))).data] == ["look"]
