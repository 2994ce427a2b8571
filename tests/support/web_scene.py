"""People and Spaces on a development server, as the web app's views want something to show; and the views.

Made through the API, as other people's programs would, and by native clients who talk: the host and Sam on the live
Space for as long as it is looked at, Cora and Sam on one that is over and has a replay and a clip.
"""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo import speech
from spaces_ctl.engine import Speaker
from tests.support.dev_server import DevServer
from tests.support.patience import PATIENCE_S
from tests.support.rooms import GONE
from tests.support.watching import Watcher, listener, speaker

__all__ = ["View", "a_scene", "views"]

TALK_S = 8.0


class View(NamedTuple):
    """An address of the app and who looks at it (None: a guest)."""

    name: str
    path: str
    who: str | None = "host"
    press: str | None = None
    """A button that leads to it."""


class _Api:
    def __init__(self, server: DevServer, http: httpx.Client) -> None:
        self._server = server
        self._http = http

    def __call__(self, who: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {self._server.tokens[who]}"}
        answer = self._http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def a_scene(server: DevServer) -> Iterator[dict[str, str]]:
    """Ids by name: `live`, `scheduled`, `ended`, `recorded` (Spaces), `community`, `post`, `case`. They talk until its
    end.
    """
    with httpx.Client(base_url=f"{server.url}/api/v1", timeout=PATIENCE_S) as http:
        scene = _people_and_spaces(_Api(server, http), server.ids)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stage = AsyncExitStack()
    try:
        asyncio.run_coroutine_threadsafe(_talk(server, scene, stage), loop).result()
        with httpx.Client(base_url=f"{server.url}/api/v1", timeout=PATIENCE_S) as http:
            scene |= _moderation(_Api(server, http), server.ids, scene)
        yield scene
    finally:
        asyncio.run_coroutine_threadsafe(stage.aclose(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _talk(server: DevServer, scene: dict[str, str], stage: AsyncExitStack) -> None:
    voices = speech.voices(2)
    clients = {}
    for who in ("host", "cohost", "sam", "lee"):
        clients[who] = await stage.enter_async_context(SpacesClient(server.url, token=server.tokens[who]))
    over = scene["recorded"]
    async with AsyncExitStack() as stack, Watcher(clients["lee"], over) as watcher:
        await stack.enter_async_context(listener(await clients["lee"].space(over).join()))
        for who, voice in zip(("cohost", "sam"), voices, strict=True):
            await stack.enter_async_context(_speaking(clients[who], over, voice, takes_mic=who == "sam"))
        await asyncio.sleep(TALK_S)
        await clients["lee"].space(over).clip(end_ms=int(TALK_S * 1_000), length_ms=6_000, comment="This, exactly.")
        await clients["cohost"].space(over).end()
        await watcher.sees("replay_ready")
    for who, voice in zip(("host", "sam"), voices, strict=True):
        await stage.enter_async_context(_speaking(clients[who], scene["live"], voice, takes_mic=who == "sam"))
    await stage.enter_async_context(listener(await clients["cohost"].space(scene["live"]).join()))


@asynccontextmanager
async def _speaking(client: SpacesClient, space: str, voice: speech.Voice, *, takes_mic: bool) -> AsyncIterator[None]:
    room = client.space(space)
    if takes_mic:
        async with listener(await room.join()):
            await room.take_mic()
    async with speaker(await room.join()) as mouth:
        await room.unmute()
        task = asyncio.create_task(_say(mouth, voice))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _say(mouth: Speaker, voice: speech.Voice) -> None:
    samples = array("h", voice.samples.tobytes())
    with suppress(*GONE):
        while True:
            await mouth.speak_pcm(samples)


def _people_and_spaces(api: _Api, ids: dict[str, int]) -> dict[str, str]:
    api("host", "PATCH", "/me", {"description": "I host the tea hour. Every day at five."})
    for who in ("host", "sam"):
        api(who, "PUT", f"/me/following/{ids['sue']}")
    api("sue", "PUT", f"/me/following/{ids['cohost']}")
    live = api(
        "host",
        "POST",
        "/spaces",
        {"title": "Tea at five: what shall we read next?", "description": "Bring a book.", "topics": ["music"]},
    )["id"]
    api("host", "POST", f"/spaces/{live}/start")
    api("host", "PUT", f"/spaces/{live}/settings/speak", {"speak": "everyone"})
    for who in ("sam", "sue"):
        api("host", "PUT", f"/spaces/{live}/invites/{ids[who]}", {})
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    scheduled = api("cohost", "POST", "/spaces", {"title": "The week in film", "scheduled_start": at})["id"]
    api("sue", "PUT", f"/spaces/{scheduled}/reminder")
    ended = api("sue", "POST", "/spaces", {"title": "Yesterday's news"})["id"]
    api("sue", "POST", f"/spaces/{ended}/start")
    api("sue", "POST", f"/spaces/{ended}/end")
    api("sam", "POST", f"/accounts/{ids['host']}/messages", {"space": live, "text": "Shall I bring a cake?"})
    api("host", "PUT", f"/me/blocks/{ids['mo']}")
    api("host", "PUT", f"/me/mutes/{ids['lee']}")
    api("host", "PUT", f"/spaces/{live}/settings/mic-access", {"open": True})
    poll = {"question": "What goes with tea?", "options": ["Milk", "Lemon", "Nothing at all"]}
    api("host", "POST", f"/spaces/{live}/polls", poll)
    recorded = api(
        "cohost", "POST", "/spaces", {"title": "What makes a voice carry", "record": True, "speak": "everyone"}
    )["id"]
    api("cohost", "POST", f"/spaces/{recorded}/start")
    api("cohost", "PUT", f"/spaces/{recorded}/settings/mic-access", {"open": True})
    community = api("sue", "POST", "/communities", {"name": "Readers", "handle": "readers"})["id"]
    post = api("sam", "POST", "/posts", {"text": "What I read this week."})["id"]
    return {
        "live": live,
        "scheduled": scheduled,
        "ended": ended,
        "recorded": recorded,
        "community": community,
        "post": post,
    }


def _moderation(api: _Api, ids: dict[str, int], scene: dict[str, str]) -> dict[str, str]:
    """Reports of each kind and state, a ban, appeals: what moderators see on a day that is not quiet."""

    def report(who: str, where: str, reason: str, detail: str) -> None:
        api(who, "POST", f"/spaces/{where}/reports", {"reason": reason, "detail": detail})

    live, recorded, ended = scene["live"], scene["recorded"], scene["ended"]
    [clip] = api("lee", "GET", f"/spaces/{recorded}/clips")["data"]
    report("lee", f"{recorded}/people/{ids['sam']}", "abuse", "He called the guest a liar, twice, and would not stop.")
    report("cohost", f"{recorded}/people/{ids['sam']}", "abuse", "")
    report("lee", f"{recorded}/clips/{clip['clip']}", "private_information", "That is my street and my number.")
    report("cohost", live, "spam", "The link that is pinned sells something.")
    report("lee", ended, "hate", "From about five minutes in.")
    cases = _cases(api, 4)
    found = {one["kind"]: one["id"] for one in cases if one["space"] != ended}
    [heard] = [one["id"] for one in cases if one["space"] == ended]
    api("mo", "POST", f"/moderation/cases/{heard}/claim")
    api(
        "mo",
        "POST",
        f"/moderation/cases/{heard}/resolve",
        {"outcome": "dismissed", "why": "It was a quote from the book they read."},
    )
    api("mo", "POST", f"/moderation/cases/{found['clip']}/claim")
    api("mo", "PUT", f"/moderation/bans/{ids['lee']}", {"reason": "Reports that were made up."})
    api("lee", "POST", "/appeals", {"text": "I reported what I heard. Please listen to it before you ban anybody."})
    return {"case": found["account"], "case_claimed": found["clip"]}


def _cases(api: _Api, count: int) -> list[dict[str, Any]]:
    """Reports become cases a moment after they are made."""
    until = time.monotonic() + PATIENCE_S
    while len(cases := api("mo", "GET", "/moderation/cases")["data"]) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{count} cases were expected: {cases}")
        time.sleep(0.1)
    return list(cases)


def views(scene: dict[str, str]) -> list[View]:
    """Every main view, once."""
    return [
        View("home", "/"),
        View("home-guest", "/", None),
        View("search", "/search?q=tea"),
        View("space-live", f"/s/{scene['live']}", "lee"),
        View("room", f"/s/{scene['live']}", "sue", "Start listening"),
        View("replay", f"/s/{scene['recorded']}", "lee"),
        View("replay-host", f"/s/{scene['recorded']}", "cohost"),
        View("clips", f"/s/{scene['recorded']}/clips", "lee"),
        View("analytics", f"/s/{scene['recorded']}/analytics", "cohost"),
        View("community", f"/communities/{scene['community']}", "sue"),
        View("post", f"/posts/{scene['post']}", "sam"),
        View("edit", f"/s/{scene['scheduled']}/edit", "cohost"),
        View("topic", "/topics/music"),
        View("space-scheduled", f"/s/{scene['scheduled']}", "lee"),
        View("space-ended", f"/s/{scene['ended']}", "lee"),
        View("profile", "/@host", "sam"),
        View("create", "/create", "lee"),
        View("communities", "/communities"),
        View("notifications", "/notifications", "sam"),
        View("messages", "/notifications?show=messages"),
        View("sign-in", "/sign-in", None),
        View("register", "/register", None),
        View("forgot", "/forgot", None),
        View("reset", "/reset?token=x", None),
        View("verify", "/verify?token=x", None),
        *(View(f"settings-{part}", f"/settings/{part}") for part in _SETTINGS),
        View("moderation", "/moderation", "mo"),
        View("moderation-case", f"/moderation/cases/{scene['case']}", "mo"),
        View("moderation-claimed", "/moderation?state=claimed", "mo"),
        View("moderation-case-claimed", f"/moderation/cases/{scene['case_claimed']}", "mo"),
        *(View(f"moderation-{part}", f"/moderation/{part}", "mo") for part in ("appeals", "bans", "trail")),
        View("appeal", "/appeal", "lee"),
        View("nothing", "/nothing/here", None),
    ]


_SETTINGS = ("profile", "account", "privacy", "people", "notifications", "appearance", "developer")
