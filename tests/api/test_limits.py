"""How often somebody may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl.api.limits import Caller, RateLimiter
from spaces_ctl.api.settings import ApiSettings, Rate
from spaces_ctl.clock import ManualClock
from spaces_ctl.service.errors import ServiceError
from tests.support.api_world import ANN, HOST, ApiWorld, bearer

Client = AsyncTestClient[Litestar]


def test_a_bucket_empties_and_fills() -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock, {"read": Rate(2, 60)})
    someone = [Caller("account:1")]
    assert [limiter.take("read", someone).allowed for _ in range(3)] == [True, True, False]
    refused = limiter.take("read", someone)
    assert (refused.quota, refused.window_s, refused.remaining, refused.reset_s) == (2, 2, 0, 1)
    assert limiter.take("read", [Caller("account:2")]).allowed
    clock.advance(ms=999)
    assert not limiter.take("read", someone).allowed
    clock.advance(ms=1)
    assert limiter.take("read", someone).allowed


def test_a_refusal_takes_from_no_bucket() -> None:
    limiter = RateLimiter(ManualClock(), {"read": Rate(1, 60)})
    address, account = Caller("ip:a", 3), Caller("account:1")
    assert limiter.take("read", [address, account]).allowed
    for _ in range(5):
        assert not limiter.take("read", [address, account]).allowed
    assert limiter.take("read", [address, Caller("account:2")]).allowed
    assert limiter.take("read", [address, Caller("account:3")]).allowed
    assert not limiter.take("read", [address, Caller("account:4")]).allowed


def test_the_buckets_memory_is_bounded() -> None:
    limiter = RateLimiter(ManualClock(), {"read": Rate(1, 60)}, most=10)
    for account in range(1000):
        limiter.take("read", [Caller(f"account:{account}")])
    assert len(limiter) == 10


async def test_limits_are_told_in_headers(tmp_path: Path) -> None:
    settings = ApiSettings(rates={**ApiSettings().rates, "read": Rate(2, 60), "report": Rate(1, 60)})
    world = await ApiWorld.open(tmp_path, settings=settings)
    async with AsyncTestClient(world.app) as client:
        first = await client.get("/api/v1/me", headers=bearer(ANN))
        assert (first.headers["ratelimit-policy"], first.headers["ratelimit"]) == ('"read";q=2;w=2', '"read";r=1;t=1')
        await client.get("/api/v1/me", headers=bearer(ANN))
        refused = await client.get("/api/v1/me", headers=bearer(ANN))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
        assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("1", '"read";r=0;t=1')
        assert (await client.get("/api/v1/me", headers=bearer(HOST))).status_code == 200
        assert (await client.put(f"/api/v1/me/following/{HOST}", headers=bearer(ANN))).status_code == 204
        world.clock.advance(seconds=1)
        assert (await client.get("/api/v1/me", headers=bearer(ANN))).status_code == 200
    await world.aclose()


async def test_guessing_tokens_is_limited_by_address(tmp_path: Path) -> None:
    world = await ApiWorld.open(
        tmp_path, settings=ApiSettings(rates={**ApiSettings().rates, "read": Rate(1, 1)}, address_factor=3)
    )
    async with AsyncTestClient(world.app) as client:
        answers = [await client.get("/api/v1/me", headers={"authorization": f"Bearer no{n}"}) for n in range(4)]
        assert [answer.json()["code"] for answer in answers] == ["auth.token_invalid"] * 3 + ["rate.limited"]
    await world.aclose()


async def test_streams_a_caller_are_limited(world: ApiWorld) -> None:
    feeds: Any = world.app.state["feeds"]
    async with feeds.admitted("a"):
        for _ in range(world.settings.streams_per_caller - 1):
            await feeds.admitted("a").__aenter__()
        with pytest.raises(ServiceError, match=r"rate\.limited"):
            await feeds.admitted("a").__aenter__()
        async with feeds.admitted("b"):
            pass
