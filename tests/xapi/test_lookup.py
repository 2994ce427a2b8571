"""The six operations of `spaces serve` by unmodified tweepy (both kinds) and xdk; xdk's schemas judge every answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import tweepy
import xdk.schemas
from tweepy.space import SPACE_FIELDS

from spaces_ctl.model import Ticketing
from tests.support.patience import PATIENCE_S
from tests.support.x_place import XPlace
from tests.support.xapi import rebased_async, rebased_tweepy, run, xdk_app, xdk_user

HOUR = 3_600_000
TICKETS = Ticketing(price_minor=500, currency="EUR", quantity=10)
XDK_SPACE_FIELDS = ["created_at", "ended_at", "id", "is_ticketed", "lang", "participant_count", "scheduled_start"]
XDK_SPACE_FIELDS += ["started_at", "state", "subscriber_count", "title", "updated_at"]

# tweepy's complaint that it does not know max_results, by a deprecated method of the logger; it sends it all the same.
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")


def now_ms() -> int:
    return int(time.time() * 1000)


async def test_tweepy_finds_a_live_space_with_all_fields_and_people(place: XPlace) -> None:
    ada = await place.operator("ada")
    bob, cyd = [await place.person(handle) for handle in ("bob", "cyd")]
    before = now_ms()
    space = await place.live(ada, title="Engines", topics=("math", "looms"), lang="en")
    after = now_ms()
    await place.enter(space.id, ada, bob, cyd)
    await space.invite(bob.id)
    await space.invite(cyd.id)
    await bob.client.space(space.id).take_mic()
    client = rebased_tweepy(place.url, await place.app_token(ada))

    async def found() -> Any:
        return await run(
            client.get_space, space.id, space_fields=SPACE_FIELDS, expansions=["host_ids", "speaker_ids", "creator_id"]
        )

    async with asyncio.timeout(PATIENCE_S):
        # The engine tells once a second who is there.
        while (answer := await found()).data.participant_count != 3:
            await asyncio.sleep(0.05)
    data = answer.data
    assert (data.id, data.state, data.title, data.lang) == (space.id, "live", "Engines", "en")
    assert (data.creator_id, data.host_ids) == (ada.id, [str(ada.id)])
    assert data.speaker_ids == [str(ada.id), str(bob.id)]
    assert set(data.invited_user_ids) >= {str(cyd.id)}
    assert (data.is_ticketed, data.subscriber_count) == (False, 0)
    assert sorted(data.topic_ids) == ["looms", "math"]
    assert data.scheduled_start is None
    assert before <= data.started_at.timestamp() * 1000 <= after
    assert [user.username for user in answer.includes["users"]] == [ada.handle, bob.handle]
    assert answer.errors == []


async def test_only_what_is_asked_for_is_answered(place: XPlace) -> None:
    ada = await place.person("ada")
    space = await place.live(ada, title="Engines")
    client = rebased_tweepy(place.url, await place.app_token(ada), return_type=dict)
    assert await run(client.get_space, space.id) == {"data": {"id": space.id, "state": "live"}}
    titled = await run(client.get_space, space.id, space_fields="title")
    assert titled == {"data": {"id": space.id, "state": "live", "title": "Engines"}}
    expanded = await run(client.get_space, space.id, expansions="creator_id", user_fields="protected,created_at")
    assert expanded["data"] == {"id": space.id, "state": "live", "creator_id": str(ada.id)}
    [user] = expanded["includes"]["users"]
    assert set(user) == {"id", "name", "username", "protected", "created_at"}


async def test_many_at_once_with_those_that_are_not_there(place: XPlace) -> None:
    """Lobbies, ended and canceled Spaces are not found, nor is what is no id of ours."""
    ada, bob, cyd, dan = [await place.person(handle) for handle in ("ada", "bob", "cyd", "dan")]
    live = await place.live(ada, title="Live")
    at = now_ms() + HOUR
    planned = await bob.client.spaces.create(title="Planned", scheduled_start_ms=at)
    lobby = await cyd.client.spaces.create(title="Lobby")
    over = await place.live(dan, title="Over")
    await over.end()
    canceled = await dan.client.spaces.create(title="Canceled", scheduled_start_ms=at)
    await dan.client.space(canceled.id).cancel()
    gone = [lobby.id, over.id, canceled.id, "1DXxyRYNejbKM", "0" + live.id]
    client = rebased_tweepy(place.url, await place.app_token(ada))
    found = await run(client.get_spaces, ids=[live.id, *gone, planned.id], space_fields=["scheduled_start"])
    assert [(space.id, space.state) for space in found.data] == [(live.id, "live"), (planned.id, "scheduled")]
    assert found.data[0].scheduled_start is None
    assert found.data[1].scheduled_start.timestamp() * 1000 == at
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
    single = await run(client.get_space, over.id)
    assert single.data is None
    assert [error["parameter"] for error in single.errors] == ["id"]


async def test_by_creators(place: XPlace) -> None:
    ada, bob, cyd = [await place.person(handle) for handle in ("ada", "bob", "cyd")]
    live = await place.live(ada, title="Live")
    planned = await ada.client.spaces.create(title="Planned", scheduled_start_ms=now_ms() + HOUR)
    other = await place.live(bob, title="Other")
    client = rebased_tweepy(place.url, await place.app_token(ada))
    found = await run(client.get_spaces, user_ids=[ada.id, bob.id, cyd.id, 999], expansions=["creator_id"])
    assert [space.id for space in found.data] == [other.id, planned.id, live.id]
    assert found.meta == {"result_count": 3}
    assert {user.username for user in found.includes["users"]} == {ada.handle, bob.handle}
    assert [(error["parameter"], error["resource_type"], error["value"]) for error in found.errors] == [
        ("user_ids", "user", "999")
    ]


async def test_search_by_words_and_state(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    word = place.word("engines")
    live = await place.live(ada, title=f"Steam {word} and looms")
    planned = await bob.client.spaces.create(title=f"{word.title()} of war", scheduled_start_ms=now_ms() + HOUR)
    client = rebased_tweepy(place.url, await place.app_token(ada))
    for state, expected in (
        (None, {live.id, planned.id}),
        ("all", {live.id, planned.id}),
        ("live", {live.id}),
        ("scheduled", {planned.id}),
    ):
        options = {} if state is None else {"state": state}
        found = await run(client.search_spaces, word, **options)
        assert {space.id for space in found.data} == expected
        assert found.meta["result_count"] == len(expected)
    assert len((await run(client.search_spaces, word, max_results=1)).data) == 1
    nothing = await run(client.search_spaces, "submarines")
    assert (nothing.data, nothing.meta) == (None, {"result_count": 0})


async def test_buyers_page_by_page_for_the_creator(place: XPlace) -> None:
    ada = await place.person("ada")
    people = [await place.person("buyer") for _ in range(5)]
    space = await place.live(ada, title="Paid", ticketing=TICKETS)
    await place.sell(space.id, *people)
    client = rebased_tweepy(place.url, await place.user_token(ada))
    seen: list[str] = []
    pages: Any = tweepy.Paginator(client.get_space_buyers, space.id, max_results=2, user_fields=["protected"])
    for page in await run(lambda: list(pages)):
        assert page.meta["result_count"] == len(page.data)
        assert len(page.meta.get("next_token", "x" * 16)) >= 16
        seen += [user.username for user in page.data]
    assert seen == [person.handle for person in people]
    counted = await run(client.get_space, space.id, space_fields=["is_ticketed", "subscriber_count"])
    assert (counted.data.is_ticketed, counted.data.subscriber_count) == (True, 5)


async def test_posts_newest_first_page_by_page_in_both_dialects(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    space = await place.live(ada, title="Links")
    posts = [await place.share(ada, space.id, f"post {n}") for n in range(5)]
    client = rebased_tweepy(place.url, await place.app_token(bob))
    pages: list[Any] = await run(
        list, tweepy.Paginator(client.get_space_tweets, space.id, max_results=2, expansions="author_id")
    )
    assert [[tweet.text for tweet in page.data] for page in pages] == [
        ["post 4", "post 3"],
        ["post 2", "post 1"],
        ["post 0"],
    ]
    assert pages[0].data[0].edit_history_tweet_ids == [posts[4]]
    assert pages[0].data[0].author_id == ada.id
    assert pages[0].includes["users"][0].username == ada.handle
    assert "previous_token" in pages[1].meta
    back = await run(client.get_space_tweets, space.id, max_results=2, pagination_token=pages[1].meta["previous_token"])
    assert [tweet.text for tweet in back.data] == ["post 4", "post 3"]
    token = await place.user_token(bob)
    new = await run(lambda: list(xdk_user(place.url, token).spaces.get_posts(space.id, max_results=3)))
    assert [[post.text for post in page.data] for page in new] == [["post 4", "post 3", "post 2"], ["post 1", "post 0"]]
    assert all(post.model_dump(mode="json")["edit_history_post_ids"] == [post.id] for page in new for post in page.data)


async def test_xdk_reads_all_six(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    word = place.word("engines")
    space = await place.live(ada, title=word, topics=("math",), ticketing=TICKETS)
    await place.sell(space.id, bob)
    await place.share(ada, space.id, "look")
    spaces = xdk_app(place.url, await place.app_token(ada)).spaces
    everything = {
        "space_fields": XDK_SPACE_FIELDS,
        "expansions": ["creator_id", "host_ids", "invited_user_ids", "speaker_ids", "topic_ids"],
        "user_fields": ["created_at", "name", "protected", "username", "verified", "public_metrics"],
        "topic_fields": ["description", "id", "name"],
    }
    one = await run(spaces.get_by_id, space.id, **everything)
    many = await run(spaces.get_by_ids, [space.id, "1nothing"], **everything)
    mine = await run(spaces.get_by_creator_ids, [str(ada.id), "999"], **everything)
    found = await run(spaces.search, word, state="live", max_results=10, **everything)
    own = xdk_user(place.url, await place.user_token(ada)).spaces
    [buyers] = await run(lambda: list(own.get_buyers(space.id)))
    [posts] = await run(
        lambda: list(own.get_posts(space.id, post_fields=["author_id", "created_at"], expansions=["author_id"]))
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
    assert (one.data.id, one.data.title, one.data.creator_id) == (space.id, word, str(ada.id))
    assert one.data.model_dump(mode="json")["host_ids"] == [str(ada.id)]
    assert one.includes.topics[0].model_dump(exclude_unset=True) == {
        "id": "math",
        "name": "math",
        "description": "math",
    }
    assert one.includes.users[0].username == ada.handle
    assert [each.id for each in many.data] == [space.id]
    assert len(many.errors) == len(mine.errors) == 1
    assert (found.meta.result_count, mine.meta.result_count) == (1, 1)
    assert [user.username for user in buyers.data] == [bob.handle]
    assert (posts.data[0].text, posts.includes.users[0].username) == ("look", ada.handle)


async def test_tweepys_asynchronous_client(place: XPlace) -> None:
    ada, bob = await place.person("ada"), await place.person("bob")
    word = place.word("engines")
    space = await place.live(ada, title=word, ticketing=TICKETS)
    await place.sell(space.id, bob)
    await place.share(ada, space.id, "look")
    async with rebased_async(place.url, await place.user_token(ada)) as client:
        assert (await client.get_space(space.id)).data.id == space.id
        assert len((await client.get_spaces(ids=[space.id])).data) == 1
        assert len((await client.get_spaces(user_ids=[ada.id])).data) == 1
        assert len((await client.search_spaces(word)).data) == 1
        assert [user.username for user in (await client.get_space_buyers(space.id)).data] == [bob.handle]
        assert [tweet.text for tweet in (await client.get_space_tweets(space.id)).data] == ["look"]
