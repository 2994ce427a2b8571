"""One speaker's process: a voice as a microphone hears it, in real time, into the engine's native client."""

import asyncio
import time
from pathlib import Path

from spaces_ctl.demo import script, speech
from spaces_ctl.demo.child import Boss, Message
from spaces_ctl.demo.measure import level_dbov
from spaces_ctl.engine import Speaker

_FRAME_S = script.FRAME / speech.RATE
_LEVEL_FRAMES = 5
"""A level every 100 ms."""
_REPORT_FRAMES = 10


async def run(boss: Boss, first: Message) -> None:
    """Connects, says so, waits for the common beginning, and speaks until told to stop."""
    count, seat = int(first["speakers"]), int(first["seat"])
    own = first["speech"]
    voices = speech.voices_from(Path(own), count) if own else speech.voices(count, lambda _line: None)
    microphone = script.speak(script.turns(voices, together=first["together"]), seat, voices[seat])
    async with Speaker(
        first["url"], token=first["token"], seat=seat, certificate_sha256=bytes.fromhex(first["certificate"])
    ) as speaker:
        boss.tell("ready")
        go = await boss.next("go")
        stop = asyncio.create_task(boss.next("stop"))
        began, longest = float(go["at"]), round(float(go["seconds"]) * 50)
        total, spoken = 0, 0
        levels: list[tuple[float, float]] = []
        recent: list[speech.Samples] = []

        def report() -> None:
            nonlocal total
            log = speaker.sent_log()
            total += len(log)
            boss.tell("sent", seat=seat, total=total, log=log, levels=levels.copy())
            levels.clear()

        try:
            while not stop.done() and not (longest and spoken >= longest):
                frame = next(microphone)
                # A microphone hands over a frame when its last sample has been heard.
                await asyncio.sleep(max(0.0, began + (spoken + 1) * _FRAME_S - time.monotonic()))
                await speaker.speak_pcm(frame)
                spoken += 1
                recent.append(frame)
                if spoken % _LEVEL_FRAMES == 0:
                    loudest = max(level_dbov(frame) for frame in recent)
                    levels.append((round(spoken * _FRAME_S, 2), round(loudest, 1)))
                    recent.clear()
                if spoken % _REPORT_FRAMES == 0:
                    report()
            await stop
        finally:
            stop.cancel()
        await speaker.flush()
        report()
        boss.tell("done", frames=total, seconds=spoken * _FRAME_S)
        # Stays connected until everybody has heard the last word.
        await boss.next("end")
