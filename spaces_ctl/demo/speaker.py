"""One speaker's process: a voice as a microphone hears it, in real time, into the engine's native client."""

import asyncio
import time
from collections import deque
from pathlib import Path

import numpy as np

from spaces_ctl.demo import script, speech
from spaces_ctl.demo.child import Boss, Message
from spaces_ctl.demo.measure import level_dbov
from spaces_ctl.engine import Speaker

_FRAME_US = 20_000
_AHEAD = 8
"""Frames handed in early; the client's own thread sends each when it is due, whatever Python is doing then."""
_TURN_S = 0.06
_LEVEL_FRAMES = 5
"""A level every 100 ms."""
_REPORT_S = 0.2
_LAST_FRAME_S = 2.0


async def run(boss: Boss, first: Message) -> None:
    """Connects, says so, waits for the common beginning, and speaks until told to stop."""
    count, seat = int(first["speakers"]), int(first["seat"])
    own = first["speech"]
    voices = speech.voices_from(Path(own), count) if own else speech.voices(count, lambda _line: None)
    microphone = script.speak(script.turns(voices, together=first["together"]), seat, voices[seat])
    certificate = bytes.fromhex(first["certificate"])
    async with Speaker(first["url"], token=first["token"], seat=seat, certificate_sha256=certificate) as speaker:
        boss.tell("ready")
        go = await boss.next("go")
        stop = asyncio.create_task(boss.next("stop"))
        try:
            talk = _Talk(boss, speaker, seat)
            began, longest = float(go["at"]), round(float(go["seconds"]) * 50)
            await asyncio.sleep(began - time.monotonic())
            while not stop.done() and not (longest and talk.spoken >= longest):
                wanted = int((time.monotonic() - began) * 50) + _AHEAD
                for _ in range(min(wanted, longest or wanted) - talk.spoken):
                    await talk.say(next(microphone))
                talk.report()
                await asyncio.sleep(_TURN_S)
            deadline = time.monotonic() + _LAST_FRAME_S
            while speaker.queued and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            talk.report(now=True)
            await stop
        finally:
            stop.cancel()
        stats = speaker.stats()
        boss.tell(
            "done",
            frames=stats.sent + stats.dropped,
            seconds=talk.spoken * _FRAME_US / 1e6,
            mouth=talk.mouth(),
        )
        # Stays connected until everybody has heard the last word.
        await boss.next("end")


class _Talk:
    """What was said so far, and what is to be reported of it."""

    def __init__(self, boss: Boss, speaker: Speaker, seat: int) -> None:
        self._boss = boss
        self._speaker = speaker
        self._seat = seat
        self._levels: list[tuple[float, float]] = []
        self._recent: list[speech.Samples] = []
        self._sent = 0
        self._reported = 0.0
        self._starts: deque[float] = deque(maxlen=1_000)
        self.spoken = 0
        """Frames, silence too."""

    async def say(self, frame: speech.Samples) -> None:
        """Hands in the next 20 ms."""
        await self._speaker.speak_pcm(frame)
        self.spoken += 1
        self._recent.append(frame)
        if self.spoken % _LEVEL_FRAMES == 0:
            at = self.spoken * _FRAME_US / 1e6
            self._levels.append((round(at, 2), round(level_dbov(np.concatenate(self._recent)), 1)))
            self._recent.clear()

    def report(self, *, now: bool = False) -> None:
        """Tells what was sent, and how loud it was, a few times a second."""
        if not now and time.monotonic() < self._reported + _REPORT_S:
            return
        self._reported = time.monotonic()
        log = self._speaker.sent_log()
        self._sent += len(log)
        # A microphone has heard a frame's first sample 20 ms before it hands the frame over.
        self._starts.extend((sent.sent_at_us - (sent.sequence + 1) * _FRAME_US) / 1e6 for sent in log)
        entries = [(sent.hash, sent.sent_at_us) for sent in log]
        self._boss.tell("sent", seat=self._seat, total=self._sent, log=entries, levels=self._levels)
        self._levels = []

    def mouth(self) -> float | None:
        """When the microphone heard the very first sample, on the machine's monotonic clock; `None` if nothing was sent."""
        return float(np.median(self._starts)) if self._starts else None
