"""The captions process: `python -m spaces_ctl.captions.process FD`, a `spaces_ctl.media.child` of the server.

It has the lowest priority of all our processes (nice 15). The server tells it what to follow (`tell`) and asks what was
heard (`hear`), again and again: so that what it has to say waits here, in bounds, when the server is slow.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import count

import msgspec

from spaces_ctl.captions.captioner import Captioner, Connect
from spaces_ctl.captions.messages import Figures, Follow, FromCaptioner, Heard, Open, Tell, Told
from spaces_ctl.captions.moonshine import Moonshine
from spaces_ctl.captions.recogniser import Recogniser
from spaces_ctl.captions.room import Packet
from spaces_ctl.captions.voice import Budget, VoiceLimits
from spaces_ctl.captions.websocket import WebSocketRecogniser
from spaces_ctl.engine import SeatTap
from spaces_ctl.media import child
from spaces_ctl.media.errors import MediaError

__all__ = ["Outbox", "Process", "main"]

_NICE = 15
_QUEUE_MS = 20_000
"""Sound of all voices together that may wait for the recogniser."""
_MOST_WAITING = 2_000
_PATIENCE_S = 10.0
"""`hear` answers after this long at the latest."""


class Outbox:
    """What waits to be fetched. Of a line that grows only the newest stage; when full, the oldest goes."""

    def __init__(self, most: int = _MOST_WAITING) -> None:
        self._most = most
        self._messages: OrderedDict[tuple[object, ...], FromCaptioner] = OrderedDict()
        self._numbers = count()
        self._some = asyncio.Event()

    def put(self, message: FromCaptioner) -> None:
        """Never waits."""
        key: tuple[object, ...] = (next(self._numbers),)
        if isinstance(message, Heard):
            key = (message.space, message.seat, message.generation, message.line)
        # Replaced where it stands: what came first is told first.
        self._messages[key] = message
        if len(self._messages) > self._most:
            self._messages.popitem(last=False)
        self._some.set()

    async def take(self, patience_s: float) -> tuple[FromCaptioner, ...]:
        """Everything there is, as soon as there is something; nothing after `patience_s`."""
        try:
            async with asyncio.timeout(patience_s):
                await self._some.wait()
        except TimeoutError:
            return ()
        self._some.clear()
        messages = tuple(self._messages.values())
        self._messages.clear()
        return messages


class Process:
    """A `child.Answering`."""

    def __init__(
        self,
        opened: Open,
        *,
        recogniser: Recogniser | None = None,
        connect: Connect | None = None,
        limits: VoiceLimits | None = None,
    ) -> None:
        """`recogniser`, `connect`, `limits`: others than those of `opened`, of the engine and the usual ones."""
        self._budget = Budget(streams=opened.streams, queue_ms=_QUEUE_MS)
        self._outbox = Outbox()
        self._captioner = Captioner(
            recogniser or _recogniser(opened), self._budget, connect or tapped, self._outbox.put, limits=limits
        )

    async def __aenter__(self) -> Process:
        await self._captioner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._captioner.__aexit__()

    async def answer(self, operation: str, body: bytes) -> bytes:
        """`tell`, `hear`, `figures`. Raises MediaError for any other."""
        match operation:
            case "tell":
                self._captioner.take(msgspec.msgpack.decode(body, type=Tell).message)
                return msgspec.msgpack.encode(None)
            case "hear":
                return msgspec.msgpack.encode(Told(messages=await self._outbox.take(_PATIENCE_S)))
            case "figures":
                budget = self._budget
                return msgspec.msgpack.encode(
                    Figures(
                        spaces=self._captioner.spaces,
                        streams=budget.open,
                        waiting_ms=budget.waiting_ms,
                        shed_ms=budget.shed_ms,
                    )
                )
        raise MediaError("internal", f"no such operation: {operation}")


@asynccontextmanager
async def tapped(follow: Follow) -> AsyncIterator[AsyncIterator[Iterable[Packet]]]:
    """The Space's captionable seats, from the engine."""
    async with SeatTap(follow.url, token=follow.token, certificate_sha256=follow.certificate_sha256) as tap:

        async def batches() -> AsyncIterator[Iterable[Packet]]:
            async for batch in tap:
                yield [Packet(one.group, one.seat, one.generation, one.level & 0x7F, one.opus) for one in batch]

        yield batches()


def _recogniser(opened: Open) -> Recogniser:
    if opened.recogniser == "websocket":
        headers = {"authorization": f"Bearer {opened.key}"} if opened.key else {}
        return WebSocketRecogniser(opened.url, headers=headers)
    return Moonshine()


def main(arguments: list[str]) -> None:
    """The process."""
    child.main(arguments, Open, Process, nice=_NICE)


if __name__ == "__main__":
    main(sys.argv[1:])
