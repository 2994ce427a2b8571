"""Reading: pages as one list, views as values, logging in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from spaces_ctl import client as api


def person(number: int) -> dict[str, Any]:
    return {
        "profile": {"id": str(number), "handle": f"h{number}", "name": "N", "picture": "", "protected": False},
        "role": "listener",
        "seat": None,
        "muted": False,
        "away": False,
        "blocked": False,
        "of_a_newer_server": 1,
    }


def page(*numbers: int, following: str | None) -> httpx.Response:
    return httpx.Response(200, json={"data": [person(number) for number in numbers], "next": following})


async def test_pages_are_one_list(script: Any) -> None:
    script.answers = [page(1, 2, following="c1"), page(following="c2"), page(3, following=None)]
    async with script.client() as client:
        people = [one.profile.id async for one in client.space("abc").people(search="h", page_size=2)]
    assert people == [1, 2, 3]
    assert [dict(request.url.params) for request in script.asked] == [
        {"q": "h", "limit": "2"},
        {"q": "h", "limit": "2", "cursor": "c1"},
        {"q": "h", "limit": "2", "cursor": "c2"},
    ]


async def test_the_next_page_is_asked_for_when_it_is_needed(script: Any) -> None:
    script.answers = [page(1, 2, following="c1")]
    async with script.client() as client:
        async for one in client.space("abc").people():
            if one.profile.id == 2:
                break
    assert len(script.asked) == 1


async def test_a_page_that_fails_ends_the_list_with_the_reason(script: Any) -> None:
    script.answers = [page(1, following="c1"), httpx.Response(422, json={"code": "request.cursor"})]
    seen: list[int] = []

    async def read(client: api.SpacesClient) -> None:
        async for one in client.space("abc").people():
            seen.append(one.profile.id)

    async with script.client() as client:
        with pytest.raises(api.Invalid):
            await read(client)
    assert seen == [1]


async def test_times_and_ids_become_values(script: Any) -> None:
    script.answers = [
        httpx.Response(
            200,
            json={
                "urls": ["https://127.0.0.1:1/spaces/abc"],
                "certificate_sha256": "ab",
                "token": "t",
                "expires": "2026-01-01T00:00:00.500Z",
                "role": "listener",
                "seat": None,
                "muted": True,
                "notices": ["You have blocked 1 person who is speaking."],
            },
        )
    ]
    async with script.client() as client:
        admission = await client.space("abc").join(anonymous=True)
    assert admission.expires == datetime(2026, 1, 1, 0, 0, 0, 500_000, UTC)
    assert msgspec.json.decode(script.asked[0].content) == {"anonymous": True}


async def test_who_logs_in_is_that_account_from_now_on(script: Any) -> None:
    login = {
        "account": {"id": "7", "handle": "ann"},
        "session": "s",
        "csrf": "c",
        "expires_at": "2026-01-01T00:00:00.000Z",
        "token": "secret",
    }
    script.answers = [httpx.Response(200, json=login), httpx.Response(204), httpx.Response(204), httpx.Response(204)]
    async with script.client(token=None) as client:
        assert (await client.login("ann", "password")).account.id == 7
        await client.me.follow(9)
        await client.logout()
        await client.me.follow(9)
    tokens = [request.headers.get("Authorization") for request in script.asked]
    assert tokens == [None, "Bearer secret", "Bearer secret", None]
    assert msgspec.json.decode(script.asked[0].content) == {"name": "ann", "password": "password", "session": "bearer"}
