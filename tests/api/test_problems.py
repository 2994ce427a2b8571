"""How refusals look: everything that is wrong, by code, with a page each; nothing secret in the log."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl.api.body import errors_of
from spaces_ctl.policy.codes import CODES
from tests.support.api_world import HOST, ApiWorld, bearer, path

Client = AsyncTestClient[Litestar]


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    a: int


class Outer(msgspec.Struct):
    inner: list[Inner]
    other: Inner | None = None


async def test_every_error_of_a_body_is_listed(client: Client) -> None:
    body = {"title": 3, "topics": ["a", 4], "x/y": 1, "ticketing": {"currency": "e", "quantity": 1}}
    answer = await client.post("/api/v1/spaces", json=body, headers=bearer(HOST))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["type"]) == (
        422,
        "request.invalid",
        "/problems/request.invalid",
    )
    assert {(error["where"], error["pointer"]) for error in problem["errors"]} == {
        ("body", "/title"),
        ("body", "/topics/1"),
        ("body", "/x~1y"),
        ("body", "/ticketing/price_minor"),
        ("body", "/ticketing/currency"),
    }


async def test_every_wrong_parameter_is_listed(client: Client) -> None:
    answer = await client.get("/api/v1/spaces/a-b/people?limit=0&q=")
    assert {(error["where"], error["pointer"]) for error in answer.json()["errors"]} == {
        ("path", "/space"),
        ("query", "/limit"),
        ("query", "/q"),
    }


@pytest.mark.parametrize(
    ("method", "where", "options", "code"),
    [
        ("GET", "/api/v1/nothing", {}, "resource.not_found"),
        ("GET", "/api/v1/spaces", {}, "method.not_allowed"),
        ("POST", "/api/v1/spaces", {"content": b"{", "type": "application/json"}, "request.malformed"),
        ("POST", "/api/v1/spaces", {"content": b"\xff", "type": "application/json"}, "request.malformed"),
        ("POST", "/api/v1/spaces", {"content": b"[" * 9999, "type": "application/json"}, "request.malformed"),
        ("POST", "/api/v1/spaces", {"content": b"title=1", "type": "text/plain"}, "request.media_type"),
        ("POST", "/api/v1/spaces", {"content": b" " * 300_000, "type": "application/json"}, "request.too_large"),
        ("PUT", path(1, "/settings/speak"), {}, "request.invalid"),
    ],
)
async def test_the_frameworks_refusals_are_ours(
    client: Client, method: str, where: str, options: dict[str, Any], code: str
) -> None:
    headers = bearer(HOST) | ({"content-type": options["type"]} if options else {})
    answer = await client.request(method, where, content=options.get("content"), headers=headers)
    assert (answer.json()["code"], answer.status_code) == (code, CODES[code].http)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_method_not_allowed_names_those_that_are(client: Client) -> None:
    answer = await client.put("/api/v1/spaces", headers=bearer(HOST))
    assert {"POST"} <= set(answer.headers["allow"].split(", "))


async def test_what_nobody_foresaw_has_an_id_that_is_in_the_log(
    world: ApiWorld, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(world.reading, "look", fails)
    with caplog.at_level(logging.ERROR, logger="spaces.api"):
        answer = await client.get(path(1) + "?secret=hidden", headers=bearer(HOST))
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (500, "internal")
    assert "boom" not in answer.text
    assert problem["id"] in caplog.text
    assert "boom" in caplog.text
    assert "hidden" not in caplog.records[0].getMessage()
    assert "test/1" not in caplog.text


async def test_every_code_has_its_page(client: Client) -> None:
    index = await client.get("/problems")
    for code in CODES:
        page = await client.get(f"/problems/{code}")
        assert (page.status_code, f'href="/problems/{code}"' in index.text) == (200, True)
    assert (await client.get("/problems/no.such")).status_code == 404


def test_errors_in_nested_values_have_pointers() -> None:
    tree = {"inner": [{"a": 1}, {"a": "x"}, {}], "other": {"a": None, "b": 2}}
    assert [error.pointer for error in errors_of(tree, Outer)] == ["/inner/1/a", "/inner/2/a", "/other/a", "/other/b"]


@pytest.mark.parametrize("where", ["/problems", "/problems/state.ended", "/"])
async def test_a_charset_is_named_once(client: Client, where: str) -> None:
    answer = await client.get(where)
    assert answer.status_code == 200
    assert answer.headers["content-type"].count("charset") == 1, answer.headers["content-type"]
