"""Speech with transcripts, Opus packets of it, word error rates, and a recogniser that only counts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from spaces_ctl.captions.recogniser import RATE, Heard, Pcm, RecogniserFailed

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
"""Debian's `pocketsphinx-testdata`: one reader, five utterances, 25 s, with transcripts."""


def utterances() -> list[tuple[Pcm, str]]:
    """Sound (16 kHz) and transcript of each."""
    texts = {}
    for line in (LIBRIVOX / "transcription").read_text().splitlines():
        found = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip())
        assert found, line
        texts[found[2]] = found[1]
    return [(_sound(LIBRIVOX / f"{name}.wav"), text) for name, text in texts.items()]


def _sound(path: Path) -> Pcm:
    sound, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return np.asarray(sound)


def opus_packets(pcm: Pcm, *, bitrate: int = 32_000) -> list[bytes]:
    """20 ms each, as our speakers send them; `pcm` at 16 kHz."""
    sound = soxr.resample(pcm, RATE, 48_000)
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", bitrate
    encoder.options = {"frame_duration": "20"}
    packets: list[bytes] = []
    for at in range(0, len(sound) - 959, 960):
        frame = av.AudioFrame.from_ndarray(sound[at : at + 960].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def words(text: str) -> list[str]:
    """Lower case, no punctuation, hyphens as spaces, abbreviations written out."""
    plain = re.sub(r"[^a-z' ]+", " ", text.lower().replace("mr.", "mister").replace("mrs.", "missis"))
    return plain.split()


def errors(meant: Sequence[str], said: Sequence[str]) -> int:
    """Words substituted, missing and too many (Levenshtein)."""
    row = np.arange(len(said) + 1)
    for i, word in enumerate(meant, 1):
        above, row = row, np.empty_like(row)
        row[0] = i
        for j, other in enumerate(said, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other))
    return int(row[-1])


def word_error_rate(meant: str, said: str) -> float:
    """Errors for each word that was meant."""
    return errors(words(meant), words(said)) / len(words(meant))


class CountingRecogniser:
    """Says how much it was fed: "400 ms", then "800 ms", ... of one line; the line is final when the stream is.

    `pace` is awaited before every answer, `fail` makes the next `feed` fail.
    """

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.open_now = 0
        self.fed: list[npt.NDArray[np.int16]] = []
        self.fail = False
        self.mute = False
        """Recognises nothing."""
        self.go = asyncio.Event()
        """Nothing is answered while it is clear."""
        self.go.set()

    async def open(self, language: str) -> CountingStream:
        self.opened.append(language)
        self.open_now += 1
        return CountingStream(self)

    async def aclose(self) -> None:
        assert self.open_now == 0


class CountingStream:
    def __init__(self, recogniser: CountingRecogniser) -> None:
        self._of = recogniser
        self._ms = 0
        self._closed = False

    async def feed(self, pcm: Pcm) -> Sequence[Heard]:
        await self._of.go.wait()
        if self._of.fail:
            self._of.fail = False
            raise RecogniserFailed("as told")
        self._of.fed.append(pcm)
        self._ms += len(pcm) * 1000 // RATE
        return self._heard(final=False)

    async def finish(self) -> Sequence[Heard]:
        await self._of.go.wait()
        return self._heard(final=True)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._of.open_now -= 1

    def _heard(self, *, final: bool) -> Sequence[Heard]:
        return () if self._of.mute or not self._ms else (Heard(0, 0, self._ms, f"{self._ms} ms", final),)
