"""One speaker's process: a voice as a microphone hears it, in real time, into the engine's native client."""

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo import script, speech
from spaces_ctl.demo.child import Boss, Message
from spaces_ctl.demo.measure import level_dbov
from spaces_ctl.engine import Listener, Speaker

_FRAME_US = 20_000
_AT_ONCE = 500
"""Frames handed in together; the client's own thread sends each when it is due, whatever Python is doing then."""
_LEVEL_FRAMES = 5
"""A level every 100 ms."""
_REPORT_S = 0.2
_LATE_S = 1.0


async def run(boss: Boss, first: Message) -> None:
    """Connects, says so, waits for the common beginning, and speaks until told to stop."""
    count, seat = int(first["speakers"]), int(first["seat"])
    own = first["speech"]
    voices = speech.voices_from(Path(own), count) if own else speech.voices(count, lambda _line: None)
    microphone = script.speak(script.turns(voices, together=first["together"]), seat, voices[seat])
    async with SpacesClient(first["api"], token=first["token"]) as client, _seat(client, first) as speaker:
        # Planning the conversation takes a moment, which its beginning does not have.
        microphone = itertools.chain([next(microphone)], microphone)
        boss.tell("ready")
        go = await boss.next("go")
        talk = _Talk(boss, speaker, seat, float(go["at"]))
        frames = round(float(go["seconds"]) * 50)
        talking = asyncio.create_task(talk.speak(itertools.islice(microphone, frames or None)))
        reporting = asyncio.create_task(talk.keep_reporting())
        try:
            await _first_of(asyncio.create_task(boss.next("stop")), talking)
            # Whoever has a planned end says the last word too, though the grid of frames began a little late.
            await asyncio.wait({talking}, timeout=_LATE_S if talk.elapsed() * 50 >= frames > 0 else 0)
            talking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await talking
            await speaker.flush()
        finally:
            talking.cancel()
            reporting.cancel()
        talk.report()
        stats = speaker.stats()
        seconds = min(talk.elapsed(), frames / 50 if frames else talk.elapsed())
        boss.tell("done", frames=stats.sent + stats.dropped, seconds=seconds, mouth=talk.mouth())
        # Stays connected until everybody has heard the last word.
        await boss.next("end")


@contextlib.asynccontextmanager
async def _seat(client: SpacesClient, first: Message) -> AsyncIterator[Speaker]:
    """Comes in, takes a seat as anybody may, and unmutes."""
    space = client.space(first["space"])
    certificate = bytes.fromhex(first["certificate"])
    admission = await space.join()
    if admission.seat is None:
        # Who wants a seat has to be there.
        async with Listener(admission.urls[0], token=admission.token, certificate_sha256=certificate):
            await space.take_mic()
        admission = await space.join()
    if admission.seat is None or admission.seat != first["seat"]:
        raise RuntimeError(f"seat {admission.seat} was given, {first['seat']} expected")
    async with Speaker(
        admission.urls[0], token=admission.token, seat=admission.seat, certificate_sha256=certificate
    ) as speaker:
        await space.unmute()
        yield speaker


async def _first_of(stop: asyncio.Task[Message], talking: asyncio.Task[None]) -> None:
    """Waits for the word to stop. A speaker who has said everything waits for it too; one who cannot speak does not."""
    await asyncio.wait({stop, talking}, return_when=asyncio.FIRST_COMPLETED)
    if talking.done():
        talking.result()
    await stop


class _Talk:
    """What was said so far, and what is to be reported of it."""

    def __init__(self, boss: Boss, speaker: Speaker, seat: int, began: float) -> None:
        self._boss = boss
        self._speaker = speaker
        self._seat = seat
        self._began = began
        self._levels: deque[tuple[float, float]] = deque()
        self._sent = 0
        self._starts: deque[float] = deque(maxlen=1_000)

    async def speak(self, microphone: Iterator[speech.Samples]) -> None:
        """Says everything, from the common beginning on."""
        await asyncio.sleep(self._began - time.monotonic())
        said = 0
        while frames := list(itertools.islice(microphone, _AT_ONCE)):
            for start in range(0, len(frames), _LEVEL_FRAMES):
                level = level_dbov(np.concatenate(frames[start : start + _LEVEL_FRAMES]))
                self._levels.append((round((said + start) * _FRAME_US / 1e6, 2), round(level, 1)))
            said += len(frames)
            await self._speaker.speak_pcm(np.concatenate(frames).tobytes())

    async def keep_reporting(self) -> None:
        """Reports a few times a second."""
        while True:
            await asyncio.sleep(_REPORT_S)
            self.report()

    def report(self) -> None:
        """Tells what was sent since the last time, and how loud it was."""
        log = self._speaker.sent_log()
        self._sent += len(log)
        # A microphone has heard a frame's first sample 20 ms before it hands the frame over.
        self._starts.extend((sent_at_us - (sequence + 1) * _FRAME_US) / 1e6 for sequence, _, sent_at_us in log)
        levels = []
        while self._levels and self._levels[0][0] <= self.elapsed():
            levels.append(self._levels.popleft())
        self._boss.tell("sent", seat=self._seat, total=self._sent, log=log, levels=levels)

    def elapsed(self) -> float:
        """Seconds since the common beginning."""
        return max(0.0, time.monotonic() - self._began)

    def mouth(self) -> float | None:
        """When the microphone heard the very first sample, on the machine's clock; `None` if nothing was sent."""
        return float(np.median(self._starts)) if self._starts else None
