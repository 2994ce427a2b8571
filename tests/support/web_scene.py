"""People and Spaces on a development server, as the web app's views want something to show; and the views.

Made through the API alone, as other people's programs would. Nobody talks: what is heard is other tests' business.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx

from tests.support.dev_server import DevServer

__all__ = ["View", "make_scene", "views"]


class View(NamedTuple):
    """An address of the app and who looks at it (None: a guest)."""

    name: str
    path: str
    who: str | None = "host"


class _Api:
    def __init__(self, server: DevServer, http: httpx.Client) -> None:
        self._server = server
        self._http = http

    def __call__(self, who: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {self._server.tokens[who]}"}
        answer = self._http.request(method, path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def make_scene(server: DevServer) -> dict[str, str]:
    """Ids by name: `live`, `scheduled`, `ended` (Spaces)."""
    with httpx.Client(base_url=f"{server.url}/api/v1", timeout=30) as http:
        return _people_and_spaces(_Api(server, http), server.ids)


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
    return {"live": live, "scheduled": scheduled, "ended": ended}


def views(scene: dict[str, str]) -> list[View]:
    """Every main view, once."""
    return [
        View("home", "/"),
        View("home-guest", "/", None),
        View("search", "/search?q=tea"),
        View("space-live", f"/s/{scene['live']}", "lee"),
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
        View("nothing", "/nothing/here", None),
    ]


_SETTINGS = ("profile", "account", "privacy", "people", "notifications", "appearance", "developer")
