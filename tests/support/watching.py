"""Somebody who watches a Space's event stream, and how people connect with an admission."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from contextlib import aclosing, suppress
from typing import Any

from spaces_ctl.client import SpacesClient, StreamEvent
from spaces_ctl.client.views import Admission
from spaces_ctl.engine import Listener, Speaker
from tests.support.patience import PATIENCE_S

__all__ = ["Watcher", "listener", "loudest", "speaker", "tone"]


class Watcher:
    """Everything that somebody's stream of a Space has told, from its beginning; use it with `async with`."""

    def __init__(self, client: SpacesClient, space: str, *, captions: bool = False) -> None:
        self.events: list[StreamEvent] = []
        self._stream = client.space(space).events(after=0, captions=captions)
        self._came = asyncio.Event()

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        async with aclosing(self._stream) as events:
            async for event in events:
                self.events.append(event)
                self._came.set()

    def told(self, name: str, **data: Any) -> StreamEvent | None:
        """The newest event of that name with these values."""
        return next((one for one in reversed(self.events) if one.event == name and _has(one.data, data)), None)

    async def sees(self, name: str, **data: Any) -> StreamEvent:
        """Waits for it. Raises TimeoutError."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (found := self.told(name, **data)) is None:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"{name} {data} never came: {[(e.event, e.data) for e in self.events]}") from None
        return found

    async def sees_reactions(self, emoji: str, number: int) -> None:
        """Waits until so many have been counted, in all messages together or in one, as they tell totals."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not any(
                    one.event == "counts" and one.data.get("reactions", {}).get(emoji, 0) >= number
                    for one in self.events
                ):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"{[one.data for one in self.events if one.event == 'counts']}") from None


def _has(data: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(data.get(name) == value for name, value in wanted.items())


def _pin(admission: Admission) -> bytes | None:
    return None if admission.certificate_sha256 is None else bytes.fromhex(admission.certificate_sha256)


def listener(admission: Admission, *, captions: bool = False) -> Listener:
    return Listener(admission.urls[0], token=admission.token, certificate_sha256=_pin(admission), captions=captions)


def speaker(admission: Admission) -> Speaker:
    assert admission.seat is not None
    return Speaker(
        admission.urls[0], token=admission.token, seat=admission.seat, certificate_sha256=_pin(admission), dtx=False
    )


def tone(seconds: float) -> array[int]:
    """A loud sound whose pitch moves, so that no encoder takes it for silence."""
    return array(
        "h",
        (int(12_000 * math.sin(n / 48_000 * math.tau * (300 + 60 * n / 48_000))) for n in range(int(seconds * 48_000))),
    )


async def loudest(ears: Listener, *, above: int, within_s: float = PATIENCE_S) -> int:
    """The peak of the first block of sound that is louder than `above` (of 32,767). Raises TimeoutError."""
    begun = time.monotonic()
    async for block in ears.pcm():
        peak = max(map(abs, memoryview(block).cast("h")))
        if peak > above:
            return peak
        if time.monotonic() - begun > within_s:
            break
    raise TimeoutError(f"nothing louder than {above} in {within_s} s")
