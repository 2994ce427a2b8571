"""A clip as a video, for places that take nothing else: its picture, the waveform filling as it plays, and its sound.

VP9 by libvpx (BSD licence, free of royalties), once; in WebM with the clip's Opus packets and in MP4 with its AAC ones,
as they are. PyAV's wheel has an H.264 encoder too (x264), but under the GPL: it is not used.
"""

from __future__ import annotations

import asyncio
import heapq
import io
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from spaces_ctl.media.pictures import HEIGHT, WIDTH, played_until

__all__ = ["FRAMES_PER_SECOND", "film", "remuxed"]

FRAMES_PER_SECOND = 10

_VP9 = {
    "deadline": "realtime",
    "cpu-used": "8",
    "threads": "1",
    "crf": "34",
    "b": "0",
    "lag-in-frames": "0",
    "static-thresh": "200",
}
_BREATH_FRAMES = 5

_Plane = npt.NDArray[np.uint8]


async def film(played: Image.Image, unplayed: Image.Image, length_ms: int, audio: bytes) -> bytes:
    """WebM: the pictures, the first growing over the second, with the Opus packets of `audio` (an Ogg file)."""
    video = await _pictures(played, unplayed, length_ms)
    return remuxed(video, audio, "webm")


def remuxed(video: bytes, audio: bytes, kind: str) -> bytes:
    """The video of one file with the audio of another, packets as they are; `kind`: webm or mp4."""
    file = io.BytesIO()
    # The index goes before the media: 16 bytes a packet are more than it needs.
    options = {"moov_size": str(8192 + 16 * (len(audio) // 128 + 600))} if kind == "mp4" else {}
    with (
        av.open(io.BytesIO(video)) as pictures,
        av.open(io.BytesIO(audio)) as sound,
        av.open(file, "w", format=kind, options=options) as output,
    ):
        sources = (pictures.streams.video[0], sound.streams.audio[0])
        streams = [output.add_stream_from_template(source) for source in sources]
        packets = [_packets(source, number) for number, source in enumerate(sources)]
        for _, number, packet in heapq.merge(*packets, key=lambda told: told[:2]):
            packet.stream = streams[number]
            output.mux(packet)
    return file.getvalue()


def _packets(source: Any, number: int) -> Iterator[tuple[float, int, Any]]:
    for packet in source.container.demux(source):
        if packet.dts is not None:
            yield float(packet.dts * packet.time_base), number, packet


async def _pictures(played: Image.Image, unplayed: Image.Image, length_ms: int) -> bytes:
    bright, dim = _planes(played), _planes(unplayed)
    count = max(1, -(-length_ms * FRAMES_PER_SECOND // 1000))
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as output:
        stream: Any = output.add_stream("libvpx-vp9", rate=FRAMES_PER_SECOND, options=_VP9)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(count):
            # Chroma has half the columns.
            column = played_until((number + 1) / count) // 2 * 2
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane, left, right in zip(frame.planes, bright, dim, strict=True):
                edge = column * left.shape[1] // WIDTH
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                rows[: len(left), :edge] = left[:, :edge]
                rows[: len(left), edge : left.shape[1]] = right[:, edge:]
            frame.pts = number
            output.mux(stream.encode(frame))
            if number % _BREATH_FRAMES == 0:
                await asyncio.sleep(0)
        output.mux(stream.encode(None))
    return file.getvalue()


def _planes(picture: Image.Image) -> tuple[_Plane, _Plane, _Plane]:
    """Y, U and V, the latter two of half the width and height."""
    frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")
    whole: _Plane = np.asarray(frame.to_ndarray(), np.uint8)
    colour = whole[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
    return whole[:HEIGHT], colour[0], colour[1]
