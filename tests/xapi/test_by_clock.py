"""What takes a clock that is moved, a setting of its own or a database that fails: a deployment in this process."""

from __future__ import annotations

import socket
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests
import tweepy
import xdk

from spaces_ctl import commands as c
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.clock import SystemClock
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.service.xapi import SpeakerIds
from spaces_ctl.store.errors import Unavailable
from tests.support.x_place import CALLBACK, sign_in_and_allow
from tests.support.xapi import XWorld, rebased_tweepy, run, served, text


async def ask(place: XWorld, path: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=place.url, headers=headers) as client:
        return await client.get(path)


async def test_an_expired_token_is_401(clocked: XWorld) -> None:
    token = await clocked.user_token(await clocked.person("ada"))
    assert (await ask(clocked, "/2/spaces/1abc", token)).status_code == 200
    clocked.clock.advance(seconds=7_201)
    assert (await ask(clocked, "/2/spaces/1abc", token)).status_code == 401


async def test_xdk_refreshes_a_token_that_has_expired(clocked: XWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    await clocked.person("ada")
    made = await clocked.identity.oauth.apps.register(
        await clocked.person("dev"), name="Watcher", redirect_uris=[CALLBACK]
    )
    client = xdk.Client(
        base_url=clocked.url,
        authorization_base_url=clocked.url + "/i",
        client_id=made.app.client_id,
        client_secret=made.client_secret,
        redirect_uri=CALLBACK,
        scope=["space.read", "tweet.read", "users.read", "offline.access"],
    )
    back = await sign_in_and_allow(clocked.url, client.get_authorization_url(), "ada")
    await run(client.exchange_code, parse_qs(urlsplit(back.headers["location"]).query)["code"][0])
    clocked.clock.advance(seconds=7_300)
    with pytest.raises(requests.HTTPError, match="401"):
        await run(client.spaces.get_by_id, "1abc")
    token = await run(client.oauth2_auth.refresh_token)
    await run(xdk.Client(base_url=clocked.url, access_token=token["access_token"]).spaces.get_by_id, "1abc")


async def test_a_new_window_begins_after_a_quarter_of_an_hour(clocked: XWorld) -> None:
    clocked.rates = XRates(Windows(clocked.clock), quarter=Window(2, 900_000))
    listener = socket.create_server(("127.0.0.1", 0))
    clocked.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    token = await clocked.user_token(await clocked.person("ada"))
    async with served(clocked, listener):
        codes = [(await ask(clocked, "/2/spaces/1abc", token)).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        clocked.clock.advance(seconds=900)
        assert (await ask(clocked, "/2/spaces/1abc", token)).status_code == 200


async def test_by_creator_ids_once_a_second(clocked: XWorld) -> None:
    token = await clocked.user_token(await clocked.person("ada"))
    path = "/2/spaces/by/creator_ids?user_ids=1"
    assert (await ask(clocked, path, token)).status_code == 200
    refused = await ask(clocked, path, token)
    assert refused.status_code == 429
    assert int(refused.headers["x-rate-limit-reset"]) == clocked.clock.now_ms() // 1000 + 1
    clocked.clock.advance(seconds=1)
    assert (await ask(clocked, path, token)).status_code == 200


async def test_tweepy_waits_for_the_window_and_goes_on(clocked: XWorld) -> None:
    """In real time, as tweepy sleeps by the machine's clock: a window of two requests in a second."""
    clocked.rates = XRates(Windows(SystemClock()), quarter=Window(2, 1_000))
    listener = socket.create_server(("127.0.0.1", 0))
    clocked.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    token = await clocked.user_token(await clocked.person("ada"))
    async with served(clocked, listener) as url:
        client = rebased_tweepy(url, token, wait_on_rate_limit=True)
        begun = time.monotonic()
        for _ in range(3):
            await run(client.get_space, "1abc")
        assert 0.9 < time.monotonic() - begun < 10


async def test_speaker_ids_of_everybody_who_ever_had_the_mic(clocked: XWorld) -> None:
    ada, bob = await clocked.person("ada"), await clocked.person("bob")
    space = await clocked.live(ada, title="Engines")
    await clocked.world.enter(space, bob)
    await clocked.give(ada, space, c.Invite(account=bob))
    await clocked.give(bob, space, c.TakeMic())
    await clocked.give(bob, space, c.StepDown())
    token = await clocked.user_token(ada)
    path = f"/2/spaces/{text(space)}?space.fields=speaker_ids"
    assert (await ask(clocked, path, token)).json()["data"]["speaker_ids"] == [str(ada)]
    clocked.speaker_ids = SpeakerIds.EVER
    listener = socket.create_server(("127.0.0.1", 0))
    clocked.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with served(clocked, listener):
        assert (await ask(clocked, path, token)).json()["data"]["speaker_ids"] == [str(ada), str(bob)]


async def test_a_database_that_does_not_answer_is_503(clocked: XWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await clocked.user_token(await clocked.person("ada"))

    async def down(*_: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(clocked.db, "read", down)
    with pytest.raises(tweepy.TwitterServerError, match="503"):
        await run(rebased_tweepy(clocked.url, token).get_space, "1abc")
