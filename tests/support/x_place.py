"""People, Spaces, posts, tickets and apps on a real server, made as their owners make them: by the typed client, by the
pages and by `spaces`. For the suites of X's own clients."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from spaces_ctl.client import SpacesClient
from spaces_ctl.client.executing import API
from spaces_ctl.client.space import Space
from spaces_ctl.engine import Listener
from tests.support.real_server import RealServer

__all__ = ["ALL", "CALLBACK", "App", "Person", "XPlace", "browse", "hidden", "sign_in_and_allow"]

ALL = "space.read tweet.read users.read offline.access"
CALLBACK = "http://127.0.0.1:9/callback"
PASSWORD = "correct horse"
_numbers = itertools.count(1)


class Person(NamedTuple):
    """Somebody with an account, logged in."""

    id: int
    handle: str
    client: SpacesClient


class App(NamedTuple):
    """A registered app."""

    client_id: str
    client_secret: str | None


class XPlace:
    """What the tests ask of the deployment. Names are made unique, as one server serves many tests."""

    def __init__(self, server: RealServer, stack: AsyncExitStack) -> None:
        self.server = server
        self.url = server.url
        self._stack = stack
        self._app: App | None = None

    def word(self, like: str) -> str:
        """One that nobody else has used."""
        return f"{like}{next(_numbers)}"

    async def person(self, handle: str) -> Person:
        handle = self.word(handle)
        client = await self._stack.enter_async_context(SpacesClient(self.url))
        login = await client.register(handle, PASSWORD, name=handle.title())
        return Person(login.account.id, handle, client)

    async def operator(self, handle: str) -> Person:
        """An account that was made on the server's machine."""
        handle = self.word(handle)
        made = self.server.command("account", "create", handle, "--json")
        minted = self.server.command("token", "mint", handle, "--json")
        assert (made.code, minted.code) == (0, 0), made.err + minted.err
        client = await self._stack.enter_async_context(SpacesClient(self.url, token=minted.json["token"]))
        return Person(int(made.json["id"]), handle, client)

    async def live(self, creator: Person, **create: Any) -> Space:
        made = await creator.client.spaces.create(**create)
        space = creator.client.space(made.id)
        await space.start()
        return space

    async def enter(self, space: str, *people: Person) -> None:
        """They listen, by name, until the test ends."""
        for person in people:
            admission = await person.client.space(space).join()
            pin = bytes.fromhex(admission.certificate_sha256 or "")
            listener = Listener(admission.urls[0], token=admission.token, certificate_sha256=pin)
            await self._stack.enter_async_context(listener)

    async def sell(self, space: str, *buyers: Person) -> None:
        """Each pays on the provider's page."""
        for buyer in buyers:
            order = await self.call(buyer, "POST", f"/spaces/{space}/tickets/checkout")
            async with httpx.AsyncClient() as browser:
                paid = await browser.post(order["url"], data={"outcome": "paid"})
            assert paid.status_code == 303, paid.text

    async def share(self, person: Person, space: str, text: str) -> int:
        post = int((await self.call(person, "POST", "/posts", {"text": text}))["id"])
        await person.client.space(space).share_post(post)
        return post

    async def call(self, person: Person, method: str, path: str, body: object = None) -> Any:
        """What the typed client has no method for."""
        return await person.client.transport.request(method, API + path, dict[str, Any], body=body)

    async def app(self, owner: Person, **more: Any) -> App:
        made = await self.call(owner, "POST", "/oauth/apps", {"name": "Bot", "redirect_uris": [CALLBACK], **more})
        return App(made["client_id"], made.get("client_secret"))

    async def app_token(self, owner: Person) -> str:
        """An app-only bearer token."""
        return str((await self._token(await self.app(owner), {"grant_type": "client_credentials"}))["access_token"])

    async def user_token(self, person: Person, scopes: str = ALL) -> str:
        """A person's token for an app, by PKCE; the browser is signed in already."""
        if self._app is None:
            self._app = await self.app(await self.person("dev"))
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._app.client_id,
            "redirect_uri": CALLBACK,
            "scope": scopes,
            "state": "s",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        async with browse(self.url, token=person.client.transport.token) as browser:
            consent = await browser.get(f"/i/oauth2/authorize?{urlencode(query)}")
            assert consent.status_code == 200, consent.text
            back = await browser.post("/i/oauth2/authorize", data={**hidden(consent), "answer": "allow"})
            assert back.status_code == 302, back.text
        code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
        return str((await self._token(self._app, form))["access_token"])

    async def _token(self, app: App, form: dict[str, str]) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.url, auth=(app.client_id, app.client_secret or "")) as http:
            answer = await http.post("/2/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def browse(url: str, *, token: str | None = None) -> httpx.AsyncClient:
    """A browser on our pages; with a session's token it is signed in."""
    headers = {"origin": url, "sec-fetch-site": "same-origin"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return httpx.AsyncClient(base_url=url, headers=headers)


def hidden(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's form."""
    return dict(_fields(page.text))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', text):
        yield unescape(name), unescape(value)


async def sign_in_and_allow(
    place: str, url: str, name: str, *, password: str = PASSWORD, answer: str = "allow"
) -> httpx.Response:
    """What a person does in a browser: follows the link, signs in, answers. Returns the last redirect."""
    async with browse(place) as browser:
        page = await browser.get(url)
        assert page.status_code == 200, page.text
        assert 'action="/i/login"' in page.text
        signed_in = await browser.post("/i/login", data={**hidden(page), "name": name, "password": password})
        assert signed_in.status_code == 303, signed_in.text
        consent = await browser.get(signed_in.headers["location"])
        assert "wants to access your account" in consent.text
        return await browser.post("/i/oauth2/authorize", data={**hidden(consent), "answer": answer})
