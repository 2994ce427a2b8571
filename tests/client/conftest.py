"""A server that answers from a list, and a client whose waits are noted instead of waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import httpx
import pytest

from spaces_ctl.client import Retries, SpacesClient

Answer = httpx.Response | Exception


@dataclass
class Script:
    """What the server answers, in order, and what it was asked."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        if not self.answers:
            raise AssertionError(f"asked once too often: {request.method} {request.url}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    def client(self, *, token: str | None = "t", attempts: int = 4) -> SpacesClient:
        keys = iter(f"key-{n}" for n in range(100))
        retries = Retries(
            attempts=attempts, sleep=self.sleep, chance=lambda: 1.0, now_s=lambda: 1_000_000.0, key=lambda: next(keys)
        )
        return SpacesClient(
            "https://spaces.example", token=token, retries=retries, handler=httpx.MockTransport(self.answer)
        )


@pytest.fixture
def script() -> Script:
    return Script()


class Chunks(httpx.AsyncByteStream):
    """A body that arrives in pieces; after the last one the connection breaks, if `broken`."""

    def __init__(self, pieces: Iterable[str], *, broken: bool = False) -> None:
        self._pieces = pieces
        self._broken = broken

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece.encode()
        if self._broken:
            raise httpx.ReadError("reset by peer")


@pytest.fixture
def sse() -> Callable[..., httpx.Response]:
    def make(*pieces: str, broken: bool = False) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Chunks(pieces, broken=broken))

    return make
