"""A process full of listeners: many that only count what arrives, and one that really listens, for mouth to ear."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from spaces_ctl.demo.child import Boss, Message
from spaces_ctl.demo.speech import Samples, write_wav
from spaces_ctl.engine import Listener, ListenerLoad

_REPORT_S = 0.5
_EAR_S = 60
"""The ear remembers its last minute."""
_JOINED_S = 0.2


class _Ear:
    """A listener with a loudspeaker: keeps what it played and when."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._played: deque[tuple[float, Samples]] = deque(maxlen=_EAR_S * 50)

    async def listen(self) -> None:
        """Plays 20 ms every 20 ms of the machine's clock, as a sound card asks for them."""
        began = time.monotonic()
        asked = 0
        while True:
            await asyncio.sleep(max(0.0, began + asked * 0.02 - time.monotonic()))
            pcm = np.frombuffer(self._listener.pull(960), dtype=np.int16)
            # What is asked for now, the card plays now: the ideal sound card has no buffer of its own.
            self._played.append((began + asked * 0.02, pcm))
            asked += 1

    def write(self, path: Path) -> Message | None:
        """Writes what it played to a file; answers where that is and when it began."""
        if not self._played:
            return None
        write_wav(path, np.concatenate([pcm for _, pcm in self._played]))
        return {"path": str(path), "began": self._played[0][0]}


async def run(boss: Boss, first: Message) -> None:
    """Joins with all, says so, and reports arrivals until told to finish."""
    certificate = bytes.fromhex(first["certificate"])
    wanted = int(first["listeners"])
    async with contextlib.AsyncExitStack() as stack:
        ear = await stack.enter_async_context(_ear(first["url"], certificate)) if first["ear"] else None
        load = await stack.enter_async_context(
            ListenerLoad(first["url"], listeners=wanted, certificate_sha256=certificate)
        )
        joining = asyncio.create_task(load.joined())
        while not (await asyncio.wait({joining}, timeout=_JOINED_S))[0]:
            boss.tell("joined", listeners=load.stats().joined)
        await joining
        boss.tell("joined", listeners=load.stats().joined)
        boss.tell("ready")
        latency: dict[int, int] = {}

        def figures() -> Message:
            """Totals, and the latencies that were added since the last report."""
            stats = load.stats()
            fresh = [(step, count - latency.get(step, 0)) for step, count in stats.latency.items()]
            latency.update(stats.latency)
            return {
                "delivered": stats.delivered,
                "duplicates": stats.duplicates,
                "unmatched": stats.unmatched,
                "unheard": stats.unheard,
                "latency": [(step, count) for step, count in fresh if count],
            }

        due = time.monotonic()
        async for message in boss.messages():
            if message["kind"] == "sent":
                load.add_sent(message["log"])
            if message["kind"] == "finish":
                break
            if time.monotonic() >= due:
                due = time.monotonic() + _REPORT_S
                boss.tell("arrived", **figures())
                boss.tell("joined", listeners=load.stats().joined)
        boss.tell("report", **figures(), heard=ear.write(Path(first["ear"])) if ear else None)
        # Stays until the parent hangs up, so that nobody is seen to leave while figures are taken.
        async for _ in boss.messages():
            pass


@contextlib.asynccontextmanager
async def _ear(url: str, certificate: bytes) -> AsyncIterator[_Ear]:
    async with Listener(url, certificate_sha256=certificate) as listener:
        ear = _Ear(listener)
        listening = asyncio.create_task(ear.listen())
        try:
            yield ear
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
