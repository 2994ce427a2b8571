"""Logs with a live mix of real speech in them, without an engine; what ffmpeg makes of files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import numpy.typing as npt

from spaces_ctl.clock import ManualClock
from spaces_ctl.demo.speech import voices
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.operations import OPERATIONS
from spaces_ctl.segments import Contents, MixPacket

__all__ = ["RATE", "Bench", "contents", "decoded", "heard", "mix", "probe", "snr_db", "speech"]

RATE = 48_000
TICK = 960
Pcm = npt.NDArray[np.int16]
STARTED_MS = 1_700_000_000_000


@cache
def speech(seconds: int = 20) -> Pcm:
    """A man's voice."""
    said = voices(1)[0].samples[: seconds * RATE]
    assert len(said) == seconds * RATE
    return said


def mix(sound: Pcm, first_group: int = 0, ticks: int = 3) -> list[MixPacket]:
    """As the mixer would send it: one talkspurt, whole packets."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "mono", "s16", 48_000
    encoder.options = {"frame_duration": str(20 * ticks), "application": "audio"}
    packets: list[bytes] = []
    step = ticks * TICK
    count = len(sound) // step
    for number in range(count):
        piece = sound[number * step : (number + 1) * step].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, number * step
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    assert len(packets) == count
    return [
        MixPacket(first_group + number * ticks, ticks, 1, b"\0" * 13, number == 0, number == count - 1, opus)
        for number, opus in enumerate(packets)
    ]


def heard(packets: Sequence[MixPacket], end_group: int) -> Pcm:
    """What a listener hears who was there from group 0: one decoder for all, nothing but silence between."""
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    out = np.zeros(end_group * TICK, np.int16)
    for packet in (packet for packet in packets if packet.group < end_group):
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in decoder.decode(av.Packet(packet.opus))])
        at = packet.group * TICK
        out[at : at + len(sound)] = sound[: len(out) - at]
    return out


def contents(
    packets: Sequence[MixPacket], *, part: int = 1, sequence: int = 0, last_group: int | None = None, **more: Any
) -> Contents:
    """A file that holds them."""
    made = Contents(
        space=1,
        part=part,
        sequence=sequence,
        started_at_ms=STARTED_MS,
        first_group=packets[0].group if packets else 0,
        last_group=packets[-1].group + packets[-1].ticks - 1 if packets else -1,
        closed=True,
        final=False,
        damaged_bytes=0,
        mix=list(packets),
        frames=[],
        seats=[],
        gaps=[],
    )
    return replace(made, **more) if last_group is None else replace(made, last_group=last_group, **more)


class Bench:
    """A worker without a process: its archive is a list of files, its clock is moved by sleeping."""

    def __init__(self, files: Sequence[Contents]) -> None:
        self.files = list(files)
        self.objects = Objects.memory()
        self.clock = ManualClock(STARTED_MS)
        self.slept_ms = 0
        self.reads = 0
        self.archive = self
        self.asked: list[str] = []

    async def contents(self, space: int, from_group: int, to_group: int) -> AsyncGenerator[Contents, None]:
        self.reads += 1
        for file in list(self.files):
            if file.first_group < to_group and file.last_group >= from_group:
                yield file

    async def sleep(self, seconds: float) -> None:
        self.slept_ms += round(seconds * 1000)
        self.clock.advance(ms=round(seconds * 1000))

    async def answer(self, operation: str, body: bytes) -> bytes:
        self.asked.append(operation)
        handler = OPERATIONS[operation]
        kind = {"film": "Film"}[operation]
        from spaces_ctl.media import requests

        request = msgspec.msgpack.decode(body, type=getattr(requests, kind))
        return msgspec.msgpack.encode(await handler(self, request))

    async def files_of(self, clip: int) -> set[str]:
        return {name.rpartition("/")[2] for name, _ in await self.objects.list(f"spaces/1/clips/{clip}")}


def decoded(data: bytes, directory: Path) -> Pcm:
    """The sound of a file, by ffmpeg."""
    path = directory / "file"
    path.write_bytes(data)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", "-f", "s16le", "-ac", "1", "-ar", "48000", "-"]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert ran.stderr == b"", ran.stderr
    return np.frombuffer(ran.stdout, np.int16)


def probe(data: bytes, directory: Path) -> dict[str, Any]:
    """What ffprobe says of a file, every frame decoded."""
    path = directory / "file"
    path.write_bytes(data)
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_format", "-show_streams", "-of", "json", str(path)]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert ran.stderr == b"", ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def snr_db(reference: Pcm, other: Pcm) -> float:
    """Signal to difference."""
    signal, noise = reference.astype(float), reference.astype(float) - other.astype(float)
    return float(10 * np.log10((signal**2).sum() / max(1e-9, (noise**2).sum())))
