"""MP4 in fragments (ISO/IEC 14496-12, CMAF): an initialisation segment a rendition, then segments that need no other.

ffmpeg's muxer writes the boxes (through PyAV); packets go in as they are, nothing is encoded here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from spaces_ctl.media import aac
from spaces_ctl.media.opus import RATE, TICK, filling

__all__ = ["Codec", "Sample", "amplified", "fragment", "initialisation", "read", "template"]


_Numbers = npt.NDArray[np.int64]
_DURATION, _SIZE, _FLAGS_OF, _OFFSET = 0x100, 0x200, 0x400, 0x800
"""Fields of a packet in `trun`, in their order."""


class Codec(StrEnum):
    """What a rendition is encoded in."""

    OPUS = "opus"
    AAC = "aac"

    @property
    def mime(self) -> str:
        """As `CODECS` and MSE want it (RFC 6381; "Encapsulation of Opus in ISO Base Media File Format", 4.3.5)."""
        return {"opus": "opus", "aac": "mp4a.40.2"}[self.value]


class Sample(NamedTuple):
    """A packet and how many samples of sound it is worth."""

    data: bytes
    duration: int


_FLAGS = "empty_moov+default_base_moof+frag_custom+frag_discont+cmaf"
_STYP = struct.pack(">I4s4sI4s4s", 24, b"styp", b"msdh", 0, b"msdh", b"msix")


def initialisation(codec: Codec, gain_db: float = 0.0) -> bytes:
    """`ftyp` and `moov`. The gain is Opus's `OutputGain`: players amplify by it; AAC has none (`amplified`)."""
    made = b"".join(data for kind, data in _boxes(_muxed(codec, _blank(codec), 0, 1)) if kind in (b"ftyp", b"moov"))
    if codec is Codec.OPUS:
        # dOps: version, channels (1 byte each), PreSkip (2), InputSampleRate (4), OutputGain (2, in 1/256 dB).
        place = made.index(b"dOps") + 4 + 8
        made = made[:place] + struct.pack(">h", round(gain_db * 256)) + made[place + 2 :]
    return made


def fragment(codec: Codec, samples: Sequence[Sample], start: int, number: int) -> bytes:
    """A segment: `styp`, `moof`, `mdat`. `start` is the first sample's time in samples, `number` counts from 1."""
    muxed = _boxes(_muxed(codec, samples, start, number))
    return _STYP + b"".join(data for kind, data in muxed if kind in (b"moof", b"mdat"))


def read(segment: bytes) -> list[Sample]:
    """The packets of a segment of ours."""
    starts, sizes, durations = _samples(segment)
    return [
        Sample(segment[start : start + size], duration)
        for start, size, duration in zip(starts.tolist(), sizes.tolist(), durations.tolist(), strict=True)
    ]


def amplified(segment: bytes, steps: int) -> bytes:
    """An AAC segment, `steps` * `aac.STEP_DB` louder, nothing else changed. Raises aac.NotOurs."""
    starts, _, _ = _samples(segment)
    data = np.frombuffer(segment, np.uint8).copy()
    aac.amplify(data, starts, steps)
    return data.tobytes()


@cache
def template(codec: Codec) -> Any:
    """A stream of this codec, for `add_stream_from_template`."""
    made = io.BytesIO()
    with av.open(made, "w", format="ogg" if codec is Codec.OPUS else "mp4") as container:
        stream = container.add_stream("libopus" if codec is Codec.OPUS else "aac", rate=RATE, layout="mono")
        if codec is Codec.AAC:
            stream.bit_rate = aac.BIT_RATE
        frame = av.AudioFrame(format=stream.format.name, layout="mono", samples=4096)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    made.seek(0)
    return av.open(made).streams.audio[0]


def _blank(codec: Codec) -> list[Sample]:
    if codec is Codec.OPUS:
        return [Sample(data, TICK * ticks) for ticks, data in filling(1)]
    return [Sample(bytes(8), aac.FRAME)]


def _muxed(codec: Codec, samples: Sequence[Sample], start: int, number: int) -> bytes:
    made = io.BytesIO()
    options = {"movflags": _FLAGS, "fragment_index": str(number), "use_editlist": "0", "brand": "iso6"}
    with av.open(made, "w", format="mp4", options=options) as container:
        stream = container.add_stream_from_template(template(codec))
        time = start
        for sample in samples:
            packet = av.Packet(sample.data)
            packet.stream = stream
            packet.time_base = Fraction(1, RATE)
            packet.pts = packet.dts = time
            packet.duration = sample.duration
            packet.is_keyframe = True
            container.mux(packet)
            time += sample.duration
    return made.getvalue()


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        yield kind, data[place : place + size]
        place += size


def _samples(segment: bytes) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Where the packets of a segment lie, their sizes and durations (ISO/IEC 14496-12, 8.8.7 and 8.8.8)."""
    moof = segment.index(b"moof") - 4
    tfhd = segment.index(b"tfhd", moof) + 4
    flags = int.from_bytes(segment[tfhd : tfhd + 4], "big") & 0xFFFFFF
    place = tfhd + 8 + 8 * (flags & 1) + 4 * (flags >> 1 & 1)
    defaults = dict.fromkeys((_DURATION, _SIZE), 0)
    for flag, field in ((0x8, _DURATION), (0x10, _SIZE)):
        if flags & flag:
            defaults[field] = int.from_bytes(segment[place : place + 4], "big")
            place += 4
    trun = segment.index(b"trun", moof) + 4
    flags, count = struct.unpack_from(">II", segment, trun)
    first = moof + struct.unpack_from(">i", segment, trun + 8)[0]
    place = trun + 8 + 4 * (flags & 1) + 4 * (flags >> 2 & 1)
    fields = [field for field in (_DURATION, _SIZE, _FLAGS_OF, _OFFSET) if flags & field]
    table = np.frombuffer(segment, ">u4", count * len(fields), place).reshape(count, len(fields)).astype(np.int64)
    durations, sizes = (
        table[:, fields.index(field)] if field in fields else np.full(count, defaults[field], np.int64)
        for field in (_DURATION, _SIZE)
    )
    return first + np.cumsum(sizes) - sizes, sizes, durations
