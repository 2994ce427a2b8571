"""A third-party app of `spaces serve` from registration to revocation with xdk's own helpers; the person's browser is
httpx."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests
import tweepy
import xdk
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from tests.support.x_place import CALLBACK, XPlace, sign_in_and_allow
from tests.support.xapi import rebased_tweepy, run

SCOPES = ["space.read", "tweet.read", "users.read", "offline.access"]


async def client_for(place: XPlace, *, confidential: bool = True) -> xdk.Client:
    app = await place.app(await place.person("dev"), name="Space <b>Watcher", confidential=confidential)
    return xdk.Client(
        base_url=place.url,
        authorization_base_url=place.url + "/i",
        client_id=app.client_id,
        client_secret=app.client_secret,
        redirect_uri=CALLBACK,
        scope=SCOPES,
    )


def code_of(back: httpx.Response) -> str:
    return parse_qs(urlsplit(back.headers["location"]).query)["code"][0]


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.parametrize("confidential", [True, False])
async def test_from_consent_to_an_answer(place: XPlace, confidential: bool) -> None:
    ada = await place.person("ada")
    space = await place.live(ada, title="Mine")
    client = await client_for(place, confidential=confidential)
    back = await sign_in_and_allow(place.url, client.get_authorization_url(state="opaque"), ada.handle)
    assert back.status_code == 302
    target = urlsplit(back.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == CALLBACK
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    assert (query["state"], query["iss"]) == ("opaque", place.url)
    token = await run(client.exchange_code, query["code"])
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("bearer", 7200, " ".join(SCOPES))
    found = await run(client.spaces.get_by_id, space.id)
    assert found.data.id == space.id
    assert [page.meta.result_count for page in await run(lambda: list(client.spaces.get_buyers(space.id)))] == [0]
    seen = await run(rebased_tweepy(place.url, token["access_token"]).get_space, space.id)
    assert seen.data.id == space.id


async def test_refreshing_with_xdk_rotates_and_the_old_refresh_token_ends_it_all(place: XPlace) -> None:
    ada = await place.person("ada")
    client = await client_for(place)
    back = await sign_in_and_allow(place.url, client.get_authorization_url(), ada.handle)
    first = dict(await run(client.exchange_code, code_of(back)))
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


async def test_a_code_is_good_once_and_taking_the_permission_back_ends_its_tokens(place: XPlace) -> None:
    ada = await place.person("ada")
    client = await client_for(place)
    code = code_of(await sign_in_and_allow(place.url, client.get_authorization_url(), ada.handle))
    token = await run(client.exchange_code, code)
    reader = rebased_tweepy(place.url, token["access_token"])
    await run(reader.get_space, "1abc")
    [grant] = (await place.call(ada, "GET", "/oauth/grants"))["data"]
    await ada.client.transport.request("DELETE", f"/api/v1/oauth/grants/{grant['id']}", type(None))
    with pytest.raises(tweepy.Unauthorized):
        await run(reader.get_space, "1abc")
    with pytest.raises(Exception, match="invalid_grant"):
        await run(client.exchange_code, code)


async def test_saying_no_goes_back_with_an_error(place: XPlace) -> None:
    ada = await place.person("ada")
    client = await client_for(place)
    back = await sign_in_and_allow(place.url, client.get_authorization_url(state="opaque"), ada.handle, answer="deny")
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert (query["error"], query["state"]) == (["access_denied"], ["opaque"])
    assert "code" not in query


async def test_app_only_tokens_from_either_endpoint(place: XPlace) -> None:
    dev = await place.person("dev")
    space = await place.live(dev, title="Mine")
    app = await place.app(dev)
    async with httpx.AsyncClient(base_url=place.url, auth=(app.client_id, app.client_secret or "")) as http:
        for path in ("/oauth2/token", "/2/oauth2/token"):
            answer = await http.post(path, data={"grant_type": "client_credentials"})
            assert answer.headers["cache-control"] == "no-store"
            token = answer.json()
            assert (token["token_type"], "refresh_token" in token) == ("bearer", False)
            found = await run(rebased_tweepy(place.url, token["access_token"]).get_space, space.id)
            assert found.data.id == space.id
            revoked = await http.post("/2/oauth2/revoke", data={"token": token["access_token"]})
            assert revoked.json() == {"revoked": True}
            with pytest.raises(tweepy.Unauthorized):
                await run(rebased_tweepy(place.url, token["access_token"]).get_space, space.id)
        wrong = await http.post("/oauth2/token", data={"grant_type": "password", "username": "a", "password": "b"})
        assert (wrong.status_code, wrong.json()["error"]) == (400, "unsupported_grant_type")


async def test_clients_find_the_endpoints_by_themselves(place: XPlace) -> None:
    async with httpx.AsyncClient(base_url=place.url) as http:
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == place.url
    assert found["code_challenge_methods_supported"] == ["S256"]
    # Authlib wants https for real; ours is on loopback.
    https = {name: _https(value) for name, value in found.items()}
    AuthorizationServerMetadata(https).validate()


def _https(value: object) -> object:
    return value.replace("http://", "https://") if isinstance(value, str) else value
