"""A replay's objects, made of its segments: once when the Space is over, and again whenever its start is moved.

Every object's name says what is in it, but for the playlists and what lies beside them, so that this may be broken off
anywhere and done again. What no playlist names is deleted at the end: a replay holds nothing from before its start.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

import av
import msgspec
import numpy as np

from spaces_ctl import segments as log
from spaces_ctl.media import fragments, hls, loudness, peaks
from spaces_ctl.media.aac import FRAME, STEP_DB
from spaces_ctl.media.fragments import Codec, Sample
from spaces_ctl.media.ledger import Ledger
from spaces_ctl.media.objects import NoObject, Objects
from spaces_ctl.media.opus import RATE, TICK, filling, ticks_of
from spaces_ctl.media.replay_files import (
    AAC_PLAYLIST,
    AUDIO_M4A,
    AUDIO_OPUS,
    MAIN_OPUS_PLAYLIST,
    MAIN_PLAYLIST,
    MANIFEST,
    OPUS_PLAYLIST,
    PEAKS,
    TIMELINE,
    UNITY,
    Manifest,
)
from spaces_ctl.media.segment_maker import Made, Measured
from spaces_ctl.media.timeline import timeline
from spaces_ctl.segments import TICK_MS

__all__ = ["complete", "manifest", "opus_name", "publish", "store_segment"]

T = TypeVar("T")
U = TypeVar("U")

_AT_ONCE = 16


class _Published(NamedTuple):
    """One segment in both renditions, and its packets of Opus."""

    opus: hls.Segment
    aac: hls.Segment | None
    packets: list[Sample]


def opus_name(number: int) -> str:
    """A segment in Opus."""
    return f"hls/opus-{number:06}.m4s"


def _raw_aac_name(number: int) -> str:
    return f"work/aac/{number:06}.m4s"


def _aac_name(number: int, steps: int) -> str:
    return f"hls/aac-{number:06}-{UNITY + steps}.m4s"


async def store_segment(objects: Objects, prefix: str, made: Made) -> None:
    """Stores a segment that was just made. Raises StoreUnavailable."""
    number = made.measured.number
    await objects.put(f"{prefix}/{opus_name(number)}", made.opus)
    if made.aac:
        await objects.put(f"{prefix}/{_raw_aac_name(number)}", made.aac)


async def manifest(objects: Objects, prefix: str) -> Manifest | None:
    """What the replay is; None if there is none yet. Raises StoreUnavailable."""
    try:
        return msgspec.json.decode(await objects.get(f"{prefix}/{MANIFEST}"), type=Manifest)
    except NoObject:
        return None


async def publish(objects: Objects, prefix: str, ledger: Ledger, *, start_group: int, end_group: int) -> Manifest:
    """Everything but `audio.m4a`, from one group to another. All segments from there on lie in the store.

    Raises StoreUnavailable.
    """
    made = _Publication(objects, prefix, ledger, start_group, end_group)
    return await made.write()


class _Publication:
    def __init__(self, objects: Objects, prefix: str, ledger: Ledger, start_group: int, end_group: int) -> None:
        self._objects = objects
        self._prefix = prefix
        self._ledger = ledger
        self._start, self._end = start_group, end_group
        self._kept = [one for one in ledger.segments if one.end > start_group]
        self._origin = ledger.segments[0].group
        self._loudness = loudness.integrated(ledger.groups("powers", np.float32, start_group))
        self._gain_db = loudness.gain_db(self._loudness)
        self._steps = round(self._gain_db / STEP_DB)
        self._there: set[str] = set()
        self._named: set[str] = set()
        """Objects below `hls/` that the playlists name."""

    async def write(self) -> Manifest:
        for part in ("hls", "work/aac"):
            found = await self._objects.list(f"{self._prefix}/{part}")
            self._there |= {name.removeprefix(f"{self._prefix}/") for name, _ in found}
        published = await _each(self._segment, self._kept)
        await self._playlists(published)
        opus = self._opus([packet for one in published for packet in one.packets])
        await self._put(AUDIO_OPUS, opus)
        await self._page()
        await self._objects.delete(f"{self._prefix}/{AUDIO_M4A}")
        found_manifest = self._manifest(len(published), len(opus))
        await self._put(MANIFEST, msgspec.json.encode(found_manifest))
        gone = {name for name in self._there if name.startswith("hls/")} - self._named
        await _each(lambda name: self._objects.delete(f"{self._prefix}/{name}"), gone)
        return found_manifest

    def _manifest(self, segments: int, opus_bytes: int) -> Manifest:
        return Manifest(
            started_at_ms=self._ledger.entries[-1].started_at_ms,
            first_group=self._origin,
            end_group=self._end,
            start_group=self._start,
            duration_ms=(self._end - self._start) * TICK_MS,
            loudness_lufs=self._loudness,
            gain_db=self._gain_db,
            gain_steps=self._steps,
            segments=segments,
            opus_bytes=opus_bytes,
        )

    async def _segment(self, one: Measured) -> _Published:
        opus, packets = await self._opus_segment(one)
        return _Published(opus, await self._aac_segment(one), packets)

    async def _opus_segment(self, one: Measured) -> tuple[hls.Segment, list[Sample]]:
        name = opus_name(one.number)
        whole = await self._get(name)
        packets = fragments.read(whole)
        if one.group < self._start:
            packets = _from(packets, (self._start - one.group) * TICK)
            name = f"hls/opus-from-{self._start}.m4s"
            whole = fragments.fragment(Codec.OPUS, packets, (self._start - self._origin) * TICK, one.number + 1)
            await self._put(name, whole)
        samples = sum(packet.duration for packet in packets)
        return self._entry(name, samples, len(whole)), packets

    async def _aac_segment(self, one: Measured) -> hls.Segment | None:
        """None: it has no frame."""
        before = -(-(self._start - self._origin) * TICK // FRAME) - one.aac_frame
        left = one.aac_frames - max(0, before)
        if left <= 0:
            return None
        name = _aac_name(one.number, self._steps)
        if before <= 0 and name in self._there:
            return self._entry(name, one.aac_frames * FRAME, one.aac_bytes)
        data = await self._louder(one.number)
        if before > 0:
            name = f"hls/aac-from-{self._start}-{UNITY + self._steps}.m4s"
            rest = fragments.read(data)[before:]
            data = fragments.fragment(Codec.AAC, rest, (one.aac_frame + before) * FRAME, one.number + 1)
        await self._put(name, data)
        return self._entry(name, left * FRAME, len(data))

    async def _louder(self, number: int) -> bytes:
        """The whole segment with the gain, from the form in which it lies there."""
        raw = _raw_aac_name(number)
        if raw in self._there:
            return fragments.amplified(await self._get(raw), self._steps)
        stem = f"hls/aac-{number:06}-"
        name = next(name for name in sorted(self._there) if name.startswith(stem))
        has = int(name.removeprefix(stem).removesuffix(".m4s")) - UNITY
        return fragments.amplified(await self._get(name), self._steps - has)

    def _entry(self, name: str, samples: int, size: int) -> hls.Segment:
        self._named.add(name)
        return hls.Segment(name.removeprefix("hls/"), samples, size)

    async def _playlists(self, published: Sequence[_Published]) -> None:
        for codec, main, name, segments in (
            (Codec.AAC, MAIN_PLAYLIST, AAC_PLAYLIST, [one.aac for one in published if one.aac is not None]),
            (Codec.OPUS, MAIN_OPUS_PLAYLIST, OPUS_PLAYLIST, [one.opus for one in published]),
        ):
            start = f"hls/{codec.value}-init.mp4"
            rendition = hls.Rendition(name.removeprefix("hls/"), codec, segments)
            await self._put(start, fragments.initialisation(codec, self._gain_db))
            await self._put(name, hls.media_playlist(start.removeprefix("hls/"), segments).encode())
            await self._put(main, hls.main_playlist(rendition).encode())
            self._named |= {start, name, main}

    def _opus(self, packets: Iterable[Sample]) -> bytes:
        def placed() -> Iterable[tuple[int, int, bytes]]:
            group = self._start
            for data, duration in packets:
                # The last may last longer than is played of it.
                yield group, ticks_of(data), data
                group += duration // TICK

        return log.ogg(placed(), start_group=self._start, end_group=self._end, gain_db=self._gain_db)

    async def _page(self) -> None:
        low, high = (self._ledger.groups(name, np.int8, self._start) for name in ("low", "high"))
        await self._put(PEAKS, peaks.waveform(low, high, self._gain_db))
        speaking = self._ledger.groups("speaking", np.uint16, self._start)
        when = timeline(speaking, self._ledger.given, self._ledger.missing, self._start)
        await self._put(TIMELINE, msgspec.json.encode(when))

    async def _get(self, name: str) -> bytes:
        return await self._objects.get(f"{self._prefix}/{name}")

    async def _put(self, name: str, data: bytes) -> None:
        await self._objects.put(f"{self._prefix}/{name}", data)


async def complete(objects: Objects, prefix: str) -> None:
    """`audio.m4a`, of the segments that the playlist names; what only their maker needed goes.

    Does nothing where there is no replay. Raises StoreUnavailable.
    """
    found = await manifest(objects, prefix)
    if found is None or found.m4a_bytes:
        return
    playlist = (await objects.get(f"{prefix}/{AAC_PLAYLIST}")).decode()
    names = [line for line in playlist.splitlines() if line and not line.startswith("#")]
    data = await _download(lambda name: objects.get(f"{prefix}/hls/{name}"), names)
    await objects.put(f"{prefix}/{AUDIO_M4A}", data)
    whole = msgspec.structs.replace(found, m4a_bytes=len(data))
    await objects.put(f"{prefix}/{MANIFEST}", msgspec.json.encode(whole))
    await objects.delete(f"{prefix}/work/aac")


async def _download(get: Callable[[str], Awaitable[bytes]], names: Sequence[str]) -> bytes:
    """An MP4 whose index is at its beginning, so that a player may start and seek at once."""
    with tempfile.TemporaryDirectory(prefix="spaces-m4a-") as scratch:
        path = Path(scratch) / "audio.m4a"
        options = {"movflags": "faststart", "use_editlist": "0"}
        with av.open(str(path), "w", format="ipod", options=options) as container:
            stream = container.add_stream_from_template(fragments.template(Codec.AAC))
            time = 0
            for name in names:
                for sample in fragments.read(await get(name)):
                    packet = av.Packet(sample.data)
                    packet.stream = stream
                    packet.time_base = Fraction(1, RATE)
                    packet.pts = packet.dts = time
                    packet.duration = sample.duration
                    packet.is_keyframe = True
                    container.mux(packet)
                    time += sample.duration
        return path.read_bytes()


def _from(packets: Sequence[Sample], skip: int) -> list[Sample]:
    """What is left after `skip` samples. A packet that begins before is silence where it ends later: none is cut."""
    rest: list[Sample] = []
    for packet in packets:
        if skip <= 0:
            rest.append(packet)
        elif packet.duration > skip:
            late = packet.duration - skip
            rest += [Sample(opus, ticks * TICK) for ticks, opus in filling(-(-late // TICK))]
        skip -= packet.duration
    return rest


async def _each(work: Callable[[T], Awaitable[U]], items: Iterable[T]) -> list[U]:
    """A few at once, in order."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> U:
        async with slots:
            return await work(item)

    return await asyncio.gather(*(one(item) for item in items))
