"""Requests: what is sent, what is tried again and how patiently, and how refusals look."""

from __future__ import annotations

import email.utils
from types import NoneType
from typing import Any

import httpx
import msgspec
import pytest

from spaces_ctl import client as api
from spaces_ctl.client.transport import retry_after
from spaces_ctl.policy.codes import CODES

DONE = {"space": "abc", "version": 7, "fence_group": 12, "number": None}


def ok(body: object = None) -> httpx.Response:
    return httpx.Response(200, json=DONE if body is None else body)


def problem(code: str, status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"type": f"/problems/{code}", "code": code, "title": "T"}, headers=headers)


async def test_a_command_is_sent_as_the_table_says(script: Any) -> None:
    script.answers = [ok()]
    async with script.client() as client:
        done = await client.space("abc").mute(7)
    assert (done.version, done.fence_group) == (7, 12)
    (request,) = script.asked
    assert (request.method, request.url.path) == ("POST", "/api/v1/spaces/abc/stage/7/mute")
    assert request.headers["Authorization"] == "Bearer t"
    assert request.headers["Idempotency-Key"] == "key-0"
    assert request.content == b""


async def test_ids_and_times_go_as_strings(script: Any) -> None:
    script.answers = [httpx.Response(204), ok()]
    async with script.client(token=None) as client:
        await client.me.ban_from_live(9, "spam", until_ms=1_700_000_000_123)
        await client.space("abc").edit(title="Tea")
    ban, edit = script.asked
    assert (ban.method, ban.url.path) == ("PUT", "/api/v1/moderation/bans/9")
    assert msgspec.json.decode(ban.content) == {"reason": "spam", "until": "2023-11-14T22:13:20.123Z"}
    assert "Authorization" not in ban.headers
    assert "Idempotency-Key" not in ban.headers
    assert edit.method == "PATCH"
    assert msgspec.json.decode(edit.content)["title"] == "Tea"


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.Response(502), problem("store.unavailable", 503)]
)
async def test_what_passes_is_tried_again_with_the_same_key(script: Any, answer: Any) -> None:
    script.answers = [answer, answer, ok()]
    async with script.client() as client:
        await client.space("abc").start()
    assert [request.headers["Idempotency-Key"] for request in script.asked] == ["key-0"] * 3
    assert script.waited == [0.5, 1.0]


async def test_it_gives_up(script: Any) -> None:
    script.answers = [httpx.ConnectError("All connection attempts failed")] * 4
    async with script.client() as client:
        with pytest.raises(api.Unreachable, match=r"^https://spaces\.example does not answer: All connection"):
            await client.space("abc").start()
    assert script.waited == [0.5, 1.0, 2.0]


async def test_a_refusal_is_not_tried_again(script: Any) -> None:
    script.answers = [problem("stage.full", 409)]
    async with script.client() as client:
        with pytest.raises(api.Conflict) as caught:
            await client.space("abc").take_mic()
    assert (caught.value.code, caught.value.status, caught.value.detail) == ("stage.full", 409, "T")
    assert script.waited == []


async def test_rate_limited_waits_as_long_as_asked(script: Any) -> None:
    script.answers = [problem("rate.limited", 429, **{"Retry-After": "7"}), ok()]
    async with script.client() as client:
        await client.space("abc").react("100")
    assert len(script.waited) == 1
    assert 7.0 <= script.waited[0] <= 8.0


async def test_a_wait_beyond_our_patience_is_told_at_once(script: Any) -> None:
    script.answers = [problem("rate.limited", 429, **{"Retry-After": "31"})]
    async with script.client() as client:
        with pytest.raises(api.RateLimited) as caught:
            await client.space("abc").react("100")
    assert caught.value.retry_after_s == 31.0


async def test_rate_limited_at_last(script: Any) -> None:
    script.answers = [problem("rate.limited", 429)] * 2
    async with script.client(attempts=2) as client:
        with pytest.raises(api.RateLimited):
            await client.space("abc").react("100")


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_has_its_exception(script: Any, code: str) -> None:
    status = CODES[code].http
    script.answers = [problem(code, status)]
    async with script.client(attempts=1) as client:
        with pytest.raises(api.Refused) as caught:
            await client.space("abc").start()
    expected = {
        400: api.Invalid, 401: api.Unauthorized, 402: api.PaymentRequired, 403: api.Forbidden, 404: api.NotFound,
        405: api.Invalid, 408: api.Unavailable, 409: api.Conflict, 410: api.Gone, 413: api.Invalid, 415: api.Invalid,
        416: api.Invalid, 422: api.Invalid, 429: api.RateLimited, 500: api.Unavailable,
        503: api.Unavailable, 504: api.Unavailable,
    }  # fmt: skip
    assert type(caught.value) is expected[status]
    assert caught.value.code == code


async def test_a_newer_servers_code_is_still_a_refusal(script: Any) -> None:
    script.answers = [problem("future.thing", 409)]
    async with script.client() as client:
        with pytest.raises(api.Conflict, match=r"future\.thing"):
            await client.space("abc").start()


async def test_something_else_answers(script: Any) -> None:
    script.answers = [httpx.Response(404, text="<h1>nginx</h1>"), httpx.Response(200, text="hello")]
    async with script.client(attempts=1) as client:
        with pytest.raises(api.UnexpectedAnswer, match="nginx"):
            await client.space("abc").start()
        with pytest.raises(api.UnexpectedAnswer, match="not the answer of this API"):
            await client.space("abc").start()


async def test_a_proxys_failure_is_unavailable(script: Any) -> None:
    script.answers = [httpx.Response(502, text="bad gateway")]
    async with script.client(attempts=1) as client:
        with pytest.raises(api.Unavailable, match="HTTP 502: bad gateway"):
            await client.space("abc").start()


async def test_no_answer_body(script: Any) -> None:
    script.answers = [httpx.Response(204)]
    async with script.client() as client:
        assert await client.transport.request("DELETE", "/x", NoneType) is None


async def test_no_server_is_one_clear_line() -> None:
    async with api.SpacesClient("http://127.0.0.1:1", retries=api.Retries(attempts=1)) as client:
        with pytest.raises(api.Unreachable, match=r"^http://127\.0\.0\.1:1 does not answer: Connection refused"):
            await client.space("abc").start()


def test_retry_after_as_a_date() -> None:
    now = 1_000_000.0
    assert retry_after(email.utils.formatdate(now + 5, usegmt=True), now) == 5.0
    assert retry_after(email.utils.formatdate(now - 5, usegmt=True), now) == 0.0
    assert retry_after("soon", now) is None
    assert retry_after(None, now) is None
