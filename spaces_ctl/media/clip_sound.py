"""The sound of a clip: packets of the live mix in, faded samples, then Ogg Opus, AAC in MP4 and peaks out.

Everything is 48 kHz mono. Long work takes a breath (`asyncio.sleep(0)`) every few milliseconds, because one loop does
all of the media worker's.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from spaces_ctl.segments import TICK_MS, Contents, MixPacket

__all__ = ["FADE_MS", "PEAK_MS", "PRE_ROLL_GROUPS", "RATE", "Samples", "decode", "encode_m4a", "encode_opus", "peaks"]

Samples = npt.NDArray[np.int16]

RATE = 48_000
"""Samples a second."""
TICK = RATE * TICK_MS // 1000
PRE_ROLL_GROUPS = 10
"""Decoded before the clip begins and thrown away: RFC 7845 section 4.2 wants 80 ms for a decoder to converge, and a
packet of 60 ms may begin before any border."""
FADE_MS = 10
"""At both ends, raised cosine."""
PEAK_MS = 50
"""Time from one peak to the next."""

_SEAM = RATE // 200
"""Samples (5 ms) faded where the log has a hole in the middle of sound; a pause that the mixer made needs none."""
_BREATH_PACKETS = 50
_OPUS_BITS = 64_000
"""Above the mix's own 48 kbit/s: a second generation should not be heard."""
_AAC_BITS = 96_000


async def decode(log: AsyncIterator[Contents], start_group: int, end_group: int) -> Samples:
    """What listeners heard from `start_group` to `end_group` (exclusive), faded; what is not in the log is silence.

    `log` has to begin `PRE_ROLL_GROUPS` earlier, if there is anything; it is read to its end. Loudness is left alone.
    """
    out = np.zeros((end_group - start_group) * TICK, dtype=np.int16)
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    before: MixPacket | None = None
    done = 0
    async for contents in log:
        for packet in contents.mix:
            following = _end(before) if before is not None else None
            if packet.group >= end_group or (following is not None and packet.group < following):
                continue  # after the clip; or said twice, by the spool and by the store
            sound = _decoded(decoder, packet)
            if following != packet.group:
                if before is not None and not before.end:
                    _fade_out(out, (_end(before) - start_group) * TICK)
                if not packet.start and before is not None:
                    sound[:_SEAM] = _shaped(sound[:_SEAM], _rise(_SEAM))
            _place(out, sound, (packet.group - start_group) * TICK)
            before = packet
            done += 1
            if done % _BREATH_PACKETS == 0:
                await asyncio.sleep(0)
    if before is not None and not before.end and _end(before) < end_group:
        _fade_out(out, (_end(before) - start_group) * TICK)
    rise = _rise(min(RATE * FADE_MS // 1000, len(out) // 2))
    out[: len(rise)] = _shaped(out[: len(rise)], rise)
    out[len(out) - len(rise) :] = _shaped(out[len(out) - len(rise) :], rise[::-1])
    return out


async def encode_opus(samples: Samples) -> bytes:
    """An Ogg Opus file of exactly this length (RFC 7845: the granule position of the last page trims the end)."""
    return await _encode(samples, "ogg", "libopus", _OPUS_BITS, {"application": "audio", "frame_duration": "20"}, {})


async def encode_m4a(samples: Samples) -> bytes:
    """AAC-LC in MP4, with the index before the media, so that playing begins at once.

    Room for the index is kept free: `faststart` would want to read the file again, which is none.
    """
    index_bytes = 4096 + 8 * (len(samples) // 1024 + 2)
    return await _encode(samples, "mp4", "aac", _AAC_BITS, {}, {"moov_size": str(index_bytes)})


def peaks(samples: Samples) -> list[int]:
    """The greatest amplitude in each `PEAK_MS`, 0 to 255; the last may be of less."""
    step = RATE * PEAK_MS // 1000
    loud = np.abs(samples.astype(np.int32))
    return [int(min(255, loud[at : at + step].max() * 256 // 32768)) for at in range(0, len(loud), step)]


async def _encode(
    samples: Samples, kind: str, codec: str, bits: int, options: dict[str, str], container: dict[str, str]
) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=container) as output:
        stream: Any = output.add_stream(codec, rate=RATE, options=options)
        stream.layout, stream.format, stream.bit_rate = "mono", "s16" if codec == "libopus" else "fltp", bits
        step = _BREATH_PACKETS * TICK // 2
        for at in range(0, len(samples), step):
            piece = samples[at : at + step]
            if codec == "libopus":
                frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
            else:
                floats = (piece / np.float32(32768)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(floats.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, at
            output.mux(stream.encode(frame))
            await asyncio.sleep(0)
        output.mux(stream.encode(None))
    return file.getvalue()


def _decoded(decoder: Any, packet: MixPacket) -> Samples:
    """As many samples as the packet claims: what is damaged is silence."""
    sound = np.zeros(packet.ticks * TICK, dtype=np.int16)
    try:
        frames: Sequence[Any] = decoder.decode(av.Packet(packet.opus))
    except av.error.FFmpegError:
        return sound
    got = [frame.to_ndarray().reshape(-1) for frame in frames]
    if got:
        heard = np.concatenate(got)[: len(sound)]
        sound[: len(heard)] = heard
    return sound


def _place(out: Samples, sound: Samples, at: int) -> None:
    first, last = max(at, 0), min(at + len(sound), len(out))
    if first < last:
        out[first:last] = sound[first - at : last - at]


def _fade_out(out: Samples, end: int) -> None:
    """The sound that stops at sample `end` of the clip does so gently."""
    first, last = max(end - _SEAM, 0), min(end, len(out))
    if first < last:
        out[first:last] = _shaped(out[first:last], _rise(_SEAM)[::-1][: last - first])


def _rise(length: int) -> npt.NDArray[np.float64]:
    """Half a raised cosine, 0 to 1."""
    return 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length))


def _shaped(sound: Samples, shape: npt.NDArray[np.float64]) -> Samples:
    return np.round(sound * shape[: len(sound)]).astype(np.int16)


def _end(packet: MixPacket) -> int:
    return packet.group + packet.ticks
