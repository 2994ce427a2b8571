"""Moonshine (MIT) on this machine's CPU: the weights are in its wheel, nothing is fetched.

All streams share one model and one thread, so that captions never take more than one core; the library lets go of the
interpreter while it works. It finds the lines by itself (voice activity detection) and recognises an open line anew
whenever `_UPDATE_MS` of sound have been added.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from spaces_ctl.captions.recogniser import RATE, Heard, Pcm, RecogniserFailed, Stream

__all__ = ["LANGUAGES", "Moonshine", "installed"]

T = TypeVar("T")

LANGUAGES = ("en",)
"""Of the model in the wheel."""
_MODEL = "tiny-en"
_UPDATE_MS = 800
_OPTIONS = {
    "return_audio_data": "false",
    # The library's own pace, which must not be slower than ours.
    "transcription_interval": "0.3",
}


def installed() -> bool:
    """Whether the package and its weights are there (extra `captions`)."""
    try:
        return _weights().is_dir()
    except ImportError:
        return False


def _weights() -> Path:
    import moonshine_voice

    return Path(moonshine_voice.__file__).parent / "assets" / _MODEL


class Moonshine:
    """A `Recogniser`."""

    def __init__(self, *, update_ms: int = _UPDATE_MS) -> None:
        """Loads nothing yet. `update_ms` of sound lie between two looks at an open line: less costs more CPU."""
        self._update_ms = update_ms
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spaces-moonshine")
        self._model: Any = None

    async def open(self, language: str) -> Stream:
        """A new stream. Raises RecogniserFailed: not installed, no such language."""
        if language.partition("-")[0].lower() not in LANGUAGES:
            raise RecogniserFailed(f"no model for language {language!r}")
        return _MoonshineStream(await self.call(self._open), self)

    async def aclose(self) -> None:
        """Frees the model."""
        if self._model is not None:
            await self.call(self._model.close)
            self._model = None
        self._thread.shutdown(wait=False)

    @property
    def update_ms(self) -> int:
        """Sound between two looks at an open line."""
        return self._update_ms

    async def call(self, function: Callable[[], T]) -> T:
        """Runs something on the model's thread. Raises RecogniserFailed for what the library raises."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except (RecogniserFailed, asyncio.CancelledError):
            raise
        except Exception as error:
            # Not the error's text: it is the library's, and who knows what it quotes.
            raise RecogniserFailed(type(error).__name__) from None

    def _open(self) -> Any:
        try:
            from moonshine_voice.moonshine_api import ModelArch
            from moonshine_voice.transcriber import Transcriber
        except ImportError as error:
            raise RecogniserFailed("moonshine-voice is not installed") from error
        if self._model is None:
            # Read by the library when it loads: a pool that spins costs twice the CPU and is no faster.
            os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"
            self._model = Transcriber(_weights(), ModelArch.TINY, options=_OPTIONS)
        # Asked for an update it gives one, whatever its own pace: without, the last words would be missing.
        flags = Transcriber.MOONSHINE_FLAG_FORCE_UPDATE
        stream = self._model.create_stream(update_interval=float("inf"), transcribe_flags=flags)
        stream.start()
        return stream


class _MoonshineStream:
    def __init__(self, native: Any, model: Moonshine) -> None:
        self._native = native
        self._model = model
        self._since_ms = 0.0
        self._lines: dict[int, int] = {}
        self._final: set[int] = set()
        self._closed = False

    async def feed(self, pcm: Pcm) -> Sequence[Heard]:
        return await self._model.call(lambda: self._feed(pcm))

    async def finish(self) -> Sequence[Heard]:
        try:
            return await self._model.call(self._finish)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._model.call(self._native.close)

    def _feed(self, pcm: Pcm) -> list[Heard]:
        self._native.add_audio((pcm.astype(np.float32) / 32768).tolist(), RATE)
        self._since_ms += len(pcm) * 1000 / RATE
        if self._since_ms < self._model.update_ms:
            return []
        self._since_ms = 0.0
        return self._changed(self._native.update_transcription())

    def _finish(self) -> list[Heard]:
        # What was added since the last look would be lost if the stream were stopped before the next.
        last = self._changed(self._native.update_transcription(self._native.transcribe_flags))
        transcript = self._native.stop()
        if transcript is None:
            raise RecogniserFailed("the last line could not be recognised")
        return list({one.line: one for one in (*last, *self._changed(transcript))}.values())

    def _changed(self, transcript: Any) -> list[Heard]:
        heard: list[Heard] = []
        for line in transcript.lines:
            number = self._lines.setdefault(line.line_id, len(self._lines))
            if number in self._final or not (line.has_text_changed or line.is_complete):
                continue
            if line.is_complete:
                self._final.add(number)
            if text := " ".join(line.text.split()):
                start = round(line.start_time * 1000)
                end = start + round(line.duration * 1000)
                heard.append(Heard(number, start, end, text, bool(line.is_complete)))
        return heard
