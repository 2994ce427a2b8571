"""A creator's download: one zip with the mix, everybody alone, who spoke when, captions and metadata.

It is written to the store while it is made, one file after the other, reading the log once for each: memory is bounded
by one part of one person's Opus packets (`_PART_GROUPS`), whatever the Space's length. WAV is compressed lightly, as
pauses are zeros; what is compressed already is only wrapped.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import wave
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from spaces_ctl import segments
from spaces_ctl.media.bench import Log, Stores
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.handouts import ExportBundle, Exported
from spaces_ctl.media.opus import LOOKAHEAD, RATE, TICK, Decoder
from spaces_ctl.media.voices import Holders, Spans, timeline

__all__ = ["export", "ogg_of"]

_PART_GROUPS = 2 * 3600 * 50
"""A longer Opus file is made in parts of two hours."""
_WAV_PART_GROUPS = 12 * 3600 * 50
"""WAV has 32 bits for its length: 12.4 hours."""
_SETTLE_GROUPS = 4
"""Decoded before the beginning and dropped: RFC 7845 section 4.2 wants 80 ms for a decoder to converge."""
_PIECE = 1 << 20
_SILENCE_SAMPLES = RATE
_OPUS, _WAV, _TEXT = 0, 1, 6
"""Levels of compression."""


async def export(worker: Stores, request: ExportBundle) -> Exported:
    """Makes the archive. Raises MediaError (`source.gone`, `source.key`), StoreUnavailable."""
    bundle = _Bundle(worker.archive, request)
    await bundle.look()
    await worker.objects.put_stream(request.name, bundle.pieces())
    return Exported(bytes=bundle.sink.total, files=tuple(bundle.files))


class _Sink:
    """Where the zip is written: only forwards, and what was written is taken away."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.total = 0

    def write(self, data: bytes) -> int:
        """As a file's."""
        self._held += data
        self.total += len(data)
        return len(data)

    def flush(self) -> None:
        """As a file's."""

    def __len__(self) -> int:
        return len(self._held)

    def take(self) -> bytes:
        """What was written since the last time."""
        held = bytes(self._held)
        self._held.clear()
        return held


class _Bundle:
    """One archive in the making."""

    def __init__(self, archive: Log, request: ExportBundle) -> None:
        self._archive = archive
        self._request = request
        self._spans = Spans()
        self.sink = _Sink()
        self.files: list[str] = []
        file: Any = self.sink  # as much of one as a zip writes to
        self._zip = zipfile.ZipFile(file, "w", allowZip64=True)

    async def look(self) -> None:
        """Who speaks at all. Raises MediaError."""
        wanted = self._request
        self._spans = await Spans.of(self._log(wanted.from_group, wanted.to_group), wanted.from_group, wanted.to_group)
        if not self._spans.people and not self._spans.mix:
            raise MediaError("source.gone", "nothing was recorded")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The archive's bytes, as they are made."""
        request = self._request
        names = _names(request.people, self._spans)
        if self._spans.mix:
            async for piece in self._opus("mix", None, request.gain_db):
                yield piece
        for account, name in names.items():
            async for piece in self._opus(f"people/{name}", account, 0.0):
                yield piece
            async for piece in self._wav(f"people/{name}", account):
                yield piece
        told = timeline(self._spans, request.from_group, request.to_group, names)
        self._text("timeline.json", json.dumps(told, ensure_ascii=False, indent=1).encode())
        if request.captions:
            self._text("captions.vtt", request.captions)
        self._text("metadata.json", request.metadata)
        self._zip.close()
        yield self.sink.take()

    def _log(self, from_group: int, to_group: int) -> AsyncIterator[segments.Contents]:
        return self._archive.contents(self._request.space, from_group, to_group)

    def _info(self, name: str, level: int) -> zipfile.ZipInfo:
        made = datetime.fromtimestamp(self._request.made_ms / 1000, UTC)
        info = zipfile.ZipInfo(name, max(made, datetime(1980, 1, 1, tzinfo=UTC)).timetuple()[:6])
        # Never "stored": as lengths are written after the data, many a program could not tell where such a file ends.
        info.compress_type = zipfile.ZIP_DEFLATED
        info._compresslevel = level  # type: ignore[attr-defined]  # public from Python 3.13 on only
        info.external_attr = 0o644 << 16
        self.files.append(name)
        return info

    def _text(self, name: str, data: bytes) -> None:
        with self._zip.open(self._info(name, _TEXT), "w") as file:
            file.write(data)

    async def _opus(self, name: str, account: int | None, gain_db: float) -> AsyncIterator[bytes]:
        """The mix (`account` None), or a person alone, as it was sent: nothing is encoded again."""
        for part, begin, end in _parts(self._request.from_group, self._request.to_group, _PART_GROUPS):
            try:
                made = await ogg_of(
                    self._archive, self._request.space, account, begin, end, gain_db=gain_db, tags={"TITLE": name}
                )
            except MediaError as error:
                if error.code != "source.gone":
                    raise
                made = segments.ogg([], start_group=begin, end_group=end, tags={"TITLE": name})
            with self._zip.open(self._info(f"{name}{part}.opus", _OPUS), "w", force_zip64=True) as file:
                file.write(made)
            yield self.sink.take()

    async def _wav(self, name: str, account: int) -> AsyncIterator[bytes]:
        """48 kHz, mono, 16 bit; pauses are zeros, so that all files are equally long."""
        for part, begin, end in _parts(self._request.from_group, self._request.to_group, _WAV_PART_GROUPS):
            with self._zip.open(self._info(f"{name}{part}.wav", _WAV), "w", force_zip64=True) as file:
                file.write(_wav_header((end - begin) * TICK))
                async for sound in self._sound(account, begin, end):
                    file.write(sound)
                    if len(self.sink) >= _PIECE:
                        yield self.sink.take()
                        await asyncio.sleep(0)
            yield self.sink.take()

    async def _sound(self, account: int, begin: int, end: int) -> AsyncIterator[bytes]:
        total, done = (end - begin) * TICK, 0
        decoder, holders = Decoder(), Holders()
        async for contents in self._log(begin, end):
            for owner, frame in holders.frames(contents, begin, end):
                if owner != account:
                    continue
                # An encoder's sound comes out late by its lookahead.
                at = (frame.group - begin) * TICK - LOOKAHEAD
                for silence in _zeros(at - done):
                    yield silence
                done = max(done, at)
                sound = np.rint(decoder.decode(frame.opus, 1) * 32768).astype("<i2")[done - at :]
                yield sound.tobytes()
                done += len(sound)
        for silence in _zeros(total - done):
            yield silence


async def ogg_of(archive: Log, space: int, account: int | None, begin: int, end: int, **more: Any) -> bytes:
    """Ogg Opus of the mix (`account` None) or of a person, as it was sent, from `begin` to before `end`; pauses are
    silence. `more`: `gain_db`, `tags`. Raises MediaError (`source.gone`: not a packet of it; `source.key`),
    StoreUnavailable.
    """
    early = min(begin, _SETTLE_GROUPS)
    packets: list[tuple[int, int, bytes]] = []
    holders, following = Holders(), begin - early
    async for contents in archive.contents(space, begin - early, end):
        if account is None:
            for packet in contents.mix:
                if packet.group >= following and packet.group < end:
                    packets.append((packet.group, packet.ticks, packet.opus))
                    following = packet.group + packet.ticks
            continue
        frames = holders.frames(contents, begin - early, end)
        packets += [(frame.group, 1, frame.opus) for owner, frame in frames if owner == account]
    if not any(group + ticks > begin for group, ticks, _ in packets):
        raise MediaError("source.gone", "nothing was recorded of it in this stretch")
    return segments.ogg(
        packets,
        start_group=begin - early,
        end_group=end,
        pre_skip=LOOKAHEAD + early * TICK,
        **more,
    )


def _names(given: dict[int, str], spans: Spans) -> dict[int, str]:
    """A file name for everybody who spoke, each another one."""
    names: dict[int, str] = {}
    for account in sorted(spans.people):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", given.get(account, "")).strip("-")
        names[account] = (
            plain if plain and plain not in names.values() else "-".join(filter(None, (plain, str(account))))
        )
    return names


def _parts(from_group: int, to_group: int, most: int) -> Iterator[tuple[str, int, int]]:
    """What is added to a file's name, from, to (exclusive)."""
    begins = range(from_group, to_group, most)
    for number, begin in enumerate(begins, 1):
        yield f"-{number}" if len(begins) > 1 else "", begin, min(begin + most, to_group)


def _zeros(samples: int) -> Iterator[bytes]:
    while samples > 0:
        own = min(samples, _SILENCE_SAMPLES)
        yield bytes(own * 2)
        samples -= own


def _wav_header(samples: int) -> bytes:
    """Of a file of so many samples (RIFF WAVE, format 1)."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
    header = bytearray(whole.getvalue())
    header[4:8] = (36 + samples * 2).to_bytes(4, "little")
    header[40:44] = (samples * 2).to_bytes(4, "little")
    return bytes(header)
