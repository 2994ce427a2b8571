"""A third-party app from registration to revocation with xdk's own helpers; the person's browser is httpx."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests
import tweepy
import xdk
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from tests.support.xapi import XWorld, rebased_tweepy, run, text

CALLBACK = "http://127.0.0.1:9/callback"
SCOPES = ["space.read", "tweet.read", "users.read", "offline.access"]


def hidden(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's form."""
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    return {unescape(name): unescape(value) for name, value in fields}


async def sign_in_and_allow(place: XWorld, url: str, answer: str = "allow") -> httpx.Response:
    """What a person does in a browser: follows the link, signs in, answers. Returns the last redirect."""
    headers = {"origin": place.url, "sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=place.url) as browser:
        page = await browser.get(url)
        assert page.status_code == 200, page.text
        assert 'action="/i/login"' in page.text
        login = {**hidden(page), "name": "ada", "password": "correct horse"}
        signed_in = await browser.post("/i/login", data=login, headers=headers)
        assert signed_in.status_code == 303
        consent = await browser.get(signed_in.headers["location"])
        assert "wants to access your account" in consent.text
        return await browser.post("/i/oauth2/authorize", data={**hidden(consent), "answer": answer}, headers=headers)


async def client_for(place: XWorld, *, confidential: bool = True) -> xdk.Client:
    owner = await place.person("dev")
    made = await place.identity.oauth.apps.register(
        owner, name="Space <b>Watcher", redirect_uris=[CALLBACK], confidential=confidential
    )
    return xdk.Client(
        base_url=place.url,
        authorization_base_url=place.url + "/i",
        client_id=made.app.client_id,
        client_secret=made.client_secret,
        redirect_uri=CALLBACK,
        scope=SCOPES,
    )


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.parametrize("confidential", [True, False])
async def test_from_consent_to_an_answer(place: XWorld, confidential: bool) -> None:
    ada = await place.person("ada")
    space = await place.live(ada, title="Mine")
    client = await client_for(place, confidential=confidential)
    url = client.get_authorization_url(state="opaque")
    back = await sign_in_and_allow(place, url)
    assert back.status_code == 302
    target = urlsplit(back.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == CALLBACK
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    assert (query["state"], query["iss"]) == ("opaque", place.url)
    token = await run(client.exchange_code, query["code"])
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("bearer", 7200, " ".join(SCOPES))
    found = await run(client.spaces.get_by_id, text(space))
    assert found.data.id == text(space)
    assert [page.meta.result_count for page in await run(lambda: list(client.spaces.get_buyers(text(space))))] == [0]
    seen = await run(rebased_tweepy(place.url, token["access_token"]).get_space, text(space))
    assert seen.data.id == text(space)


async def test_refreshing_with_xdk_rotates_and_the_old_refresh_token_ends_it_all(place: XWorld) -> None:
    await place.person("ada")
    client = await client_for(place)
    back = await sign_in_and_allow(place, client.get_authorization_url())
    first = dict(await run(client.exchange_code, parse_qs(urlsplit(back.headers["location"]).query)["code"][0]))
    place.clock.advance(seconds=7_300)
    with pytest.raises(requests.HTTPError, match="401"):
        await run(client.spaces.get_by_id, "1abc")
    auth = client.oauth2_auth
    second = dict(await run(auth.refresh_token))
    assert second["refresh_token"] != first["refresh_token"]
    fresh = xdk.Client(base_url=place.url, access_token=second["access_token"])
    await run(fresh.spaces.get_by_id, "1abc")
    auth.token = first
    auth._setup_oauth_session()
    with pytest.raises(Exception, match="invalid_grant"):
        await run(auth.refresh_token)
    with pytest.raises(requests.HTTPError, match="401"):
        await run(fresh.spaces.get_by_id, "1abc")  # the thief's or the app's: nobody's


async def test_saying_no_goes_back_with_an_error(place: XWorld) -> None:
    await place.person("ada")
    client = await client_for(place)
    back = await sign_in_and_allow(place, client.get_authorization_url(state="opaque"), answer="deny")
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert (query["error"], query["state"]) == (["access_denied"], ["opaque"])
    assert "code" not in query


async def test_app_only_tokens_from_either_endpoint(place: XWorld) -> None:
    dev = await place.person("dev")
    space = await place.live(dev, title="Mine")
    made = await place.identity.oauth.apps.register(dev, name="Bot", redirect_uris=[CALLBACK])
    async with httpx.AsyncClient(base_url=place.url, auth=(made.app.client_id, made.client_secret or "")) as http:
        for path in ("/oauth2/token", "/2/oauth2/token"):
            answer = await http.post(path, data={"grant_type": "client_credentials"})
            assert answer.headers["cache-control"] == "no-store"
            token = answer.json()
            assert (token["token_type"], "refresh_token" in token) == ("bearer", False)
            found = await run(rebased_tweepy(place.url, token["access_token"]).get_space, text(space))
            assert found.data.id == text(space)
            revoked = await http.post("/2/oauth2/revoke", data={"token": token["access_token"]})
            assert revoked.json() == {"revoked": True}
            with pytest.raises(tweepy.Unauthorized):
                await run(rebased_tweepy(place.url, token["access_token"]).get_space, text(space))
        wrong = await http.post("/oauth2/token", data={"grant_type": "password", "username": "a", "password": "b"})
        assert (wrong.status_code, wrong.json()["error"]) == (400, "unsupported_grant_type")


async def test_clients_find_the_endpoints_by_themselves(place: XWorld) -> None:
    async with httpx.AsyncClient(base_url=place.url) as http:
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == place.url
    assert found["code_challenge_methods_supported"] == ["S256"]
    # Authlib wants https for real; ours is on loopback.
    https = {name: _https(value) for name, value in found.items()}
    AuthorizationServerMetadata(https).validate()


def _https(value: object) -> object:
    return value.replace("http://", "https://") if isinstance(value, str) else value
