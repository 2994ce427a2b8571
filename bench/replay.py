"""What a replay of an hour costs, and how soon after the end it is there: `python -m bench.replay`.

Log files as the recorder writes them (4 s each; two people who talk without a pause, and the live mix of 60 ms packets
at 48 kbit/s, all of it real speech) go through the media worker's own code into a directory: sealed source, HLS in Opus
and AAC, audio.opus. In one process, at full speed:

- `live_cpu_s`: CPU seconds for the hour while it is live; `live_share`: as a part of one core
- `ready_s`: from the moment at which the recorder's last file is there until the replay may be announced
- `m4a_s`: further, for the download in AAC, which nobody waits for
- `anew_s`: the same end, but that the worker was killed just before it: another one goes through what the store has
- `cold_s`: the whole hour at once, from a spool of which nothing was done; `cold_share`: as a part of real time
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path

from spaces_ctl.demo import speech
from spaces_ctl.media import finalizing, following, replay_operations
from spaces_ctl.media.requests import Complete, Finalize, Open, Plan
from spaces_ctl.media.spool import spool_of
from spaces_ctl.media.worker import Worker
from spaces_ctl.segments import MixPacket, SeatFrame, SeatGiven
from tests.support.mixes import encoded, mixed
from tests.support.segment_logs import LogWriter

SPACE, KEY = 4711, bytes(32)
PLAN = Plan(keep=True, public=True, review=True)
FILE_GROUPS = 200


class Talk:
    """The same half minute again and again."""

    def __init__(self) -> None:
        voices = {seat: voice.samples[: 24 * speech.RATE] for seat, voice in enumerate(speech.voices(2))}
        self.mix = mixed(voices)
        self.frames = {seat: encoded(pcm, ticks=1, bit_rate=32_000) for seat, pcm in voices.items()}
        self.groups = len(self.mix) * 3

    def write(self, directory: Path, sequence: int, started_at_ms: int, *, final: bool) -> None:
        """The next four seconds, whole at once."""
        first = sequence * FILE_GROUPS
        end = first + FILE_GROUPS
        log = LogWriter(SPACE, sequence=sequence, start_group=first, started_at_ms=started_at_ms)
        for seat in self.frames:
            log.seat(SeatGiven(group=0, seat=seat, generation=1, account=100 + seat))
        for group in range(first, end):
            log.tick(
                group,
                [
                    SeatFrame(group, seat, 1, 30, False, False, packets[group % len(packets)])
                    for seat, packets in self.frames.items()
                ],
            )
            if group % 3 == 0:
                one = self.mix[group % self.groups // 3]
                log.mix(MixPacket(group, 3, one.seats, one.levels, False, False, one.opus))
        log.close(end - 1)
        if final:
            log.end(end - 1)
        hidden = directory.parent / ".half"
        hidden.write_bytes(log.bytes)
        hidden.rename(directory / log.name)


def worker(spool: Path, store: Path) -> Worker:
    """A new one."""
    return Worker(Open(spool=str(spool), store=str(store)))


async def measure(minutes: int, directory: Path) -> dict[str, float]:
    """All of it."""
    files = minutes * 15
    started_at_ms = time.time_ns() // 1_000_000 - minutes * 60_000
    talk, spool = Talk(), directory / "spool"
    end = Finalize(space=SPACE, key=KEY, plan=PLAN, end_group=files * FILE_GROUPS)
    logs = spool_of(spool, SPACE)
    logs.mkdir(parents=True)
    whole = directory / "whole"
    whole.mkdir()
    for sequence in range(files):
        talk.write(whole, sequence, started_at_ms, final=sequence == files - 1)
    written = sorted(whole.iterdir())

    async def live(one: Worker) -> float:
        """Follows all but the last file; CPU seconds."""
        one.keys.learn(SPACE, KEY)
        follower = one.followers[SPACE] = following.Follower(one, SPACE, PLAN)
        before = time.process_time()
        for path in written[:-1]:
            shutil.copy(path, logs)
            await follower.take()
        shutil.copy(written[-1], logs)
        return time.process_time() - before

    async def ended(one: Worker) -> float:
        """Seconds until the replay may be announced."""
        one.keys.learn(SPACE, KEY)
        before = time.monotonic()
        await finalizing.finalize(one, end)
        return time.monotonic() - before

    async with worker(spool, directory / "store") as one:
        live_cpu_s = await live(one)
        ready_s = await ended(one)
        before = time.monotonic()
        await replay_operations.complete(one, Complete(space=SPACE, key=KEY))
        m4a_s = time.monotonic() - before
    logs.mkdir()
    async with worker(spool, directory / "again") as one:
        await live(one)
    async with worker(spool, directory / "again") as one:
        anew_s = await ended(one)
    shutil.copytree(whole, logs)
    async with worker(spool, directory / "cold") as one:
        cold_s = await ended(one)
    return {
        "minutes": minutes,
        "live_cpu_s": live_cpu_s,
        "live_share": live_cpu_s / minutes / 60,
        "ready_s": ready_s,
        "m4a_s": m4a_s,
        "anew_s": anew_s,
        "cold_s": cold_s,
        "cold_share": cold_s / minutes / 60,
    }


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as directory:
        figures = asyncio.run(measure(minutes, Path(directory)))
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
