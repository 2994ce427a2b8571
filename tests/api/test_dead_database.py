"""A database or a graph that does not answer is a 503 by its own code, whichever router is asked: never a 500."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl.api import openapi
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.space_log import StoreDown
from spaces_ctl.store.errors import Unavailable
from tests.support.api_every_scenario import EVERY
from tests.support.api_world import ANN, DAN, HOST, MODERATOR, OPERATOR, ApiWorld, bearer

Client = AsyncTestClient[Litestar]

ROUTES: dict[str, tuple[str, str, int | None, Any]] = {
    "spaces": ("POST", "/api/v1/spaces", HOST, {}),
    "own account": ("GET", "/api/v1/me", ANN, None),
    "login": ("POST", "/api/v1/auth/login", None, {"name": "user2", "password": "correct horse"}),
    "profiles": ("GET", "/api/v1/accounts/1", None, None),
    "providers": ("POST", "/api/v1/auth/oidc/known/link", ANN, None),
    "embedding": ("GET", "/api/v1/service-keys", OPERATOR, None),
    "apps": ("GET", "/api/v1/oauth/apps", ANN, None),
    "discovery": ("GET", "/api/v1/discover", None, None),
    "notifications": ("GET", "/api/v1/me/notifications", ANN, None),
    "webhooks": ("GET", "/api/v1/webhooks", OPERATOR, None),
    "tickets": ("GET", "/api/v1/me/orders/1", ANN, None),
    "communities": ("GET", "/api/v1/communities", None, None),
    "posts": ("POST", "/api/v1/posts", ANN, {"text": "Hear, hear"}),
    "moderation": ("GET", "/api/v1/moderation/cases", MODERATOR, None),
    "analytics": ("GET", "/api/v1/spaces/1/analytics", HOST, None),
    "cards": ("GET", "/s/1/calendar.ics", None, None),
    "idempotency": ("POST", "/api/v1/posts", ANN, {"text": "Hear, hear"}),
}


@pytest.mark.parametrize("name", ROUTES)
async def test_a_dead_database_is_said_by_every_router(world: ApiWorld, client: Client, name: str) -> None:
    method, path, who, body = ROUTES[name]
    headers = bearer(who) | ({"idempotency-key": "k"} if name == "idempotency" else {})
    world.db.down = True
    answer = await client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")


async def test_a_mail_that_fails_after_the_answer_is_no_error_of_the_request(world: ApiWorld, client: Client) -> None:
    world.db.down = True
    answer = await client.post("/api/v1/auth/password-reset", json={"email": "ann@example.org"})
    assert answer.status_code == 202
    assert world.more.outbox.sent == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/oauth/apps", {"name": "App", "redirect_uris": ["https://app.example.org/back"]}),
        ("/api/v1/service-keys", {"name": "Forum", "namespace": "forum"}),
    ],
)
async def test_no_answer_with_a_secret_is_kept_beside_an_idempotency_key(
    world: ApiWorld, client: Client, path: str, body: dict[str, Any]
) -> None:
    headers = bearer(OPERATOR) | {"idempotency-key": "k"}
    first, second = [(await client.post(path, json=body, headers=headers)) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert "idempotency-replayed" not in second.headers
    assert first.content != second.content


async def test_no_operation_answers_500_over_a_dead_database(world: ApiWorld, client: Client) -> None:
    """Each as in its scenario, and then the database dies. What needs none, or is journaled, may still be done."""
    paths = {
        operation["operationId"]: (method, path)
        for path, operations in openapi.document(world.app)["paths"].items()
        for method, operation in operations.items()
    }
    answered: dict[str, tuple[int, str]] = {}
    for name, scenario in EVERY.items():
        world.db.down = False
        ready = await scenario(world)
        method, path = paths[name]
        headers = bearer(ready.who) if ready.headers is None else ready.headers
        world.db.down = True
        answer = await client.request(
            method.upper(),
            path.format_map(ready.path),
            json=ready.body,
            params=dict(ready.query),
            headers=headers,
            follow_redirects=False,
        )
        code = msgspec.json.decode(answer.content).get("code", "") if answer.status_code >= 400 else ""
        answered[name] = (answer.status_code, code)
    wrong = {name: seen for name, seen in answered.items() if seen[0] >= 500 and seen != (503, "store.unavailable")}
    assert wrong == {}
    assert sum(status == 503 for status, _ in answered.values()) >= 100, answered


@pytest.mark.parametrize("silence", [Unavailable("down"), StoreDown("down")], ids=lambda error: type(error).__name__)
async def test_what_a_service_lets_pass_is_no_internal_error(
    world: ApiWorld,
    client: Client,
    silence: Exception,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(*_: Any, **__: Any) -> Any:
        raise silence

    monkeypatch.setattr(world.reading, "look", silent)
    answer = await client.get("/api/v1/spaces/1")
    assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")
    assert [record for record in caplog.records if record.name == "spaces.api"] == []


@pytest.mark.parametrize(
    "path",
    ["/api/v1/communities/{community}/members", "/api/v1/accounts/1", "/api/v1/me/following", "/api/v1/me/blocks"],
)
async def test_a_dead_graph_is_said_by_every_router(world: ApiWorld, client: Client, path: str) -> None:
    async def down(*_: Any, **__: Any) -> Any:
        raise ServiceError("graph.unavailable")

    made = await EVERY["getCommunity"](world)
    graph: Any = world.graph
    for name in ("facts", "profiles", "following", "blocked_by", "community_members", "community_roles"):
        setattr(graph, name, down)
    answer = await client.get(path.format_map(made.path), headers=bearer(DAN))
    assert (answer.status_code, answer.json()["code"]) == (503, "graph.unavailable")
