"""The same request twice is carried out once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl.service.errors import ServiceError
from tests.support.api_world import ANN, HOST, ApiWorld, bearer, path

Client = AsyncTestClient[Litestar]


def keyed(who: int, key: str) -> dict[str, str]:
    return bearer(who) | {"idempotency-key": key}


async def test_the_same_request_twice_is_carried_out_once(world: ApiWorld, client: Client) -> None:
    first = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "k1"))
    again = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "k1"))
    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (201, 201)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "?1"
    assert again.headers["location"] == first.headers["location"]
    other = await client.post("/api/v1/spaces", json={"title": "B"}, headers=keyed(HOST, "k1"))
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")
    elses = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(ANN, "k1"))
    assert elses.json()["id"] != first.json()["id"]
    world.clock.advance(days=2)
    late = await client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "k1"))
    assert late.json()["id"] != first.json()["id"]


async def test_duplicates_at_once_wait_for_the_first(world: ApiWorld, client: Client) -> None:
    answers = await asyncio.gather(
        *(client.post("/api/v1/spaces", json={"title": "A"}, headers=keyed(HOST, "same")) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


async def test_duplicates_in_two_processes_wait_too(world: ApiWorld) -> None:
    from spaces_ctl.service.idempotency import IdempotencyKeys

    other = IdempotencyKeys(db=world.opened, clock=world.clock)
    owner, print_ = b"o" * 32, b"f" * 32
    begun = asyncio.Event()

    async def first() -> None:
        async with world.keys.once(owner, "k", print_) as once:
            begun.set()
            await asyncio.sleep(0.1)
            assert once.answer is None
            once.finish(b"done")

    async def second() -> bytes | None:
        await begun.wait()
        async with other.once(owner, "k", print_) as once:
            return once.answer

    _, answer = await asyncio.gather(first(), second())
    assert answer == b"done"


async def test_a_holder_that_died_is_succeeded_when_its_time_is_up(world: ApiWorld) -> None:
    from spaces_ctl.store import idempotency as store

    now = world.clock.now_ms()
    owner, print_ = b"o" * 32, b"f" * 32
    await world.db.write(lambda c: store.hold(c, owner, "k", print_, b"dead" * 4, now, now + 60_000, now + 10**9))
    world.clock.advance(seconds=61)
    async with world.keys.once(owner, "k", print_) as once:
        assert once.answer is None


async def test_a_refusal_is_kept_and_not_now_is_not(
    world: ApiWorld, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = await world.live()
    refused = await client.post(path(space, "/end"), headers=keyed(ANN, "k"))
    again = await client.post(path(space, "/end"), headers=keyed(ANN, "k"))
    assert (refused.status_code, again.headers.get("idempotency-replayed")) == (403, "?1")
    with monkeypatch.context() as patch:
        patch.setattr(world.spaces, "execute", failing)
        down = await client.post(path(space, "/end"), headers=keyed(HOST, "k"))
    up = await client.post(path(space, "/end"), headers=keyed(HOST, "k"))
    assert (down.status_code, up.status_code) == (503, 200)


async def failing(*_: Any) -> Any:
    raise ServiceError("store.unavailable")


async def test_keys_of_secrets_are_not_kept(world: ApiWorld, client: Client) -> None:
    space = await world.live()
    for _ in range(2):
        joined = await client.post(path(space, "/join"), headers=keyed(ANN, "k"))
        assert "idempotency-replayed" not in joined.headers


async def test_expired_keys_are_deleted(world: ApiWorld, client: Client) -> None:
    await client.post("/api/v1/spaces", json={}, headers=keyed(HOST, "k"))
    assert await world.keys.forget_expired() == 0
    world.clock.advance(days=2)
    assert await world.keys.forget_expired() == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 300])
async def test_a_key_has_a_form(client: Client, key: str) -> None:
    answer = await client.post("/api/v1/spaces", json={}, headers=keyed(HOST, key))
    assert answer.json()["errors"][0]["pointer"] == "/idempotency-key"
